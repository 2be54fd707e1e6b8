"""Where an id is, for reads: on the caller's node first, then on the only node that has it, the same rule as for writes.

And which node a text means that is no name: the one whose ID begins so.
"""

import re
from collections.abc import Collection
from typing import Final

from callboard.core.catalog.queries import Found, find
from callboard.core.catalog.view import View
from callboard.frontend.consul.errors import ConsulError
from callboard.frontend.consul.translate_answers import Scene
from callboard.model.names import PUBLIC
from callboard.wire.consul_go import quote

_NODES_NAMED = 5
_ID_BEGIN: Final = re.compile(r"[0-9a-f]{2}[0-9a-f-]{0,34}")


def find_instance(view: View, node: str, instance: str) -> Found | None:
    """An instance with its checks, None when nobody has the id. Raises `ConsulError` 409 naming the nodes when several others have it."""
    placed = view.placed(PUBLIC, node, instance)
    if placed is not None:
        return find(view, placed)
    nodes = list(view.nodes_of_instance(PUBLIC, instance))
    _refuse_several(f"service id {quote(instance)}", nodes)
    placed = view.placed(PUBLIC, nodes[0], instance) if nodes else None
    return find(view, placed) if placed is not None else None


def may_be_node_id(text: str) -> bool:
    """Whether a text in lower case could be the beginning of a node's ID."""
    return _ID_BEGIN.fullmatch(text) is not None


def find_node(view: View, scene: Scene, text: str) -> str:
    """The name, in lower case, of the node with this name, else of the one with the only ID that begins so; else the text itself."""
    if text in view.nodes:
        return text
    found = {name: there for name, node in view.nodes.items() if (there := scene.node(node).id.lower()).startswith(text)}
    if len(set(found.values())) != 1:
        return text
    # Two with one ID are one that has been renamed, as its agent does it: that is the newer one.
    return max(found, key=lambda name: view.nodes[name].created)


def check_holder(view: View, check: str) -> str | None:
    """The only node (lower case) that has a check of this id; None when nobody or more than one has it."""
    nodes = list(view.nodes_of_check(PUBLIC, check))
    return nodes[0] if len(nodes) == 1 else None


def _refuse_several(what: str, nodes: Collection[str]) -> None:
    if len(nodes) > 1:
        named = ", ".join(sorted(nodes)[:_NODES_NAMED]) + (", ..." if len(nodes) > _NODES_NAMED else "")
        raise ConsulError(409, f"{what} is on {len(nodes)} nodes ({named}); name one with ?node= or X-Callboard-Node")

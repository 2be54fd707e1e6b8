"""Which instance or check an id means: the caller's node first, then the only node that has it."""

from callboard.core.catalog.commands import Target
from callboard.core.catalog.draft import Draft
from callboard.model.check import Check
from callboard.model.instance import Instance
from callboard.model.rows import Refusal

_NODES_NAMED = 5


def find_instance(draft: Draft, target: Target) -> Instance | Refusal:
    """The instance, or `unknown_instance`, or `ambiguous` with the nodes that have it."""
    node = target.node.lower()
    if (instance := draft.instance(target.namespace, node, target.id)) is not None:
        return instance
    found: dict[str, Instance] = {}
    if target.anywhere:
        space = draft.view.spaces.get(target.namespace)
        nodes = {name for name, there in space.by_node.items() if target.id in there} if space is not None else set()
        for entry in draft.overlay.entries.values():
            if isinstance(entry.value, Instance) and entry.value.id == target.id and entry.value.namespace == target.namespace:
                nodes.add(entry.value.node)
        for name in nodes:
            if (there := draft.instance(target.namespace, name, target.id)) is not None:
                found[name] = there
    if len(found) == 1:
        return found.popitem()[1]
    return _ambiguous("service", target.id, found) if found else Refusal("unknown_instance", target.id)


def find_check(draft: Draft, target: Target) -> Check | Refusal:
    """The check, or `unknown_check`, or `ambiguous` with the nodes that have it."""
    node = target.node.lower()
    if (check := draft.check(target.namespace, node, target.id)) is not None:
        return check
    found: dict[str, Check] = {}
    if target.anywhere:
        space = draft.view.spaces.get(target.namespace)
        nodes = {name for name, holders in space.holders.items() if target.id in holders} if space is not None else set()
        for entry in draft.overlay.entries.values():
            if isinstance(entry.value, Check) and entry.value.id == target.id and entry.value.namespace == target.namespace:
                nodes.add(entry.value.node)
        for name in nodes:
            if (there := draft.check(target.namespace, name, target.id)) is not None:
                found[name] = there
    if len(found) == 1:
        return found.popitem()[1]
    return _ambiguous("check", target.id, found) if found else Refusal("unknown_check", target.id)


def _ambiguous(what: str, name: str, nodes: "dict[str, Instance] | dict[str, Check]") -> Refusal:
    named = ", ".join(sorted(nodes)[:_NODES_NAMED]) + (", ..." if len(nodes) > _NODES_NAMED else "")
    return Refusal("ambiguous", name, f"{what} id {name!r} is on {len(nodes)} nodes ({named}); name one with ?node= or X-Callboard-Node")

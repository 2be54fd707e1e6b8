"""Which instance or check an id means: the caller's node first, then the only node that has it."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from callboard.core.catalog.commands import Target
from callboard.core.catalog.draft import Draft
from callboard.model.check import Check
from callboard.model.instance import Instance
from callboard.model.rows import Refusal

_NODES_NAMED = 5

Sought = TypeVar("Sought", Instance, Check)


def find_instance(draft: Draft, target: Target) -> Instance | Refusal:
    """The instance, or `unknown_instance`, or `ambiguous` with the nodes that have it."""

    def nodes() -> Iterable[str]:
        return draft.view.nodes_of_instance(target.namespace, target.id)

    found = _find(draft, target, lambda node: draft.instance(target.namespace, node, target.id), nodes)
    if isinstance(found, Instance):
        return found
    return _ambiguous("service", target.id, found) if found else Refusal("unknown_instance", target.id)


def find_check(draft: Draft, target: Target) -> Check | Refusal:
    """The check, or `unknown_check`, or `ambiguous` with the nodes that have it."""

    def nodes() -> Iterable[str]:
        return draft.view.nodes_of_check(target.namespace, target.id)

    found = _find(draft, target, lambda node: draft.check(target.namespace, node, target.id), nodes)
    if isinstance(found, Check):
        return found
    return _ambiguous("check", target.id, found) if found else Refusal("unknown_check", target.id)


def _find(draft: Draft, target: Target, at: Callable[[str], Sought | None], in_view: Callable[[], Iterable[str]]) -> Sought | list[str]:
    """What `at` finds on the caller's node, or on the only node that has it; else the nodes that have it, none or several."""
    there = at(target.node.lower())
    if there is not None or not target.anywhere:
        return there if there is not None else []
    nodes = set(in_view())
    planned = (entry.value for entry in draft.overlay.entries.values())
    nodes.update(value.node for value in planned if isinstance(value, Instance | Check) and value.id == target.id)
    found = {node: sought for node in nodes if (sought := at(node)) is not None}
    return found.popitem()[1] if len(found) == 1 else sorted(found)


def _ambiguous(what: str, name: str, nodes: list[str]) -> Refusal:
    named = ", ".join(nodes[:_NODES_NAMED]) + (", ..." if len(nodes) > _NODES_NAMED else "")
    return Refusal("ambiguous", name, f"{what} id {name!r} is on {len(nodes)} nodes ({named}); name one with ?node= or X-Callboard-Node")

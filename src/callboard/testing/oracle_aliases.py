"""What aliases must say, found by looking at everything: the part of the oracle about `core.catalog.aliasing`. Nothing here is kept."""

from collections.abc import Mapping
from typing import Protocol

from callboard.model.check import AliasCheck, Check, Status
from callboard.model.instance import Instance, Node

Place = tuple[str, str, str]
"""Namespace, node (lower case), and instance, empty for the node alone."""


class Catalog(Protocol):
    """What is signed in."""

    nodes: dict[str, Node]
    instances: dict[Place, Instance]

    def checks_of(self, instance: Instance) -> list[Check]:
        """The checks of an instance, by id."""
        ...

    def checks_of_node(self, node: str) -> list[Check]:
        """The checks of the node itself, by id."""
        ...


def behind(catalog: Catalog, alias: Check) -> tuple[Status, str]:
    """The first critical thing behind an alias, near ones first; else the first warning."""
    said: dict[Status, str] = {}
    others, looking, visited = False, [alias], set[Place]()
    for watcher in looking:
        place = _place(watcher)
        words = "" if _same(watcher, alias) else f'Aliased check "{watcher.name}" failing: '
        missing = _missing(catalog.nodes, catalog.instances, place, watcher)
        if missing:
            said.setdefault(Status.CRITICAL, words + missing)
        if missing or place in visited:
            continue
        visited.add(place)
        there = [*catalog.checks_of_node(place[1]), *(catalog.checks_of(catalog.instances[place]) if place[2] else [])]
        others = others or any(not _same(check, alias) for check in there)
        looking += [check for check in there if isinstance(check.definition, AliasCheck)]
        for check in there:
            if not isinstance(check.definition, AliasCheck) and check.status is not Status.PASSING:
                status = Status.WARNING if check.status is Status.WARNING else Status.CRITICAL
                said.setdefault(status, f'Aliased check "{check.name}" failing: {check.output}')
    for status in (Status.CRITICAL, Status.WARNING):
        if status in said:
            return status, said[status]
    return Status.PASSING, "All checks passing." if others else "No checks found."


def _place(watcher: Check) -> Place:
    assert isinstance(watcher.definition, AliasCheck)
    return watcher.namespace, watcher.definition.alias_node.lower() or watcher.node, watcher.definition.alias_service


def _missing(nodes: Mapping[str, Node], instances: Mapping[Place, Instance], place: Place, watcher: Check) -> str:
    assert isinstance(watcher.definition, AliasCheck)
    shown = watcher.definition.alias_node or watcher.node
    if place[2]:
        return "" if place in instances else f"Service {place[2]} could not be found on node {shown}"
    return "" if place[1] in nodes else f"Node {shown} could not be found"


def _same(one: Check, other: Check) -> bool:
    return (one.namespace, one.node, one.id) == (other.namespace, other.node, other.id)

"""What lists say of each service, worked out again only for services that have changed: a list costs its length, not the whole catalog.

Nothing is kept of a namespace until somebody asks for its list; from then on it lives as long as the door, or the namespace. It must be
told of every group before anybody asks for a list again: whoever has one subscribes to the registry when it is built, and so before HTTP.
Pure.
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from callboard.core.catalog.changes import Changes
from callboard.core.catalog.view import View
from callboard.model.check import Check

T = TypeVar("T")


class _Names(Generic[T]):
    """One namespace: what is known, by service in lower case and in order of it, and what is no longer right."""

    __slots__ = ("changed", "known")

    def __init__(self) -> None:
        self.known: dict[str, T] = {}
        self.changed: set[str] = set()


class Listing(Generic[T]):
    """A value for each service."""

    __slots__ = ("_make", "_spaces", "_with_health")

    def __init__(self, make: Callable[[View, str, str], T], *, with_health: bool) -> None:
        """`make` tells of a service (lower case) of a namespace; `with_health` when that depends on checks and nodes, too."""
        self._make = make
        self._with_health = with_health
        self._spaces: dict[str, _Names[T]] = {}

    @property
    def count(self) -> int:
        """Of how many services something is kept."""
        return sum(len(names.known.keys() | names.changed) for names in self._spaces.values())

    def of(self, view: View, namespace: str) -> Mapping[str, T]:
        """What there is to tell of every service, by its name in lower case; in order."""
        space = view.spaces.get(namespace)
        if space is None:
            return {}
        names = self._spaces.get(namespace)
        if names is None:
            names = self._spaces[namespace] = _Names()
            names.changed.update(space.by_service)
        known, there = names.known, space.by_service
        is_new = False
        for service in names.changed:
            if service in there:
                is_new |= service not in known
                known[service] = self._make(view, namespace, service)
            else:
                known.pop(service, None)
        names.changed.clear()
        if is_new:
            names.known = dict(sorted(known.items()))
        return names.known

    def apply(self, view: View, changes: Changes) -> None:
        """Take what a group has changed, which `view` shows."""
        for namespace in self._spaces.keys() - view.spaces.keys():
            del self._spaces[namespace]
        if not self._spaces:
            return
        for change in changes.instances:
            for instance in (change.before, change.after):
                if instance is not None:
                    self._mark(view, instance.namespace, instance.service)
        if self._with_health:
            self._apply_health(view, changes)

    def _apply_health(self, view: View, changes: Changes) -> None:
        for change in changes.checks:
            for check in (change.before, change.after):
                if check is not None:
                    self._mark_holder(view, check)
        for node_change in changes.nodes:
            node = node_change.after or node_change.before
            if node is not None:
                self._mark_node(view, node.name.lower())

    def _mark_holder(self, view: View, check: Check) -> None:
        if not check.instance:
            self._mark_node(view, check.node)
        elif (placed := view.placed(check.namespace, check.node, check.instance)) is not None:
            self._mark(view, check.namespace, placed.instance.service)

    def _mark_node(self, view: View, node: str) -> None:
        for namespace in self._spaces:
            for placed in view.on_node(namespace, node).values():
                self._mark(view, namespace, placed.instance.service)

    def _mark(self, view: View, namespace: str, service: str) -> None:
        """What is gone is forgotten at once: nobody may ever ask again, while there are new names all the time."""
        names = self._spaces.get(namespace)
        if names is None:
            return
        name = service.lower()
        if name in view.spaces[namespace].by_service:
            names.changed.add(name)
        else:
            names.changed.discard(name)
            names.known.pop(name, None)

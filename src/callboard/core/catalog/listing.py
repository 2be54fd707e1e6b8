"""What lists say of each service, worked out again only for services that have changed: a list costs its length, not the whole catalog.

Nothing is kept of a namespace until somebody asks for its list; from then on it lives as long as the door, or the namespace. It must be
told of every group before anybody asks for a list again: whoever has one subscribes to the registry when it is built, and so before HTTP.
The first list of a large catalog is much work: who does not want to do it in one go calls `step` while `much`. Pure.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Generic, TypeVar

from callboard.core.catalog.changes import Changes
from callboard.core.catalog.view import View
from callboard.model.check import Check

T = TypeVar("T")
_STEP_INSTANCES_COUNT: Final = 5_000
"""Instances that are looked at in one go."""


class _Names(Generic[T]):
    """One namespace: what is known, by service in lower case, in order of it but for new ones, and what is no longer right."""

    __slots__ = ("changed", "due", "is_new", "known", "round_count")

    def __init__(self, services: Iterable[str]) -> None:
        self.known: dict[str, T] = {}
        self.changed: set[str] = set(services)
        self.is_new = False
        self.due: list[str] = []
        """What had changed when this round of steps began, and is left of it."""
        self.round_count = 0
        """How many it then were."""


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
        names = self._names(view, namespace)
        if names is None:
            return {}
        for service in list(names.changed):
            self._renew(view, namespace, names, service)
        if names.is_new:
            names.known = dict(sorted(names.known.items()))
            names.is_new = False
        return names.known

    def much(self, view: View, namespace: str) -> bool:
        """Whether more is to be looked at for the next list than should be in one go."""
        names = self._names(view, namespace)
        if names is None:
            return False
        if len(names.changed) > _STEP_INSTANCES_COUNT:
            return True
        return sum(len(view.of_service(namespace, service)) for service in names.changed) > _STEP_INSTANCES_COUNT

    def step(self, view: View, namespace: str) -> bool:
        """Do some of what the next list takes, one service at least; answers whether it was the last step: little is left, or services
        change as fast as they are worked out. What changes meanwhile is for another round, while rounds halve."""
        names = self._names(view, namespace)
        if names is None:
            return True
        if not names.due:
            names.due = list(names.changed)
            names.round_count = len(names.due)
        count = 0
        while names.due and count < _STEP_INSTANCES_COUNT:
            service = names.due.pop()
            if service in names.changed:
                count += self._renew(view, namespace, names, service)
        return not names.due and (2 * len(names.changed) > names.round_count or not self.much(view, namespace))

    def _names(self, view: View, namespace: str) -> _Names[T] | None:
        space = view.spaces.get(namespace)
        if space is None:
            return None
        names = self._spaces.get(namespace)
        if names is None:
            names = self._spaces[namespace] = _Names(space.by_service)
        return names

    def _renew(self, view: View, namespace: str, names: _Names[T], service: str) -> int:
        """Work out one of the services that have changed; answers how much was looked at. One that cannot be has changed still."""
        members = view.of_service(namespace, service)
        if members:
            names.is_new |= service not in names.known
            names.known[service] = self._make(view, namespace, service)
        else:
            names.known.pop(service, None)
        names.changed.discard(service)
        return 1 + len(members)

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

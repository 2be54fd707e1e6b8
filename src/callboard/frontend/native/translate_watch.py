"""From the changes of groups to what watchers are told: one event per instance and group, whatever row of it changed."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from callboard.core.catalog import queries
from callboard.core.catalog.changes import Changes
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import Place, View
from callboard.frontend.native.translate import instance_state, visible
from callboard.model import names
from callboard.model.check import Check
from callboard.model.instance import Instance, Node, Placed
from callboard.model.rows import Revision
from callboard.wire import native, native_events

_AT_ONCE_MAX_COUNT: Final = 5_000
"""Instances that are gathered, or put in order, in one go."""
Identity = tuple[str, str, str]
"""Namespace, node (lower case), instance id."""


class Scope(NamedTuple):
    """What a watcher wants to hear about: services (lower case) of a namespace, or all of them but the servers' own entry."""

    namespace: str
    services: frozenset[str]
    own: Place

    def has(self, instance: Instance) -> bool:
        """Whether the instance belongs to it."""
        if instance.namespace != self.namespace:
            return False
        return instance.service.lower() in self.services if self.services else visible(instance, self.own)

    def found(self, view: View) -> list[Found]:
        """Every instance in it, in no order."""
        return [queries.find(view, placed) for members in self._members(view) for placed in members if self.has(placed.instance)]

    def picture(self, view: View) -> Iterator[Found | None]:
        """Every instance in it as it is now, by service, node and id, however late each is asked for: a large picture is put together
        while it is. None says that there was much to do and is nothing to show yet: time for others."""
        members = self._members(view)
        if sum(map(len, members)) <= _AT_ONCE_MAX_COUNT:
            return iter([*self._in_order(view, members)])
        return self._in_order(view.still(), members)

    def _members(self, view: View) -> list[list[Placed]]:
        services = sorted(self.services or view.services(self.namespace))
        return [list(view.of_service(self.namespace, service).values()) for service in services]

    def _in_order(self, view: View, services: list[list[Placed]]) -> Iterator[Found | None]:
        for members in services:
            for placed in _by_place(members):
                if placed is None:
                    yield None
                elif self.has(placed.instance):
                    yield queries.find(view, placed)


def _by_place(members: list[Placed]) -> Iterator[Placed | None]:
    """By node and id; a large service is put in order piece by piece, with time for others after each."""
    if len(members) <= _AT_ONCE_MAX_COUNT:
        yield from sorted(members, key=queries.place_of)
        return
    pieces = []
    for start in range(0, len(members), _AT_ONCE_MAX_COUNT):
        pieces.append(sorted(members[start : start + _AT_ONCE_MAX_COUNT], key=queries.place_of))
        yield None
    yield from heapq.merge(*pieces, key=queries.place_of)


class Turn:
    """An instance that groups have touched: as it was before them, and as it is after. Encoded at most once, for all watchers."""

    def __init__(self, revision: Revision, before: Found | None, after: Found | None) -> None:
        self.revision = revision
        self.before = before
        self.after = after

    def kinds(self, scope: Scope) -> tuple[native_events.Kind, ...]:
        """What it is in the eyes of a watcher; nothing when it is none of his business. A move to another service is two events."""
        was = self.before is not None and scope.has(self.before.instance)
        now = self.after is not None and scope.has(self.after.instance)
        if was and now:
            return ("removed", "added") if self._moved else ("changed",)
        return ("added",) if now else ("removed",) if was else ()

    @property
    def _moved(self) -> bool:
        before, after = self.before, self.after
        return before is not None and after is not None and before.instance.service != after.instance.service

    @cached_property
    def now(self) -> bytes:
        """Event data of its present state."""
        assert self.after is not None, "asked for only when it is there"
        return event_data(self.revision, self.after)

    @cached_property
    def last(self) -> bytes:
        """Event data of its last state."""
        assert self.before is not None, "asked for only when it was there"
        return event_data(self.revision, self.before)

    def frame(self, kind: native_events.Kind) -> bytes:
        """The event."""
        return native_events.event(kind, self.last if kind == "removed" else self.now)


def event_data(revision: Revision, found: Found) -> bytes:
    """What `added`, `changed` and `removed` carry."""
    return native_events.data(native.InstanceEvent(revision, instance_state(found)))


def turns(view: View, groups: Iterable[Changes], revision: Revision) -> list[Turn]:
    """What `groups`, which `view` at `revision` has folded, did to each instance: one turn however many rows and groups touched it."""
    groups = list(groups)
    gathering = _Gathering(view, {c.before.name.lower(): c.before for group in groups for c in group.nodes if c.before is not None})
    for changes in groups:
        gathering.add(changes)
    return list(gathering.turns(revision))


@dataclass(slots=True)
class _Row:
    """What groups did to the row of an instance: the row before the first of them, and its last state when the last one removed it."""

    before: Instance | None
    gone: Found | None = None


@dataclass(slots=True)
class _Gathering:
    view: View
    left: dict[str, Node]
    """Nodes that changed or left, by lower-case name."""
    rows: dict[Identity, _Row] = field(default_factory=dict)
    touched: set[Identity] = field(default_factory=set)
    """Through their checks or their node."""

    def add(self, changes: Changes) -> None:
        removed: dict[Identity, list[Check]] = defaultdict(list)
        for check_change in changes.checks:
            for check in (check_change.before, check_change.after):
                if check is not None:
                    self._touch(check)
            if check_change.before is not None and check_change.after is None:
                removed[_holder(check_change.before)].append(check_change.before)
        for change in changes.instances:
            instance = change.after or change.before
            if instance is not None:
                row = self.rows.setdefault((instance.namespace, instance.node, instance.id), _Row(change.before))
                row.gone = self._last_state(instance, removed) if change.after is None else None
        for node_change in changes.nodes:
            if node_change.after is not None:
                self._touch_node(node_change.after.name.lower())

    def _touch(self, check: Check) -> None:
        if check.instance:
            self.touched.add(_holder(check))
        else:
            self._touch_node(check.node)

    def _touch_node(self, node: str) -> None:
        for namespace in self.view.spaces:
            self.touched.update((namespace, node, instance) for instance in self.view.on_node(namespace, node))

    def _last_state(self, instance: Instance, removed: dict[Identity, list[Check]]) -> Found:
        node = self.view.nodes.get(instance.node) or self.left[instance.node]
        of_node = [*queries.checks_of_node(self.view, instance.node), *removed[names.PUBLIC, instance.node, ""]]
        return Found(node, instance, (*of_node, *removed[instance.namespace, instance.node, instance.id]))

    def turns(self, revision: Revision) -> Iterator[Turn]:
        for identity in sorted(self.touched | self.rows.keys()):
            placed = self.view.placed(*identity)
            after = queries.find(self.view, placed) if placed is not None else None
            row = self.rows.get(identity)
            before = after if row is None else _before(row, after)
            if before is not None or after is not None:
                yield Turn(revision, before, after)


def _before(row: _Row, after: Found | None) -> Found | None:
    """An instance before the first group. It is told of by the service it had then, for that is where its watchers knew it."""
    there = after or row.gone
    if row.before is None or there is None:
        return None
    moved = row.before.service != there.instance.service
    return there._replace(instance=row.before) if moved or after is not None else there


def _holder(check: Check) -> Identity:
    """The instance a check belongs to; with an empty id, its node."""
    return check.namespace, check.node, check.instance

"""What one command may read while it is planned, and what it wants to change. A draft lives for one plan.

Every row that leaves a topic raises that topic's floor in the same draft, so that no index ever falls: removing a row says so by itself,
and so does an instance that changes its service, and a check that changes its instance.
"""

from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from typing import Final

from msgspec.structs import replace

from callboard.core.catalog.aliases import AliasKey
from callboard.core.catalog.codec import Epoch, Floor, Term, encode
from callboard.core.catalog.connected import leaves, topics_of
from callboard.core.catalog.overlay import Holder, Overlay, Value
from callboard.core.catalog.view import View
from callboard.model.check import AliasCheck, Check
from callboard.model.instance import Instance, Node
from callboard.model.names import PUBLIC
from callboard.model.rows import (
    GLOBAL_FLOOR,
    META_EPOCH,
    META_TERM,
    ZERO,
    Key,
    Revision,
    Row,
    check_key,
    coordinate_key,
    floor_key,
    instance_key,
    node_key,
)  # fmt: skip
from callboard.model.topics import (
    COORDINATES,
    NODES,
    Topic,
    checks_topic,
    connect_topic,
    node_health_topic,
    node_topic,
    service_topic,
    services_topic,
)


class _From(Enum):
    """Where a row is read from when nobody has planned it."""

    VIEW = 0


_VIEW: Final = _From.VIEW


class Draft:
    """Reads go through the command's own changes, then the overlay, then the view."""

    __slots__ = (
        "_floor", "_global_floor", "_put_checks", "_rows", "_unplaced", "_values", "aliased", "overlay", "revision", "touched", "view",
    )  # fmt: skip

    def __init__(self, view: View, overlay: Overlay, revision: Revision) -> None:
        self.view = view
        self.overlay = overlay
        self.revision = revision
        """The revision the command gets if it changes something."""
        self.touched: set[Holder] = set()
        """Instances that come or go or have other checks; an empty id: the node itself."""
        self.aliased: set[AliasKey] = set()
        """Aliases among the checks that are made or replaced."""
        self._values: dict[Key, Value | None] = {}
        self._rows: dict[Key, Row | None] = {}
        self._put_checks: dict[Holder, set[str]] = {}
        """Ids of the checks that this draft has put, by what each then belonged to."""
        self._unplaced: list[Check] = []
        """Those that are not among them yet: few plans ask."""
        self._global_floor = ZERO
        self._floor = b""

    @property
    def rows(self) -> dict[Key, Row | None]:
        """What the command changes; empty when nothing."""
        return self._rows

    @property
    def values(self) -> Mapping[Key, Value | None]:
        """The same as values, without floors; None for what goes."""
        return self._values

    def accept(self) -> None:
        """Make the changes part of the overlay."""
        overlay = self.overlay
        overlay.put(self._values, self.revision)
        if self._floor or self._global_floor:
            for key in self._rows:
                if key.startswith("f/"):
                    overlay.floors[key] = self.revision
            overlay.global_floor = max(overlay.global_floor, self.global_floor)

    # -- reading

    def node(self, node: str) -> Node | None:
        """A node by its name in lower case."""
        value = self._planned(node_key(node))
        if value is _VIEW:
            return self.view.nodes.get(node)
        return value if isinstance(value, Node) else None

    def instance(self, namespace: str, node: str, instance: str) -> Instance | None:
        """An instance by its identity."""
        value = self._planned(instance_key(namespace, node, instance))
        if value is _VIEW:
            placed = self.view.placed(namespace, node, instance)
            return placed.instance if placed is not None else None
        return value if isinstance(value, Instance) else None

    def check(self, namespace: str, node: str, check: str) -> Check | None:
        """A check by its identity."""
        value = self._planned(check_key(namespace, node, check))
        if value is _VIEW:
            return self.view.check(namespace, node, check)
        return value if isinstance(value, Check) else None

    def beside(self, key: Key, shown: Value | None) -> Value | None:
        """What stands beside the catalog under a key: as it is planned, else as the view shows it."""
        value = self._planned(key)
        return shown if value is _VIEW else value

    def _planned(self, key: Key) -> Value | _From | None:
        """What a row is to be, by this command or an earlier one; `_VIEW` when it is to stay as it is."""
        value = self._values.get(key, _VIEW)
        if value is not _VIEW:
            return value
        entry = self.overlay.entries.get(key)
        return entry.value if entry is not None else _VIEW

    def checks_of(self, namespace: str, node: str, instance: str) -> list[Check]:
        """The checks of an instance, by id."""
        placed = self.view.placed(namespace, node, instance)
        found = {check.id for check in placed.checks} if placed is not None else set()
        found.update(check.id for check in self.overlay.checks_of(namespace, node, instance))
        found.update(self._put_on((namespace, node, instance)))
        checks = (self.check(namespace, node, check) for check in sorted(found))
        return [check for check in checks if check is not None and check.instance == instance]

    def checks_of_node(self, node: str) -> list[Check]:
        """The checks of a node itself, by id."""
        found = set(self.view.checks_of_node(node))
        found.update(check.id for check in self.overlay.checks_of(PUBLIC, node, ""))
        found.update(self._put_on((PUBLIC, node, "")))
        checks = (self.check(PUBLIC, node, check) for check in sorted(found))
        return [check for check in checks if check is not None and not check.instance]

    def _put_on(self, holder: Holder) -> Collection[str]:
        for check in self._unplaced:
            self._put_checks.setdefault((check.namespace, check.node, check.instance), set()).add(check.id)
        self._unplaced.clear()
        return self._put_checks.get(holder, ())

    def contents(self, node: str) -> tuple[list[Instance], list[Check]]:
        """Everything on a node, in every namespace."""
        found = list(self._on_node(node))
        return [value for value in found if isinstance(value, Instance)], [value for value in found if isinstance(value, Check)]

    def occupied(self, node: str) -> bool:
        """Whether anything is on a node. One that goes with many others must not look at all of them each time."""
        in_view = sum(len(space.by_node.get(node, ())) + len(space.holders.get(node, ())) for space in self.view.spaces.values())
        if in_view > self.overlay.gone_count(node) + len(self._values):
            return True
        return next(self._on_node(node), None) is not None

    def _on_node(self, node: str) -> Iterator[Instance | Check]:
        mine, entries = self._values, self.overlay.entries
        yield from (value for value in mine.values() if isinstance(value, Instance | Check) and value.node == node)
        yield from (value for key, value in self.overlay.on_node(node) if key not in mine)
        for namespace, space in self.view.spaces.items():
            for instance_id, placed in space.by_node.get(node, {}).items():
                key = instance_key(namespace, node, instance_id)
                if key not in mine and key not in entries:
                    yield placed.instance
            for check_id in space.holders.get(node, {}):
                key = check_key(namespace, node, check_id)
                check = self.view.check(namespace, node, check_id)
                if check is not None and key not in mine and key not in entries:
                    yield check

    # -- changing

    def put_node(self, node: Node) -> None:
        """Make or replace a node."""
        self.touched.add((PUBLIC, node.name.lower(), ""))
        self._put(node_key(node.name.lower()), node)

    def put_instance(self, instance: Instance, before: Instance | None) -> None:
        """Make an instance, or replace what this draft has `before` in its place."""
        place = instance.namespace, instance.node, instance.id
        self.touched.add(place)
        if before is not None:
            if before.service != instance.service:
                self._raise(service_topic(before.namespace, before.service))
            if leaves(before, instance):
                self._raise(connect_topic(before.namespace, before.connects))
            if shown_with_checks(before) != shown_with_checks(instance) and self.checks_of(*place):
                self._raise(checks_topic(instance.namespace))
        self._put(instance_key(*place), instance)

    def put_check(self, check: Check, before: Check | None) -> None:
        """Make a check, or replace what this draft has `before` in its place."""
        if before is not None and before.instance != check.instance:
            self._leaves_holder(before)
            self.touched.add((before.namespace, before.node, before.instance))
        self.touched.add((check.namespace, check.node, check.instance))
        self._unplaced.append(check)
        if isinstance(check.definition, AliasCheck):
            self.aliased.add((check.namespace, check.node, check.id))
        self._put(check_key(check.namespace, check.node, check.id), check)

    def remove_node(self, node: Node) -> None:
        """Remove the row of a node; what is on it must go first."""
        name = node.name.lower()
        self.touched.add((PUBLIC, name, ""))
        if self.beside(coordinate_key(name), self.view.coordinates.get(name)) is not None:
            self._raise(COORDINATES)
            self._remove(coordinate_key(name))
        self._raise(NODES, node_topic(name), node_health_topic(name))
        self._remove(node_key(name))

    def remove_instance(self, instance: Instance) -> None:
        """Remove an instance and its checks."""
        for check in self.checks_of(instance.namespace, instance.node, instance.id):
            self.remove_check(check)
        self.touched.add((instance.namespace, instance.node, instance.id))
        self._raise(*topics_of(instance), node_topic(instance.node), services_topic(instance.namespace))
        self._remove(instance_key(instance.namespace, instance.node, instance.id))

    def remove_check(self, check: Check) -> None:
        """Remove a check."""
        self.touched.add((check.namespace, check.node, check.instance))
        self._leaves_holder(check)
        self._raise(checks_topic(check.namespace), node_topic(check.node))
        self._remove(check_key(check.namespace, check.node, check.id))

    def put_beside(self, key: Key, value: Value) -> None:
        """Make or replace what stands beside the catalog."""
        self._put(key, value)

    def swap(self, values: Mapping[Key, Value | None]) -> None:
        """Put and remove rows of any table as they are, for a catalog that is replaced; every index rises."""
        for key, value in values.items():
            if value is None:
                self._remove(key)
                continue
            self._put(key, value)
            if isinstance(value, Check):
                self._unplaced.append(value)
        self.raise_every_index()

    def put_term(self, term: Term) -> None:
        """Say who leads."""
        self._rows[META_TERM] = Row(META_TERM, encode(term), self.revision)

    @property
    def global_floor(self) -> Revision:
        """The floor of every topic, as this command and the planned ones leave it."""
        return max(self._global_floor, self.overlay.global_floor, self.view.global_floor)

    def put_epoch(self, epoch: Epoch) -> None:
        """Name the history."""
        self._rows[META_EPOCH] = Row(META_EPOCH, encode(epoch), self.revision)

    def raise_every_index(self) -> None:
        """No index of any topic is below this command from now on."""
        self._global_floor = self.revision
        self._rows[GLOBAL_FLOOR] = Row(GLOBAL_FLOOR, encode(Floor(self.revision)), self.revision)

    def sweep_floor(self, topic: str, revision: Revision) -> None:
        """Delete a floor, and raise the global one to its revision: that may only rise, also while an earlier sweep is not durable."""
        self._global_floor = max(self.global_floor, revision)
        self._rows[floor_key(topic)] = None
        self._rows[GLOBAL_FLOOR] = Row(GLOBAL_FLOOR, encode(Floor(self._global_floor)), self.revision)

    def _leaves_holder(self, check: Check) -> None:
        if not check.instance:
            self._raise(node_health_topic(check.node))
            return
        holder = self.instance(check.namespace, check.node, check.instance)
        if holder is not None:
            self._raise(*topics_of(holder))

    def _raise(self, *topics: Topic) -> None:
        if not self._floor:
            self._floor = encode(Floor(self.revision))
        for topic in topics:
            key = floor_key(topic)
            self._rows[key] = Row(key, self._floor, self.revision)

    def _put(self, key: Key, value: Value) -> None:
        if value.modified:
            value = replace(value, modified=ZERO)
        self._values[key] = value
        self._rows[key] = Row(key, encode(value), self.revision)

    def _remove(self, key: Key) -> None:
        self._values[key] = None
        self._rows[key] = None


def shown_with_checks(instance: Instance) -> tuple[str, tuple[str, ...]]:
    """What lists of checks show of the instance a check belongs to: a change of it is a change of those lists."""
    return instance.service, instance.tags

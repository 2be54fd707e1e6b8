"""The overlay: rows of commands that are planned but not yet durable, above the leader's view. Only planning reads it.

It lives at the leader. An entry goes when its group was folded into the view, and all go when a group failed.
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from msgspec import Struct

from callboard.core.catalog.aliases import Aliases
from callboard.model.autopilot import Autopilot
from callboard.model.check import AliasCheck, Check
from callboard.model.coordinate import Coordinate
from callboard.model.event import Event
from callboard.model.instance import Instance, Node
from callboard.model.rows import ZERO, Group, Key, Revision, split_key

Value = Node | Instance | Check | Event | Coordinate | Autopilot
Place = TypeVar("Place")
_PLACED: Final = (Instance, Check)
Holder = tuple[str, str, str]
"""Namespace, node and instance that a check belongs to; the instance is empty for a check of the node."""


class Entry(Struct, frozen=True, gc=False):
    """A planned row, or None for a planned removal, and the revision it will have."""

    value: Value | None
    revision: Revision


class Overlay:
    """Planned rows by key, and where the planned checks and instances belong.

    Most plans never ask what belongs where, so that is noted only when somebody does.
    """

    __slots__ = ("_by_holder", "_by_node", "_gone", "_unplaced", "aliases", "entries", "floors", "global_floor")

    def __init__(self) -> None:
        self.entries: dict[Key, Entry] = {}
        self.aliases = Aliases()
        """Planned aliases, by what they look at."""
        self.floors: dict[Key, Revision] = {}
        """Floors that planned commands raise or sweep, and the revision of the last such command."""
        self.global_floor = ZERO
        """The highest that planned sweeps raise it to."""
        self._by_holder: dict[Holder, set[Key]] = {}
        self._by_node: dict[str, set[Key]] = {}
        self._gone: dict[str, set[Key]] = {}
        self._unplaced: dict[Key, Instance | Check] = {}
        """What the two indexes above do not know yet."""

    def put(self, values: Mapping[Key, Value | None], revision: Revision) -> None:
        """Plan rows."""
        entries, unplaced = self.entries, self._unplaced
        for key, value in values.items():
            if key in entries:
                self._drop(key)
            entries[key] = Entry(value, revision)
            if isinstance(value, Instance):
                unplaced[key] = value
            elif isinstance(value, Check):
                unplaced[key] = value
                if isinstance(value.definition, AliasCheck):
                    self.aliases.replace(None, value)
            elif value is None:
                self._gone.setdefault(_node_of(key), set()).add(key)

    def _drop(self, key: Key) -> None:
        entry = self.entries.pop(key, None)
        if entry is None:
            return
        value = entry.value
        if value is None:
            _forget(self._gone, _node_of(key), key)
        elif isinstance(value, _PLACED):
            if self._unplaced.pop(key, None) is None:
                self._displace(key, value)
            if isinstance(value, Check) and isinstance(value.definition, AliasCheck):
                self.aliases.replace(value, None)

    def _place(self) -> None:
        """Note where everything belongs that was planned since this was last asked."""
        for key, value in self._unplaced.items():
            self._by_node.setdefault(value.node, set()).add(key)
            if isinstance(value, Check):
                self._by_holder.setdefault(_holder(value), set()).add(key)
        self._unplaced.clear()

    def _displace(self, key: Key, value: Instance | Check) -> None:
        _forget(self._by_node, value.node, key)
        if isinstance(value, Check):
            _forget(self._by_holder, _holder(value), key)

    def gone_count(self, node: str) -> int:
        """How many planned removals there are on a node, the node's own among them."""
        return len(self._gone.get(node, ()))

    def checks_of(self, namespace: str, node: str, instance: str) -> Iterator[Check]:
        """Planned checks of an instance, or with an empty id of the node."""
        if self._unplaced:
            self._place()
        for key in self._by_holder.get((namespace, node, instance), ()):
            value = self.entries[key].value
            assert isinstance(value, Check)
            yield value

    def on_node(self, node: str) -> Iterator[tuple[Key, Instance | Check]]:
        """Planned instances and checks on a node, with their keys."""
        if self._unplaced:
            self._place()
        for key in self._by_node.get(node, ()):
            value = self.entries[key].value
            assert isinstance(value, Instance | Check)
            yield key, value

    def folded(self, group: Group) -> None:
        """A group is in the view: forget its entries, but for those a later command planned again."""
        entries, floors, unplaced, last = self.entries, self.floors, self._unplaced, group.last
        aliases = bool(self.aliases)
        for key in group.rows:
            entry = entries.get(key)
            if entry is None:
                if floors.get(key, last + 1) <= last:
                    del floors[key]
            elif entry.revision <= last:
                if not aliases and unplaced.pop(key, None) is not None:
                    del entries[key]  # nothing else knows of it
                else:
                    self._drop(key)

    def clear(self) -> None:
        """A group failed."""
        self.entries.clear()
        self.aliases.clear()
        self.floors.clear()
        self.global_floor = ZERO
        self._by_holder.clear()
        self._by_node.clear()
        self._gone.clear()
        self._unplaced.clear()


def _node_of(key: Key) -> str:
    """The node in the key of a node, an instance or a check."""
    parts = split_key(key)
    return parts[1] if len(parts) == 2 else parts[2]


def _holder(check: Check) -> Holder:
    return check.namespace, check.node, check.instance


def _forget(keys: dict[Place, set[Key]], at: Place, key: Key) -> None:
    there = keys[at]
    there.discard(key)
    if not there:
        del keys[at]

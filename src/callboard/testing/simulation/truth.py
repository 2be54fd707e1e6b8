"""The truth of a run: every group that landed, and what the catalog was after each. All checks are held against it. It lives for a run."""

import bisect
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from callboard.model.rows import ZERO, CommandId, Group, Key, Position, Revision, Row
from callboard.testing.simulation.engine import Lease

VERSION: Final = "version"
"""Name in an instance's metadata under which its owner numbers what it asks for."""


class InstanceRow(Struct):
    """What matters of an instance's row."""

    id: str
    service: str
    meta: dict[str, str] = {}

    @property
    def version(self) -> str:
        """Which of its owner's wishes this is; empty for one that has no owner among the clients."""
        return self.meta.get(VERSION, "")


class CheckRow(Struct):
    """What matters of a check's row."""

    id: str
    status: str
    output: str = ""
    instance: str = ""


class Landed(NamedTuple):
    """One group, and what it changed among instances and checks."""

    group: Group
    lease: Lease
    at_s: float
    changed: frozenset[tuple[Key, Revision]]
    removed: frozenset[Key]


_read_instance: Final = msgspec.json.Decoder(InstanceRow).decode
_read_check: Final = msgspec.json.Decoder(CheckRow).decode
State = InstanceRow | CheckRow | None
Step = tuple[Key, Revision, State]


def read(key: Key, row: Row) -> InstanceRow | CheckRow:
    """The row's value."""
    return _read_instance(row.value) if key.startswith("i/") else _read_check(row.value)


class Truth:
    """Grows group by group; a rewound engine cuts it."""

    def __init__(self) -> None:
        self.groups: list[Landed] = []
        self.applied: dict[CommandId, Revision] = {}
        """Commands that changed something, and the revision each did it at."""
        self.undone: set[CommandId] = set()
        """Commands that were applied, and were not after the engine was put back."""
        self.marks: set[bytes] = set()
        """Of all groups that ever landed."""
        self.acknowledged = ZERO
        """Highest revision that anybody was told of."""
        self.rewinds = 0
        self._revisions: dict[Key, list[Revision]] = {}
        self._states: dict[Key, list[State]] = {}
        self._places: dict[Revision, int] = {}

    def state(self, key: Key, at: Revision | None = None) -> State:
        """What a row was at a revision; now when none is given."""
        revisions = self._revisions.get(key)
        if revisions is None:
            return None
        place = len(revisions) if at is None else bisect.bisect_right(revisions, at)
        return self._states[key][place - 1] if place else None

    def revision_of(self, key: Key, at: Revision) -> Revision | None:
        """When the row that was there at a revision was written; None when there was none."""
        revisions = self._revisions.get(key)
        place = bisect.bisect_right(revisions, at) if revisions is not None else 0
        return revisions[place - 1] if revisions is not None and place and self._states[key][place - 1] is not None else None

    def all_keys(self) -> Iterator[Key]:
        """Of every row there ever was."""
        return iter(self._revisions)

    def place(self, last: Revision) -> int | None:
        """Of the group that ends at that revision, among `groups`."""
        return self._places.get(last)

    def add(self, group: Group, lease: Lease, at_s: float, steps: Sequence[Step]) -> tuple[Landed, list[tuple[Key, State, State]]]:
        """One more group; answers what it did to instances and checks: key, before, after.

        The rows of a group tell the last state of each key; `steps` are those in between, of commands that share the group.
        """
        changed: list[tuple[Key, Revision]] = []
        removed: list[Key] = []
        turns: list[tuple[Key, State, State]] = []
        befores = {key: self.state(key) for key in group.rows if key[:2] in {"i/", "c/"}}
        self._step(group, steps)
        for key, before in befores.items():
            row = group.rows[key]
            if row is not None:
                changed.append((key, row.revision))
                after: State = read(key, row)
            elif before is not None:
                removed.append(key)
                after = None
            else:
                continue
            turns.append((key, before, after))
            if after is not None or self.state(key) is not None:
                self._put(key, row.revision if row is not None else group.last, after)
        landed = Landed(group, lease, at_s, frozenset(changed), frozenset(removed))
        self.marks.add(group.mark)
        self._places[group.last] = len(self.groups)
        self.groups.append(landed)
        for outcome in group.outcomes:
            if outcome.changed:
                self.applied[outcome.command] = outcome.revision
        return landed, turns

    def _step(self, group: Group, steps: Sequence[Step]) -> None:
        for key, revision, state in steps:
            row = group.rows.get(key, group)
            if row is None or (isinstance(row, Row) and revision < row.revision):
                self._put(key, revision, state)

    def _put(self, key: Key, revision: Revision, state: State) -> None:
        self._revisions.setdefault(key, []).append(revision)
        self._states.setdefault(key, []).append(state)

    def cut(self, to: Position) -> None:
        """Everything after `to` never was."""
        self.rewinds += 1
        while self.groups and self.groups[-1].group.last > to.revision:
            landed = self.groups.pop()
            del self._places[landed.group.last]
            for outcome in landed.group.outcomes:
                if outcome.changed and self.applied.pop(outcome.command, None) is not None:
                    self.undone.add(outcome.command)
        for key, revisions in self._revisions.items():
            keep = bisect.bisect_right(revisions, to.revision)
            del revisions[keep:], self._states[key][keep:]
        self.acknowledged = min(self.acknowledged, to.revision)

"""The contract of a store, and its guarantees by name. `callboard.testing.store_suite` holds every store to them.

A store holds rows, takes groups of changes from the one member that leads, and tells every member each group once, in order. It knows
nothing of services: keys are exact text, values are bytes.

Guarantees
    Ordered     `follow` yields groups in the order they were committed.
    Unique      `follow` yields no group twice.
    Atomic      a group is yielded, loaded and kept whole or not at all.
    Reliable    `follow` leaves no group with rows out.
    OneHistory  a position that is not of this history (rewound, forked or edited engine) raises `DivergedError` from `follow`; one
                that is no longer kept raises `CompactedError`. Neither ever waits in silence.
    Snapshot    `load`, then `follow` from its position: no gap, no repeat.
    Durable     a group whose `commit` returned is there after a crash of the process or of the machine (`Caps.durable`).
    Fenced      a group of a deposed leader, or one whose `after` is not meta/head, never lands.
    Head        `head` answers a position at or after every group acknowledged before the call.
    Lease       at most one confirmed leadership at a time, and at most one confirmed membership of a name.
    Told        where `Caps.shared`, `follow` yields each group with the outcomes it was committed with.
    Present     `members` tells who is present: everyone who joined, until it leaves or its lease ends.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from callboard.model.errors import CompactedError, DivergedError, InvalidError, TooLargeError
from callboard.model.members import Card
from callboard.model.rows import META_HEAD, REVISION_LIMIT, Group, Key, Position, Row
from callboard.model.time import Instant


@dataclass(frozen=True, slots=True)
class Caps:
    """Limits of an engine, found when it is opened. `durable`: what was acknowledged survives the end of the process."""

    value_bytes: int
    group_rows: int
    """Rows of a group that goes in one transaction. Larger ones are carried in parts, which costs several."""
    group_bytes: int
    durable: bool
    shared: bool = False
    """Several members, each a process of its own, may use the engine at once."""
    parts_rows: int = 0
    """Rows of a group at all, in parts where that is needed; 0 where no group is carried in parts."""
    parts_bytes: int = 0
    held: bool = False
    """The engine is open in this process, and the others use it through this one: once this one has lost the lead, it must start anew."""

    @property
    def others_lead(self) -> bool:
        """Another process may lead when this one does not."""
        return self.shared and not self.held

    @property
    def rows_limit(self) -> int:
        """Rows of the largest group."""
        return max(self.group_rows, self.parts_rows)

    @property
    def bytes_limit(self) -> int:
        """Bytes of the largest group."""
        return max(self.group_bytes, self.parts_bytes)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every row at exactly `position`, in batches, in no order; only meta/head, which is `position` itself, is not among them.

    A load that takes too long for the engine to keep that state ends with `CompactedError`: load again.
    """

    position: Position
    batches: AsyncIterator[Sequence[Row]]


class Leadership(Protocol):
    """The right to commit, held by one member until it is lost or given up."""

    def confirmed_until(self) -> Instant | None:
        """The moment up to which nobody else can lead; None when only this process ends it (a kernel lock); 0 once it is over."""
        ...

    async def lost(self) -> None:
        """Return when the leadership is over."""
        ...

    async def resign(self) -> None:
        """Give it up; later commits by it raise `DeposedError`."""
        ...


class Membership(Protocol):
    """The presence of one member: others see its card as long as this lasts."""

    def confirmed_until(self) -> Instant | None:
        """The moment up to which it is surely present; None when only this process ends it; 0 once it is over."""
        ...

    async def lost(self) -> None:
        """Return when it is over."""
        ...

    async def leave(self) -> None:
        """End it; the others are told."""
        ...


@dataclass(frozen=True, slots=True)
class Health:
    """How the engine is, as this store last saw it; for people and metrics, never for decisions."""

    reachable: bool
    detail: str = ""
    """What is wrong, in a sentence; empty when nothing is."""
    version: str = ""
    size_bytes: int = 0
    size_max_bytes: int = 0
    """Where the engine has a quota; else 0."""


class Store(Protocol):
    """An engine that holds the rows; see the module for the guarantees named on each method."""

    @property
    def caps(self) -> Caps:
        """Valid after `open`."""
        ...

    async def open(self) -> None:
        """Create or attach. Raises `LockedError`, `UnavailableError`."""
        ...

    async def load(self) -> Snapshot:
        """Snapshot."""
        ...

    def follow(self, after: Position) -> AsyncIterator[Group]:
        """Ordered, Unique, Atomic, Reliable, OneHistory. Groups without rows are not yielded. Raises `CompactedError`, `DivergedError`."""
        ...

    async def head(self) -> Position:
        """Head."""
        ...

    async def campaign(self, member: str) -> Leadership:
        """Lease. Returns when elected."""
        ...

    async def commit(self, group: Group, by: Leadership) -> Position:
        """Durable, Atomic, Fenced. Answers the group's position. A group without rows is a fenced read: judged, not written.

        The store writes meta/head with every group that has rows; no group names it. Raises `DeposedError`, `UnavailableError` (surely
        not applied), `IndeterminateError`, `TooLargeError`, `FullError`, `InvalidError`. After `IndeterminateError` the same group may be
        committed again by the same leadership: it lands at most once, and is answered with its position if it had landed.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; open iterators end."""
        ...

    async def join(self, card: Card) -> Membership:
        """Lease, Present. Raises `LockedError` when another present member has this name, `UnavailableError`."""
        ...

    def members(self) -> AsyncIterator[tuple[Card, ...]]:
        """Present: who is there now, by name, at once and after each change; changes in between may be told together. Goes on over
        engine failures; ends with `close`."""
        ...

    def health(self) -> Health:
        """How the engine is."""
        ...


def judge_limits(rows: Mapping[Key, Row | None], caps: Caps) -> None:
    """Are these rows small enough for one group? Pure, so that a leader can ask for one command alone. Raises `TooLargeError`."""
    if len(rows) > caps.rows_limit:
        raise TooLargeError(f"{len(rows)} rows in one group, the store takes {caps.rows_limit}")
    values = [row.value for row in rows.values() if row is not None]
    largest = max(map(len, values), default=0)
    if largest > caps.value_bytes:
        key = next(key for key, row in rows.items() if row is not None and len(row.value) == largest)
        raise TooLargeError(f"the value of {key} has {largest} bytes, the store takes {caps.value_bytes}")
    total = sum(map(len, rows)) + sum(map(len, values))
    if total > caps.bytes_limit:
        raise TooLargeError(f"{total} bytes in one group, the store takes {caps.bytes_limit}")


def judge_group(group: Group, caps: Caps) -> None:
    """May this group be written at all, whatever the engine holds? Raises `InvalidError`, `TooLargeError`."""
    if not group.rows:
        return
    if not group.after.revision < group.first <= group.last < REVISION_LIMIT:
        raise InvalidError("group", f"numbers must grow: after {group.after.revision}, first {group.first}, last {group.last}")
    if not group.mark or group.mark == group.after.mark:
        raise InvalidError("group.mark", "must be new and not empty")
    if META_HEAD in group.rows:
        raise InvalidError("group.rows", f"{META_HEAD} is written by the store")
    judge_limits(group.rows, caps)


def judge_position(after: Position, *, head: Position, oldest: Position, mark_there: bytes | None) -> None:
    """OneHistory: can `follow` go on from `after`? Raises `DivergedError`, `CompactedError`.

    `oldest` is the position before the oldest group still kept (`head` when none is); `mark_there` the mark that kept history has at
    `after.revision`, None when no kept group ends or begins there.
    """
    if after.revision > head.revision:
        raise DivergedError(f"the store ends at revision {head.revision}, before {after.revision}: it was set back; load again")
    if mark_there is None and after.revision < oldest.revision:
        raise CompactedError(oldest.revision)
    if mark_there != after.mark:
        raise DivergedError(f"another history was written at revision {after.revision}; load again")

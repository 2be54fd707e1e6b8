"""What several members of one process share: rows, history, the leadership over them and who is present.

The engine lives as long as somebody holds it, longer than the store handles of single members. Everything happens on one event loop and
no method waits, so each call is atomic: this is the plainest truth there is, and the other stores are held against it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from callboard.model.errors import DeposedError, FullError
from callboard.model.rows import ORIGIN, Group, Key, Position, Revision, Row
from callboard.model.time import Instant
from callboard.store.contract import Caps, judge_group, judge_position
from callboard.store.memory.settings import MemorySettings
from callboard.store.presence import Presence


@dataclass(frozen=True, slots=True)
class Backup:
    """Everything an engine held at one moment."""

    head: Position
    rows: Mapping[Key, Row]
    history: Mapping[Revision, Group]
    oldest: Position


@dataclass(slots=True)
class MemoryStats:
    """Figures for the metrics page: how often since the start, and what there is now."""

    groups: int = 0
    """Groups that were written."""
    rows: int = 0
    """Rows of these groups."""
    fenced_reads: int = 0
    """Groups without rows, which only prove the lead."""
    rows_count: int = 0
    """Rows there are."""
    history_count: int = 0
    """Groups that are kept for those who follow."""


class MemoryLeadership:
    """The lead of one member, until it resigns, its store is closed, or the engine takes the lead from it."""

    def __init__(self, engine: "MemoryEngine", member: str) -> None:
        self._engine = engine
        self._over = asyncio.Event()
        self.member = member

    def confirmed_until(self) -> Instant | None:
        return Instant(0) if self._over.is_set() else None

    async def lost(self) -> None:
        await self._over.wait()

    async def resign(self) -> None:
        self.end()

    def end(self) -> None:
        """Over: whatever is committed by it from now on is refused."""
        if not self._over.is_set():
            self._over.set()
            self._engine.vacate(self)


class MemoryEngine:
    """Rows, the groups that led to them, and who may commit the next one."""

    def __init__(self, settings: MemorySettings | None = None) -> None:
        self.settings = settings or MemorySettings()
        limits = self.settings
        self.caps = Caps(limits.value_max_bytes, limits.group_max_rows, limits.group_max_bytes, durable=False, shared=True)
        self.head = ORIGIN
        self.rows: dict[Key, Row] = {}
        self.changed = asyncio.Event()
        self.vacant = asyncio.Event()
        self.presence = Presence()
        self.stats = MemoryStats()
        self._history: dict[Revision, Group] = {}
        self._oldest = ORIGIN
        self._leader: MemoryLeadership | None = None

    def elect(self, member: str) -> MemoryLeadership | None:
        """The lead, if nobody has it."""
        if self._leader is not None:
            return None
        self._leader = MemoryLeadership(self, member)
        return self._leader

    def vacate(self, leader: MemoryLeadership) -> None:
        """`leader` has ended; whoever waits for the lead may try again."""
        if self._leader is leader:
            self._leader = None
            self.vacant = _renewed(self.vacant)

    def depose(self) -> None:
        """Take the lead from whoever has it, as an engine with leases does when one runs out."""
        if self._leader is not None:
            self._leader.end()

    def expel(self, name: str) -> None:
        """End the membership of the member `name`, as an engine with leases does when one runs out."""
        self.presence.expel(name)

    def commit(self, group: Group, by: object) -> Position:
        """Fold `group` if its leader still leads and its history is ours."""
        judge_group(group, self.caps)
        if by is not self._leader:
            raise DeposedError("this member no longer leads")
        if group.rows and group.mark == self.head.mark:
            return self.head
        if group.after != self.head:
            raise DeposedError(f"meta/head is at revision {self.head.revision}, the group follows {group.after.revision}")
        if group.rows:
            self._refuse_overflow(group)
            self._fold(group)
            self._count(group)
        else:
            self.stats.fenced_reads += 1
        return group.position

    def _count(self, group: Group) -> None:
        stats = self.stats
        stats.groups += 1
        stats.rows += len(group.rows)
        stats.rows_count, stats.history_count = len(self.rows), len(self._history)

    def _refuse_overflow(self, group: Group) -> None:
        added = sum(row is not None and key not in self.rows for key, row in group.rows.items())
        added -= sum(row is None and key in self.rows for key, row in group.rows.items())
        if added > 0 and len(self.rows) + added > self.settings.rows_max_count:
            raise FullError(f"the store keeps at most {self.settings.rows_max_count} rows (rows_max_count); remove some")

    def _fold(self, group: Group) -> None:
        for key, row in group.rows.items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self.head = group.position
        self._history[group.after.revision] = group
        if len(self._history) > self.settings.history_max_count:
            self._oldest = self._history.pop(self._oldest.revision).position
        self.changed = _renewed(self.changed)

    def next_group(self, after: Position) -> Group | None:
        """The group that follows `after`; None when `after` is the head. Raises `CompactedError`, `DivergedError`."""
        group = self._history.get(after.revision)
        if group is not None and group.after.mark == after.mark:
            return group
        if after != self.head:
            there = self.head.mark if after.revision == self.head.revision else None
            there = group.after.mark if group is not None else there
            judge_position(after, head=self.head, oldest=self._oldest, mark_there=there)
        return None

    def backup(self) -> Backup:
        """A copy of everything, for `restore`."""
        return Backup(self.head, dict(self.rows), dict(self._history), self._oldest)

    def restore(self, backup: Backup) -> None:
        """Put the engine back to `backup`, as an operator does with a backup; the lead ends, and who stands on what was undone is told."""
        self.head, self._oldest = backup.head, backup.oldest
        self.rows, self._history = dict(backup.rows), dict(backup.history)
        self.depose()
        self.wake()

    def wake(self) -> None:
        """Let everyone who waits look again."""
        self.changed = _renewed(self.changed)
        self.vacant = _renewed(self.vacant)
        self.presence.wake()


def _renewed(event: asyncio.Event) -> asyncio.Event:
    event.set()
    return asyncio.Event()

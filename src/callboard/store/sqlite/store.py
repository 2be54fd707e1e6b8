"""The contract over the SQLite file: what runs on the event loop, and what is handed to the two threads.

The store lives from `open` to `close` and owns the data directory meanwhile. The writer thread judges and writes groups one after the
other; the reader thread reads. All answers of one thread come back in order, so that the feed on the loop is never ahead of the file and
never behind what was acknowledged.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from callboard.model.errors import CompactedError, DeposedError, IndeterminateError, StoreError, UnavailableError
from callboard.model.members import Card
from callboard.model.rows import ORIGIN, Group, Position, Row
from callboard.model.time import Instant, Timestamp
from callboard.store.contract import Caps, Health, Leadership, Membership, Snapshot, judge_group
from callboard.store.presence import Presence
from callboard.store.sqlite.database import DATABASE_NAME
from callboard.store.sqlite.directory import DirectoryLock, make_directory
from callboard.store.sqlite.engine import Engine, Receipt
from callboard.store.sqlite.feed import Feed
from callboard.store.sqlite.reader import Changelog, Load
from callboard.store.sqlite.settings import SqliteSettings
from callboard.store.sqlite.worker import Worker


@dataclass(slots=True)
class SqliteStats:
    """Figures for the metrics page: how often since the start, and the last three as of the last group."""

    groups: int = 0
    """Groups that were written."""
    rows: int = 0
    """Rows of these groups."""
    fenced_reads: int = 0
    """Groups without rows, which only prove the lead."""
    refused: int = 0
    """Groups that were not written."""
    loads: int = 0
    """Times every row was read."""
    changelog_reads: int = 0
    """Times somebody who follows was given groups from the file, not from memory."""
    foreign_changes: int = 0
    """Times the file was changed by another program."""
    changelog_count: int = 0
    """Groups that are kept for those who follow, as of the last group."""
    changelog_bytes: int = 0
    """Size of the groups that are kept for those who follow, as of the last group."""
    wal_bytes: int = 0
    """Size of the write-ahead log, as of the last group."""


class SqliteLeadership:
    """The lead of the only member there can be: the lock on the data directory is its fence."""

    def __init__(self, member: str, on_end: Callable[[], None]) -> None:
        self.member = member
        self.generation = 0
        self._on_end = on_end
        self._over = asyncio.Event()

    def confirmed_until(self) -> Instant | None:
        return Instant(0) if self._over.is_set() else None

    async def lost(self) -> None:
        await self._over.wait()

    async def resign(self) -> None:
        self.end()

    def end(self) -> None:
        """Over: later groups of it are refused, and the next leader waits for those that the writer has."""
        if not self._over.is_set():
            self._over.set()
            self._on_end()


class SqliteStore:
    """One data directory. `wall` tells the time that changelog entries are dated with."""

    def __init__(self, settings: SqliteSettings, wall: Callable[[], Timestamp]) -> None:
        limits = settings
        self._settings = settings
        self._directory = Path(settings.path)
        self._caps = Caps(limits.value_max_bytes, limits.group_max_rows, limits.group_max_bytes, durable=True)
        self._engine = Engine(settings, wall, self)
        self._writer = Worker(
            "sqlite-writer", limits.writer_queue_max_count, idle=self._engine.idle, idle_s=limits.foreign_check_interval_ms / 1000
        )
        self._reader = Worker("sqlite-reader", limits.reader_queue_max_count)
        self._changelog = Changelog(self._directory, settings)
        self._feed = Feed(ORIGIN, settings)
        self._feed.close()
        self._loads: set[Load] = set()
        self._lock: DirectoryLock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leadership: SqliteLeadership | None = None
        self._vacant = asyncio.Event()
        self._presence = Presence()
        self._trouble: StoreError | None = None
        self.stats = SqliteStats()

    @property
    def caps(self) -> Caps:
        return self._caps

    # --- opening and closing ------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        self._reader.start()
        try:
            head = await self._writer.submit(self._attach)
        except BaseException:
            await self._stop()
            raise
        self._feed = Feed(head, self._settings)

    def _attach(self) -> Position:
        """In the writer thread: own the directory, open the file."""
        try:
            make_directory(self._directory)
            self._lock = DirectoryLock(self._directory)
        except OSError as error:
            raise UnavailableError(f"data directory {self._directory} cannot be used ({error}); choose another one") from error
        return self._engine.open()

    def _detach(self) -> None:
        """In the writer thread: let go of both."""
        self._engine.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def close(self) -> None:
        self._feed.close()
        if self._leadership is not None:
            self._leadership.end()
        self._vacate()
        self._presence.end()
        await self._stop()

    async def _stop(self) -> None:
        await self._reader.stop(self._changelog.close)
        await self._writer.stop(self._detach)

    def _require_open(self) -> None:
        if self._feed.closed:
            raise UnavailableError("the store is not open")

    # --- reading ------------------------------------------------------------------------------------------------------------------------

    async def load(self) -> Snapshot:
        self._require_open()
        load = await self._writer.submit(self._begin_load)
        self.stats.loads += 1
        return Snapshot(load.position, self._batches(load))

    def _begin_load(self) -> Load:
        """In the writer thread, so between two groups: its position is one that the feed has reached when the answer arrives."""
        self._engine.attach()
        load = Load(self._directory, self._settings)
        self._loads.add(load)
        return load

    async def _batches(self, load: Load) -> AsyncIterator[Sequence[Row]]:
        try:
            while rows := await self._reader.submit(load.batch):
                yield rows
        finally:
            self._give_up(load, UnavailableError("the load has ended"))

    def _give_up(self, load: Load, reason: StoreError) -> None:
        self._loads.discard(load)
        load.end(reason)

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        self._require_open()
        feed, position = self._feed, after
        generation = feed.generation
        feed.begin_following()
        try:
            while not feed.closed:
                feed.require_generation(generation)
                group = feed.next_group(position)
                if group is not None:
                    yield group
                    position = group.position
                    continue
                changed = feed.changed
                older = await self._read_changelog(position) if position != feed.head else ()
                for group in older:
                    feed.require_generation(generation)
                    yield group
                    position = group.position
                if not older:
                    await changed.wait()
        finally:
            feed.end_following()

    async def _read_changelog(self, after: Position) -> Sequence[Group]:
        self.stats.changelog_reads += 1
        return await self._reader.submit(partial(self._changelog.read, after))

    async def head(self) -> Position:
        self._require_open()
        return self._feed.head

    # --- leading ------------------------------------------------------------------------------------------------------------------------

    async def campaign(self, member: str) -> Leadership:
        self._require_open()
        while self._leadership is not None:
            await self._vacant.wait()
            self._require_open()
        leadership = self._leadership = SqliteLeadership(member, self._vacate)
        try:
            # Behind whatever the last leader has sent: none of it may land after this.
            leadership.generation = await self._writer.submit(lambda: self._engine.generation)
        except BaseException:
            leadership.end()
            raise
        return leadership

    def _vacate(self) -> None:
        self._leadership = None
        self._vacant.set()
        self._vacant = asyncio.Event()

    async def commit(self, group: Group, by: Leadership) -> Position:
        self._require_open()
        judge_group(group, self._caps)
        if by is not self._leadership or not isinstance(by, SqliteLeadership):
            raise DeposedError("this member no longer leads")
        try:
            receipt = await self._writer.submit(
                lambda: self._engine.commit(group, by.generation),
                lambda receipt: self._landed(group, receipt),
            )
        except StoreError as error:
            self.stats.refused += 1
            if not isinstance(error, DeposedError):
                self._trouble = error
            raise
        return receipt.position

    def _landed(self, group: Group, receipt: Receipt) -> None:
        stats = self.stats
        self._trouble = None
        if not receipt.written:
            stats.fenced_reads += 1
            return
        stats.groups += 1
        stats.rows += len(group.rows)
        stats.changelog_count, stats.changelog_bytes = receipt.kept.groups, receipt.kept.bytes
        stats.wal_bytes = receipt.wal_bytes
        self._feed.publish(group, receipt.entry_bytes)
        if receipt.wal_bytes > self._settings.wal_max_bytes:
            for load in tuple(self._loads):
                self._give_up(load, CompactedError(self._feed.head.revision))

    # --- presence and health ------------------------------------------------------------------------------------------------------------

    async def join(self, card: Card) -> Membership:
        self._require_open()
        return self._presence.join(card)

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        self._require_open()
        feed = self._feed
        async for cards in self._presence.watch(lambda: not feed.closed):
            yield cards

    def health(self) -> Health:
        """What the last group met, and the size of the file."""
        path = self._directory / DATABASE_NAME
        trouble, size = self._trouble, 0
        detail, reachable = str(trouble or ""), not isinstance(trouble, UnavailableError | IndeterminateError)
        try:
            self._require_open()
            size = path.stat().st_size
        except (StoreError, OSError) as error:
            reachable, detail = False, str(error)
        return Health(reachable, detail, f"SQLite {sqlite3.sqlite_version}", size, self._settings.database_max_bytes)

    # --- what the engine tells, in the writer thread ------------------------------------------------------------------------------------

    def reopening(self) -> None:
        for load in tuple(self._loads):
            load.end(UnavailableError("the database was closed meanwhile; load again"))
        self._loads.clear()
        self._changelog.close()

    def landed_late(self, head: Position) -> None:
        self._on_loop(partial(self._feed.move, head))

    def changed_elsewhere(self, head: Position) -> None:
        self._on_loop(partial(self._diverge, head))

    def _on_loop(self, act: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(act)

    def _diverge(self, head: Position) -> None:
        self.stats.foreign_changes += 1
        self._feed.diverge(head)
        if self._leadership is not None:
            self._leadership.end()

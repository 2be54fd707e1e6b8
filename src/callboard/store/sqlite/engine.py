"""The writer's side of the file: one group is one transaction, judged, written and made durable here. Runs in the writer thread only.

What is remembered between groups (head, size of the changelog) mirrors the file. That nobody else changed the file is asked of SQLite
(`data_version`) and of the file system (is it still the same file?) before each group and now and then when idle.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from callboard.model.errors import DeposedError, FullError, IndeterminateError, StoreError, UnavailableError
from callboard.model.rows import ORIGIN, Group, Position, Row
from callboard.model.time import Timestamp
from callboard.store.sqlite import codec
from callboard.store.sqlite.database import DATABASE_NAME, connect_writer, failure, is_full, read_head
from callboard.store.sqlite.directory import Reserve
from callboard.store.sqlite.settings import SqliteSettings

PUT: Final = "INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision"
AT_ONCE_COUNT: Final = 8
"""Rows in one statement: with each, the thread gives Python's lock away and has to get it back. Of more, SQLite keeps a copy first."""
PUT_MANY: Final = PUT.replace("(?, ?, ?)", ", ".join(["(?, ?, ?)"] * AT_ONCE_COUNT))
REMOVE: Final = "DELETE FROM rows WHERE key = ?"
LOG: Final = "INSERT INTO changelog VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
MOVE_HEAD: Final = "UPDATE head SET revision = ?, mark = ?, kept_groups = ?, kept_bytes = ? WHERE revision = ? AND mark = ?"
OLDEST: Final = "SELECT last, at, bytes FROM changelog ORDER BY last LIMIT 64"
TRIM: Final = "DELETE FROM changelog WHERE last <= ?"


class Kept(NamedTuple):
    """What the changelog holds; `oldest_at` is 0 when it is empty."""

    groups: int
    bytes: int
    oldest_at: int


class Receipt(NamedTuple):
    """What became of a group that was not refused: where it stands, and whether it was written now."""

    position: Position
    kept: Kept
    written: bool = False
    entry_bytes: int = 0
    wal_bytes: int = 0


class Listener(Protocol):
    """Who must know what happens to the file besides commits; called in the writer thread."""

    def reopening(self) -> None:
        """The file will be opened anew, or not again: every other connection must be closed now."""
        ...

    def landed_late(self, head: Position) -> None:
        """meta/head is at `head` by a group of ours whose COMMIT had seemed to fail."""
        ...

    def changed_elsewhere(self, head: Position) -> None:
        """Another program has written into the file, or replaced it."""
        ...


class Engine:
    """The database, for the thread that writes it. `generation` counts how often somebody else has changed it."""

    def __init__(self, settings: SqliteSettings, wall: Callable[[], Timestamp], listener: Listener) -> None:
        self._settings = settings
        self._wall = wall
        self._listener = listener
        self._directory = Path(settings.path)
        self._path = self._directory / DATABASE_NAME
        self._wal = Path(f"{self._path}-wal")
        self._reserve = Reserve(self._directory, settings.reserve_bytes)
        self._connection: sqlite3.Connection | None = None
        self._unsettled = b""
        self._file = (0, 0)
        self._version = 0
        self._kept = Kept(0, 0, 0)
        self.head = ORIGIN
        self.generation = 0

    def open(self, *, create: bool = True) -> Position:
        """Attach to the file; answers meta/head."""
        connection = connect_writer(self._directory, self._settings, create=create)
        try:
            self._learn(connection)
        except sqlite3.Error as error:
            connection.close()
            raise failure(error, str(self._path)) from error
        except StoreError:
            connection.close()
            raise
        self._connection = connection
        self._reserve.take()
        return self.head

    def close(self) -> None:
        """Empty the write-ahead log into the database and let go of the file."""
        if self._connection is not None:
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error:
                pass  # what was acknowledged is durable in the log, which the next start reads
            finally:
                self._detach()

    def _detach(self) -> None:
        """Close every connection, so that the next one reads the file and nothing remembered of it."""
        self._listener.reopening()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _learn(self, connection: sqlite3.Connection) -> None:
        """Mirror what the file says."""
        self._file = self._identity()
        self._version = connection.execute("PRAGMA data_version").fetchone()[0]
        self.head = read_head(connection)
        count, size = connection.execute("SELECT kept_groups, kept_bytes FROM head").fetchone()
        oldest = connection.execute(OLDEST).fetchone()
        self._kept = Kept(count, size, oldest[1] if oldest else 0)

    # --- other programs -----------------------------------------------------------------------------------------------------------------

    def attach(self) -> sqlite3.Connection:
        """The connection, opened again if need be, with a mirror that is true. Raises `UnavailableError`."""
        if self._connection is not None and self._identity() != self._file:
            self._leave()
        if self._connection is None:
            self._reopen()
        connection = self._connection
        assert connection is not None
        try:
            if connection.execute("PRAGMA data_version").fetchone()[0] != self._version:
                self._learn(connection)
                self._changed_elsewhere()
        except sqlite3.Error as error:
            raise failure(error, str(self._path)) from error
        return connection

    def _identity(self) -> tuple[int, int]:
        """Which file has our name now; zeros when none has."""
        try:
            status = self._path.stat()
        except OSError:
            return (0, 0)
        return (status.st_dev, status.st_ino)

    def _leave(self) -> None:
        """The file was moved away or replaced. Our log belongs to the old one: it must not be taken for the new one's."""
        self._listener.reopening()
        with contextlib.suppress(StoreError):
            self._empty_log()
        self._detach()

    def _reopen(self) -> None:
        """Read the file anew; after a COMMIT of unknown end, with nothing left in the log that could still change the answer."""
        before = self.head
        self._detach()
        try:
            self.open(create=False)
            if self._unsettled:
                self._empty_log()
        except StoreError:
            self._detach()
            self.head = before
            raise
        unsettled, self._unsettled = self._unsettled, b""
        if self.head == before:
            return
        if self.head.mark == unsettled:
            self._listener.landed_late(self.head)
        else:
            self._changed_elsewhere()

    def _changed_elsewhere(self) -> None:
        """Whoever led until now knows nothing any more."""
        self.generation += 1
        self._listener.changed_elsewhere(self.head)

    def _empty_log(self) -> None:
        """Copy the write-ahead log into the database, durably, and cut it to nothing."""
        assert self._connection is not None
        try:
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            raise failure(error, str(self._path)) from error
        if busy:
            raise UnavailableError(f"{self._path}: another program is reading it, so the log cannot be settled; end that program")

    def idle(self) -> None:
        """Nothing to do: has somebody else written? Is there room again for the reserve?"""
        try:
            self.attach()
            self._reserve.take()
        except StoreError:
            return  # whoever commits next is told

    # --- our own groups -----------------------------------------------------------------------------------------------------------------

    def commit(self, group: Group, generation: int) -> Receipt:
        """Judge `group` of a leader elected in `generation` and, if it has rows, make it durable."""
        try:
            self.attach()
        except UnavailableError as error:
            if self._unsettled and group.mark == self._unsettled:
                raise IndeterminateError(str(error)) from error
            raise
        if generation != self.generation:
            raise DeposedError("another program has changed the database since this member was elected")
        if group.rows and group.mark == self.head.mark:
            return Receipt(self.head, self._kept)
        if group.after != self.head:
            raise DeposedError(f"meta/head is at revision {self.head.revision}, the group follows {group.after.revision}")
        return self._write(group) if group.rows else Receipt(self.head, self._kept)

    def _write(self, group: Group) -> Receipt:
        entry = codec.encode(group)
        try:
            self._land(group, entry, make_room=False)
        except FullError:
            if any(row is not None for row in group.rows.values()):
                raise
            self._land_in_full(group, entry)
        try:
            wal_bytes = self._wal.stat().st_size
        except OSError:
            wal_bytes = 0
        return Receipt(self.head, self._kept, written=True, entry_bytes=len(entry), wal_bytes=wal_bytes)

    def _land_in_full(self, group: Group, entry: bytes) -> None:
        """Removals pass although there is no room: with the reserve of a full disk, or with the history of a database at its limit."""
        self._reserve.give_up()
        try:
            self._land(group, entry, make_room=False)
        except FullError:
            self._land(group, entry, make_room=True)

    def _land(self, group: Group, entry: bytes, *, make_room: bool) -> None:
        """One transaction. Afterwards the group is durable, or surely not applied, or `IndeterminateError` says that nobody knows."""
        connection = self._connection
        assert connection is not None
        committing = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            kept = self._change(connection, group, entry, make_room=make_room)
            committing = True
            self._commit(connection)
        except sqlite3.Error as error:
            if committing and not is_full(error):
                self._settle(group, error)
                return
            self._roll_back(connection)
            raise failure(error, str(self._path)) from error
        except BaseException:
            self._roll_back(connection)
            raise
        self.head = group.position
        self._kept = kept

    def _change(self, connection: sqlite3.Connection, group: Group, entry: bytes, *, make_room: bool) -> Kept:
        """All that the transaction writes. `make_room`: give up the history, so that rows can still be removed from a full file."""
        kept = self._kept
        if make_room:
            connection.execute("DELETE FROM changelog")
            kept = Kept(0, 0, 0)
        rows = group.rows.values()
        puts = sorted(row for row in rows if row is not None)  # neighbours in the file one after the other
        _put(connection, puts)
        if len(puts) < len(rows):
            connection.executemany(REMOVE, [(key,) for key, row in group.rows.items() if row is None])
        now, after = self._wall(), group.after
        connection.execute(LOG, (group.last, group.mark, after.revision, after.mark, group.first, now, len(entry), entry))
        kept = self._trim(connection, Kept(kept.groups + 1, kept.bytes + len(entry), kept.oldest_at or now), now)
        moved = connection.execute(MOVE_HEAD, (group.last, group.mark, kept.groups, kept.bytes, after.revision, after.mark))
        if moved.rowcount != 1:
            raise DeposedError("meta/head was changed by another program")
        return kept

    def _trim(self, connection: sqlite3.Connection, kept: Kept, now: Timestamp) -> Kept:
        """Drop the oldest entries beyond a limit, at most 64 at a time; the newest one stays."""
        limits = self._settings
        horizon = now - limits.changelog_max_age_s * 1000
        count, size, oldest_at = kept
        if count <= limits.changelog_max_count and size <= limits.changelog_max_bytes and oldest_at >= horizon:
            return kept
        drop = 0
        for last, at, entry_bytes in connection.execute(OLDEST).fetchall():
            oldest_at = at
            within = count <= limits.changelog_max_count and size <= limits.changelog_max_bytes and at >= horizon
            if within or count == 1:
                break
            drop, count, size = last, count - 1, size - entry_bytes
        connection.execute(TRIM, (drop,))
        return Kept(count, size, oldest_at)

    def _commit(self, connection: sqlite3.Connection) -> None:
        """The moment of truth, by itself so that a test can make it fail."""
        connection.execute("COMMIT")

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Leave the transaction; a connection that cannot is given up, which has the same effect."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._detach()

    def _settle(self, group: Group, error: sqlite3.Error) -> None:
        """COMMIT failed: landed or not? The file read anew tells by its mark; if it cannot be read, nobody knows."""
        self._unsettled = group.mark
        before = self.head
        try:
            self._reopen()
        except StoreError as second:
            raise IndeterminateError(f"COMMIT failed ({error}), and what became of it cannot be read: {second}") from error
        if self.head == before:
            raise UnavailableError(f"{self._path}: COMMIT failed ({error}); nothing was applied, check the disk") from error
        if self.head != group.position:
            raise DeposedError("meta/head was changed by another program") from error


def _put(connection: sqlite3.Connection, rows: list[Row]) -> None:
    alone = len(rows) % AT_ONCE_COUNT
    connection.executemany(PUT, rows[:alone])
    flat = list(chain.from_iterable(rows[alone:]))
    size = 3 * AT_ONCE_COUNT
    connection.executemany(PUT_MANY, [flat[at : at + size] for at in range(0, len(flat), size)])

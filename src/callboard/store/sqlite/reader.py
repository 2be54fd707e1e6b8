"""The readers' side of the file: whole states for `load`, old groups for `follow`.

A load lives until its last batch, or until it is given up; it holds one read transaction and so keeps the write-ahead log from being
emptied. Each object has its own connection and lock, because the writer may have to close it at any moment.
"""

import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Final

from callboard.model.errors import StoreError
from callboard.model.rows import Group, Position, Revision, Row
from callboard.store.contract import judge_position
from callboard.store.sqlite import codec
from callboard.store.sqlite.database import connect_reader, failure, read_head
from callboard.store.sqlite.settings import SqliteSettings

ROWS: Final = "SELECT key, CAST(value AS BLOB), revision FROM rows"
"""A value that somebody has edited by hand is text: its bytes are what counts."""
LATER: Final = "SELECT after_revision, after_mark, first, last, mark, bytes, entry FROM changelog WHERE last > ? ORDER BY last"
_row: Final = partial(tuple.__new__, Row)
"""A `Row` of what SQLite gives; `Row._make` does the same in ten times the time, and there are millions."""
OLDEST_AFTER: Final = "SELECT after_revision, after_mark FROM changelog ORDER BY last LIMIT 1"


class Load:
    """One state of all rows, read in batches."""

    def __init__(self, directory: Path, settings: SqliteSettings) -> None:
        self._batch = settings.load_batch_max_rows
        self._path = str(directory)
        self._lock = threading.Lock()
        self._failure: StoreError | None = None
        try:
            self._connection = connect_reader(directory, settings)
        except sqlite3.Error as error:
            raise failure(error, self._path) from error
        try:
            self._connection.execute("BEGIN")
            self.position = read_head(self._connection)
            self._rows = self._connection.execute(ROWS)
        except sqlite3.Error as error:
            self._connection.close()
            raise failure(error, self._path) from error
        except StoreError:
            self._connection.close()
            raise

    def batch(self) -> list[Row]:
        """The next rows; none when all have been read."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            try:
                return list(map(_row, self._rows.fetchmany(self._batch)))
            except sqlite3.Error as error:
                raise failure(error, self._path) from error

    def end(self, reason: StoreError) -> None:
        """Let go of the state; a later `batch` raises `reason`."""
        with self._lock:
            if self._failure is not None:
                return
            self._failure = reason
            self._rows.close()  # an open cursor would keep the closed connection alive, and the log from being emptied
            self._connection.close()


class Changelog:
    """The groups that are still kept."""

    def __init__(self, directory: Path, settings: SqliteSettings) -> None:
        self._directory = directory
        self._settings = settings
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def read(self, after: Position) -> list[Group]:
        """Some groups right after `after`, none when it is meta/head. Raises `CompactedError`, `DivergedError`."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = connect_reader(self._directory, self._settings)
                self._connection.execute("BEGIN")
                try:
                    return self._read(self._connection, after)
                finally:
                    self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise failure(error, str(self._directory)) from error

    def _read(self, connection: sqlite3.Connection, after: Position) -> list[Group]:
        head = read_head(connection)
        oldest = connection.execute(OLDEST_AFTER).fetchone()
        before = Position(Revision(oldest[0]), oldest[1]) if oldest else head
        groups: list[Group] = []
        size = 0
        for after_revision, after_mark, first, last, mark, entry_bytes, entry in connection.execute(LATER, (after.revision,)):
            if not groups:
                there = after_mark if after_revision == after.revision else None
                judge_position(after, head=head, oldest=before, mark_there=there)
            groups.append(codec.decode(Position(after_revision, after_mark), first, last, mark, entry))
            size += entry_bytes
            if size >= self._settings.feed_max_bytes or len(groups) >= self._settings.feed_max_count:
                break
        if not groups:
            there = head.mark if head.revision == after.revision else None
            judge_position(after, head=head, oldest=before, mark_there=there)
        return groups

    def close(self) -> None:
        """Let go of the file; the next `read` opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

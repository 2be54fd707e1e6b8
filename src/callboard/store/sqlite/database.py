"""Opening the file: its schema, how SQLite is told to treat it, and what its errors mean to us.

A connection lives until the store is closed, or until an I/O error makes its memory of the file worthless. `rows` is an ordinary table:
its values are too large for WITHOUT ROWID to pay (half the write rate at 400,000 rows).
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

from callboard.model.errors import FullError, StoreError, TooLargeError, UnavailableError
from callboard.model.rows import REVISION_LIMIT, Position, Revision
from callboard.store.sqlite.directory import sync_directory
from callboard.store.sqlite.settings import SqliteSettings

DATABASE_NAME: Final = "callboard.db"
APPLICATION_ID: Final = int.from_bytes(b"CBrd")
SCHEMA_VERSION: Final = 1
TABLES: Final = """
CREATE TABLE rows (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, revision INTEGER NOT NULL);
-- one row: meta/head, and how much the changelog holds
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, mark BLOB NOT NULL,
    kept_groups INTEGER NOT NULL, kept_bytes INTEGER NOT NULL
);
INSERT INTO head VALUES (1, 0, x'', 0, 0);
-- one row per group; at: when it was written, UTC milliseconds; entry: its rows and outcomes in MessagePack
CREATE TABLE changelog (
    last INTEGER PRIMARY KEY, mark BLOB NOT NULL, after_revision INTEGER NOT NULL, after_mark BLOB NOT NULL,
    first INTEGER NOT NULL, at INTEGER NOT NULL, bytes INTEGER NOT NULL, entry BLOB NOT NULL
);
"""
STAMP: Final = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"


def connect_writer(directory: Path, settings: SqliteSettings, *, create: bool) -> sqlite3.Connection:
    """The one connection that writes. Raises `UnavailableError` with the reason."""
    path = directory / DATABASE_NAME
    try:
        _require_file(path, create=create)
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False)
    except (sqlite3.Error, OSError) as error:
        raise UnavailableError(f"{path} cannot be opened ({error}); check the path and its rights") from error
    try:
        _configure_session(connection, settings)
        blank = _is_blank(connection, path)
        _configure_file(connection, path, settings)
        if blank:
            connection.executescript(f"BEGIN IMMEDIATE; {TABLES} {STAMP} COMMIT;")
            sync_directory(directory)
    except sqlite3.Error as error:
        connection.close()
        raise failure(error, str(path)) from error
    except StoreError:
        connection.close()
        raise
    return connection


def _require_file(path: Path, *, create: bool) -> None:
    """An empty file is only taken for a new store when nothing speaks against it: SQLite would throw away a log that lies beside it."""
    if create:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    elif not path.exists():
        raise UnavailableError(f"{path} is gone; put it back, or restart to begin with an empty one")
    log = path.with_name(f"{path.name}-wal")
    if path.stat().st_size == 0 and (not create or (log.exists() and log.stat().st_size > 0)):
        raise UnavailableError(f"{path} has been emptied; restore it from a backup, or choose another data directory")


def connect_reader(directory: Path, settings: SqliteSettings) -> sqlite3.Connection:
    """A connection that only reads; any thread may use it, one at a time."""
    uri = f"{(directory / DATABASE_NAME).absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {settings.busy_timeout_ms}")
    return connection


def _configure_session(connection: sqlite3.Connection, settings: SqliteSettings) -> None:
    """What must hold before the file is first touched."""
    connection.execute(f"PRAGMA busy_timeout = {settings.busy_timeout_ms}")
    connection.execute("PRAGMA trusted_schema = OFF")


def _configure_file(connection: sqlite3.Connection, path: Path, settings: SqliteSettings) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise UnavailableError(f"{path}: the file system cannot hold a write-ahead log (it offers {mode!r}); choose a local directory")
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = FAST")  # some builds rewrite every page they free: trimming would cost as much as writing
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stops at the drive's cache
    connection.execute(f"PRAGMA cache_size = -{max(1, settings.cache_bytes // 1024)}")
    connection.execute(f"PRAGMA max_page_count = {settings.database_max_bytes // page}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {settings.wal_checkpoint_bytes // page}")
    connection.execute(f"PRAGMA journal_size_limit = {settings.wal_checkpoint_bytes}")


def _is_blank(connection: sqlite3.Connection, path: Path) -> bool:
    """A new file, or refuse what is not ours to write into."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application == 0 and version == 0 and tables == 0:
        return True
    if application != APPLICATION_ID:
        raise UnavailableError(f"{path} is another program's database; choose another data directory")
    if version > SCHEMA_VERSION:
        raise UnavailableError(
            f"{path} has schema {version}, this program reads up to {SCHEMA_VERSION}; start the newer Callboard that wrote it"
        )
    return False


def read_head(connection: sqlite3.Connection) -> Position:
    """What meta/head says in this connection's transaction. Raises `UnavailableError` when it says nothing that it could."""
    found = connection.execute("SELECT revision, mark FROM head").fetchone()
    revision, mark = found or (None, None)
    if not isinstance(revision, int) or not 0 <= revision < REVISION_LIMIT or not isinstance(mark, bytes):
        raise UnavailableError(f"the database is damaged (its head is {found}); restore it from a backup or choose another data directory")
    return Position(Revision(revision), mark)


def is_full(error: sqlite3.Error) -> bool:
    """Is there no room for this write? Then it was surely not applied: the frame that commits was not written."""
    return _primary_code(error) == sqlite3.SQLITE_FULL


def failure(error: sqlite3.Error, path: str) -> StoreError:
    """What an error outside COMMIT means: nothing was applied."""
    code = _primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return FullError(f"{path}: no room left ({error}): free disk space, raise database_max_bytes, or remove registrations")
    if code == sqlite3.SQLITE_TOOBIG:
        return TooLargeError(f"a row or group is larger than SQLite takes ({error})")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return UnavailableError(f"{path} is damaged or not a database ({error}); restore it from a backup or choose another data directory")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return UnavailableError(f"{path} is being written by another program ({error}); end that program")
    return UnavailableError(f"{path}: {error}")


def _primary_code(error: sqlite3.Error) -> int:
    """The engine's code without its extension; 0 for errors that Python's wrapper raises itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF

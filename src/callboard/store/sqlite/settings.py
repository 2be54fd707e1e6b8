"""The limits of the SQLite store. They live as long as the store."""

from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class SqliteSettings(Struct, frozen=True, kw_only=True):
    """Where the rows are and how much of everything there may be."""

    path: str
    """The data directory."""
    changelog_max_age_s: Count = 3600
    """Groups older than this can no longer be followed (nor those beyond the next two limits)."""
    changelog_max_bytes: Count = 256 * MIB
    changelog_max_count: Count = 200_000
    feed_max_bytes: Count = 16 * MIB
    """Newest groups kept in memory while somebody follows; an older one is read from the changelog, at most this many bytes at once."""
    feed_max_count: Count = 1024
    writer_queue_max_count: Count = 256
    """Groups that may wait for the writer; the next one is refused as unavailable."""
    reader_queue_max_count: Count = 256
    busy_timeout_ms: Count = 2000
    """How long the writer waits for another program that writes into the file."""
    foreign_check_interval_ms: Count = 1000
    """How often an idle writer looks whether another program has written into the file, or replaced it."""
    load_batch_max_rows: Count = 5000
    database_max_bytes: Annotated[int, Meta(ge=64 * KIB)] = 256 * GIB
    reserve_bytes: Annotated[int, Meta(ge=0)] = 8 * MIB
    """Disk space held back, so that removals still pass when the disk is full."""
    cache_bytes: Count = 2 * MIB
    """Pages that the writer keeps besides those the system does; eight times as many write no faster."""
    wal_checkpoint_bytes: Annotated[int, Meta(ge=4 * KIB)] = 16 * MIB
    """The write-ahead log is copied into the database when it has grown to this."""
    wal_max_bytes: Annotated[int, Meta(ge=64 * KIB)] = GIB
    """A load that keeps the write-ahead log from being emptied is given up when the log is larger than this."""
    value_max_bytes: Count = 4 * MIB
    group_max_rows: Count = 50_000
    group_max_bytes: Annotated[int, Meta(ge=1, le=512 * MIB)] = 64 * MIB

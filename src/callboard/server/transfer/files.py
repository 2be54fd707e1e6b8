"""Backups as files: written beside their name and moved there when all of it is on the disk, readable by their owner alone."""

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from callboard.core.catalog.codec import Shared, UnreadableRowError
from callboard.model.members import LEVEL
from callboard.model.rows import Key, Position, Row
from callboard.server.transfer.errors import IncompatibleError
from callboard.server.transfer.state import Progress, State, judge_row
from callboard.wire.backup import LINE_MAX_BYTES, BackupError, Header, Reader

_SUFFIX = ".gz"
_EVERY_COUNT = 5_000


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets the name `path` when the block has ended without an error, and is no more when it has not. Raises `OSError`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            if path.name.endswith(_SUFFIX):
                with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed:
                    yield cast(IO[bytes], packed)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path, progress: Progress) -> tuple[Header, State]:
    """All of a backup, judged to its last line. Raises `BackupError`, `IncompatibleError`, `OSError`."""
    reader, rows, shared = Reader(), dict[Key, Row](), Shared()
    for line in _lines(path, reader):
        row = reader.take(line)
        if row is None:
            continue
        if row.key in rows:
            raise reader.error(f"row {row.key} was there before")
        try:
            judge_row(row.key, row, shared)
        except UnreadableRowError as error:
            raise reader.error(str(error)) from None
        rows[row.key] = row
        if len(rows) % _EVERY_COUNT == 0:
            progress("reading", len(rows), 0)
    header = reader.finish()
    if header.level > LEVEL:
        raise IncompatibleError(
            f"the backup is of level {header.level}, this program knows up to {LEVEL}; use the newer Callboard that wrote it"
        )
    return header, State(Position(header.revision, b"backup"), rows)


def _lines(path: Path, reader: Reader) -> Iterator[bytes]:
    with path.open("rb") as raw:
        packed = raw.peek(2)[:2] == b"\x1f\x8b"
        file = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if packed else raw
        try:
            while line := file.readline(LINE_MAX_BYTES):
                yield line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BackupError(reader.line + 1, f"the compressed file is damaged or cut off ({error})") from None

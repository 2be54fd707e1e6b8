"""A backup as lines of JSON, both directions: a header, one line for each row, and a trailer that proves that all of it is there. Pure.

A reader and a writer live for one backup. The values of rows are JSON and stand in the lines as they are, byte by byte, so that a backup
can be looked at with `zcat` and `jq`; a value that is none is in base64. Nothing of a backup is believed before its trailer was seen.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from callboard.model.errors import CallboardError
from callboard.model.rows import META_HEAD, REVISION_LIMIT, Key, Revision, Row
from callboard.model.time import Timestamp

FORMAT: Final = 1
CONTENT_TYPE: Final = b"application/jsonl"
LINE_MAX_BYTES: Final = 512 * 1024 * 1024
"""No value of any store is larger."""
_KIND: Final = "backup"
_ROW: Final = b'{"k":'
_TRAILER: Final = b'{"rows":'


class Header(Struct, frozen=True, kw_only=True):
    """What was backed up, and when."""

    callboard: str = _KIND
    format: int = FORMAT
    program: str
    store: str
    """Id of the store (`meta/epoch`)."""
    datacenter: str
    revision: Revision
    """Of the last group in it."""
    level: int
    """Of its row schemas and rules."""
    time: Timestamp


class Trailer(Struct, frozen=True):
    """The last line: how many rows came before, and the SHA-256 of every line before it."""

    rows: int
    sha256: str


class BackupError(CallboardError):
    """A file that is no backup, a damaged one, or one that was cut off. `line` counts from 1."""

    code = "backup"

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line


class NewerBackupError(BackupError):
    """A backup that only a newer program can read."""

    code = "newer_backup"


class _Kind(Struct):
    callboard: str
    format: int


class _Json(Struct, frozen=True, gc=False):
    k: Key
    r: Revision
    v: Raw


class _Bytes(Struct, frozen=True, gc=False):
    k: Key
    r: Revision
    b: str


class _RowLine(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    k: Key
    r: Revision
    v: Raw = Raw()
    b: str | None = None


_encoder: Final = msgspec.json.Encoder()
_decode_kind: Final = msgspec.json.Decoder(_Kind).decode
_decode_header: Final = msgspec.json.Decoder(Header).decode
_decode_row: Final = msgspec.json.Decoder(_RowLine).decode
_decode_trailer: Final = msgspec.json.Decoder(Trailer).decode
_check_json: Final = msgspec.json.Decoder().decode


class Writer:
    """Header, rows, trailer, in this order, as the bytes of whole lines."""

    def __init__(self) -> None:
        self.rows_count = 0
        self._hash = hashlib.sha256()

    def header(self, header: Header) -> bytes:
        """The first line."""
        return self._hashed(_encoder.encode(header) + b"\n")

    def rows(self, rows: Iterable[Row]) -> bytes:
        """A line for each."""
        lines = [_row_line(row) for row in rows]
        self.rows_count += len(lines)
        return self._hashed(b"".join(lines))

    def trailer(self) -> bytes:
        """The last line."""
        return _encoder.encode(Trailer(self.rows_count, self._hash.hexdigest())) + b"\n"

    def _hashed(self, lines: bytes) -> bytes:
        self._hash.update(lines)
        return lines


def _row_line(row: Row) -> bytes:
    line = (
        _Json(row.key, row.revision, Raw(row.value))
        if _is_json(row.value)
        else _Bytes(row.key, row.revision, b64encode(row.value).decode())
    )
    return _encoder.encode(line) + b"\n"


def _is_json(value: bytes) -> bool:
    """Whether a reader of the line gets exactly these bytes back."""
    if b"\n" in value or value.strip() != value:
        return False
    try:
        _check_json(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


class Reader:
    """Takes the lines one by one, judges each, and knows at the end whether that was all of it."""

    def __init__(self) -> None:
        self.header: Header | None = None
        self.trailer: Trailer | None = None
        self.line = 0
        """Number of the last line taken."""
        self.rows_count = 0
        self._hash = hashlib.sha256()

    def take(self, line: bytes) -> Row | None:
        """The row of the next line (with its line break); None for header and trailer. Raises `BackupError`."""
        self.line += 1
        if self.trailer is not None:
            raise self.error("something follows the last line of the backup")
        if self.header is None:
            self.header = self._read_header(line)
        elif not line.endswith(b"\n"):
            raise self.error("the backup was cut off in the middle of this line")
        elif line.startswith(_TRAILER):
            self.trailer = self._read_trailer(line)
            return None
        else:
            row = self._read_row(line, self.header.revision)
            self._hash.update(line)
            self.rows_count += 1
            return row
        self._hash.update(line)
        return None

    def finish(self) -> Header:
        """The lines are over; the header, if that was a whole backup. Raises `BackupError`."""
        if self.header is None:
            raise BackupError(1, "the file is empty")
        if self.trailer is None:
            raise BackupError(self.line + 1, f"the backup was cut off: after {self.rows_count} rows its last line is missing")
        return self.header

    def error(self, problem: str) -> BackupError:
        """Something is wrong with the line that was taken last."""
        return BackupError(self.line, problem)

    def _read_header(self, line: bytes) -> Header:
        try:
            kind = _decode_kind(line)
            if kind.callboard != _KIND:
                raise self.error(f"this is no backup of Callboard but its {kind.callboard!r}")
            if kind.format > FORMAT:
                raise NewerBackupError(
                    self.line, f"format {kind.format}, this program reads up to {FORMAT}; use the newer Callboard that wrote it"
                )
            header = _decode_header(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self.error(f"this is no backup of Callboard ({error})") from None
        if not line.endswith(b"\n"):
            raise self.error("the backup was cut off in the middle of this line")
        if not 0 <= header.revision < REVISION_LIMIT:
            raise self.error(f"revision {header.revision} is none")
        return header

    def _read_row(self, line: bytes, newest: Revision) -> Row:
        if not line.startswith(_ROW):
            raise self.error("neither a row nor the last line")
        try:
            found = _decode_row(line)
            value = bytes(found.v)
            if bool(value) == (found.b is not None):
                raise self.error("a row has either v or b")
            value = value or b64decode(found.b or "", validate=True)
        except (msgspec.MsgspecError, ValueError) as error:
            raise self.error(f"the row cannot be read ({error})") from None
        if not found.k or found.k == META_HEAD:
            raise self.error(f"{found.k!r} is no key of a row")
        if not 0 < found.r <= newest:
            raise self.error(f"row {found.k} has revision {found.r}, the backup ends at {newest}")
        return Row(found.k, value, found.r)

    def _read_trailer(self, line: bytes) -> Trailer:
        try:
            trailer = _decode_trailer(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self.error(f"the last line cannot be read ({error})") from None
        if trailer.rows != self.rows_count:
            raise self.error(f"the backup had {trailer.rows} rows, {self.rows_count} are here")
        if trailer.sha256 != self._hash.hexdigest():
            raise self.error("the backup was damaged or edited: its SHA-256 is another")
        return trailer

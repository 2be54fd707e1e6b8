"""Keys and values as they stand in etcd, both directions. Pure; what it makes lives in etcd until it is overwritten.

    PREFIX/data/group        JSON                     what a follower must know of the last group beside its rows
    PREFIX/data/head         REVISION MARK            meta/head: what every group is guarded by
    PREFIX/data/merge        MARK STEP                written with the rows of a published stage, which belong to a group told already
    PREFIX/data/rows/KEY     REVISION VALUE           the rows
    PREFIX/stage/MARK/N      bytes                    parts of a group that is too large for one transaction
    PREFIX/leader            JSON, leased             who leads
    PREFIX/members/NAME      JSON, leased             who is present

Marks are in hexadecimal. A follower watches data/; leased keys and stages are outside.
"""

from typing import Final

import msgspec
from msgspec import Struct

from callboard.model.errors import DivergedError, InvalidError
from callboard.model.rows import ORIGIN, Group, Key, Outcome, Position, Revision, Row
from callboard.store.etcd.requests import prefix_end


class Keyspace:
    """Our keys in an etcd that may serve others too."""

    def __init__(self, prefix: str) -> None:
        base = prefix.strip("/").encode()
        if not base:
            raise InvalidError("store", "an etcd store needs a prefix for its keys, as in etcd://HOST:PORT/callboard")
        self.base: Final = base + b"/"
        self.data: Final = self.base + b"data/"
        self.data_end: Final = prefix_end(self.data)
        self.told: Final = self.data + b"group"
        self.head: Final = self.data + b"head"
        self.head_end: Final = self.head + b"\0"
        self.merge: Final = self.data + b"merge"
        self.rows: Final = self.data + b"rows/"
        self.rows_end: Final = prefix_end(self.rows)
        self.stages: Final = self.base + b"stage/"
        self.stages_end: Final = prefix_end(self.stages)
        self.leader: Final = self.base + b"leader"
        self.members: Final = self.base + b"members/"
        self.members_end: Final = prefix_end(self.members)

    def row(self, key: str) -> bytes:
        """Where a row stands."""
        return self.rows + key.encode()

    def key(self, row: bytes) -> Key:
        """The key of the row that stands there."""
        return Key(row[len(self.rows) :].decode())

    def stage(self, mark: bytes) -> bytes:
        """Where the parts of a group stand."""
        return self.stages + mark.hex().encode() + b"/"

    def part(self, mark: bytes, number: int) -> bytes:
        """Where one part stands; in order by bytes."""
        return self.stage(mark) + b"%08d" % number

    def member(self, name: str) -> bytes:
        """Where a member's card stands."""
        return self.members + name.encode()


class Told(Struct, frozen=True, array_like=True, gc=False):
    """The last group, but for the rows that it put, which stand beside it in the same transaction. With `parts`, they are in a stage."""

    after_revision: Revision
    after_mark: bytes
    first: Revision
    removed: tuple[Key, ...]
    outcomes: tuple[Outcome, ...]
    parts: int = 0

    @property
    def after(self) -> Position:
        """What the group followed."""
        return Position(self.after_revision, self.after_mark)


class _Staged(Struct, frozen=True, array_like=True, gc=False):
    """A whole group in a stage. A key alone stands for a removed row."""

    rows: list[Row | Key]
    outcomes: tuple[Outcome, ...]


_encoder = msgspec.json.Encoder()
_told_decoder = msgspec.json.Decoder(Told)
_stage_encoder = msgspec.msgpack.Encoder()
_stage_decoder = msgspec.msgpack.Decoder(_Staged)


def encode_head(position: Position) -> bytes:
    """meta/head of a position; nothing else has this value."""
    return b"%d %s" % (position.revision, position.mark.hex().encode())


def decode_head(value: bytes | None, cursor: int) -> Position:
    """The position that meta/head names; `ORIGIN` when there is none. Raises `DivergedError`."""
    if value is None:
        return Position(ORIGIN.revision, ORIGIN.mark, cursor)
    try:
        revision, mark = value.split(b" ")
        return Position(Revision(int(revision)), bytes.fromhex(mark.decode()), cursor)
    except ValueError:
        raise DivergedError(f"data/head holds {value[:80]!r}, which Callboard has not written; restore it from a backup") from None


def encode_row(row: Row) -> bytes:
    """The value of a row."""
    return b"%d %s" % (row.revision, row.value)


def decode_row(key: Key, value: bytes) -> Row:
    """The row with this value. Raises `DivergedError`."""
    revision, space, content = value.partition(b" ")
    if not space or not revision.isdigit():
        raise DivergedError(f"the row {key} holds {value[:80]!r}, which Callboard has not written; restore it from a backup")
    return Row(key, content, Revision(int(revision)))


def encode_told(group: Group, parts: int = 0) -> bytes:
    """What followers must know of `group`; next to nothing when it is in parts."""
    after = group.after
    if parts:
        return _encoder.encode(Told(after.revision, after.mark, group.first, (), (), parts))
    removed = tuple(key for key, row in group.rows.items() if row is None)
    return _encoder.encode(Told(after.revision, after.mark, group.first, removed, group.outcomes))


def decode_told(value: bytes) -> Told:
    """What `encode_told` was given. Raises `DivergedError`."""
    try:
        return _told_decoder.decode(value)
    except (msgspec.DecodeError, ValueError) as error:
        raise DivergedError(f"data/group cannot be read ({error}); restore it from a backup") from error


def encode_stage(group: Group, part_max_bytes: int) -> list[bytes]:
    """The parts of a stage."""
    whole = _stage_encoder.encode(_Staged([key if row is None else row for key, row in group.rows.items()], group.outcomes))
    return [whole[start : start + part_max_bytes] for start in range(0, len(whole), part_max_bytes)]


def decode_stage(parts: list[bytes]) -> tuple[dict[Key, Row | None], tuple[Outcome, ...]]:
    """Rows and outcomes of a stage. Raises `DivergedError`."""
    try:
        staged = _stage_decoder.decode(b"".join(parts))
    except (msgspec.DecodeError, ValueError) as error:
        raise DivergedError(f"a stage cannot be read ({error}); restore from a backup") from error
    rows: dict[Key, Row | None] = {}
    for row in staged.rows:
        if isinstance(row, str):
            rows[row] = None
        else:
            rows[row.key] = row
    return rows, staged.outcomes

"""One group as the bytes of one changelog entry, both directions. Pure; what it makes lives in the database until it is trimmed."""

import msgspec

from callboard.model.errors import DivergedError
from callboard.model.rows import Group, Key, Outcome, Position, Revision, Row


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the columns beside it do not say. A key alone stands for a removed row."""

    rows: list[Row | Key]
    outcomes: tuple[Outcome, ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode(group: Group) -> bytes:
    """The entry of `group`; its order of keys is kept."""
    return _encoder.encode(Entry([row if row is not None else key for key, row in group.rows.items()], group.outcomes))


def decode(after: Position, first: Revision, last: Revision, mark: bytes, entry: bytes) -> Group:
    """The group that `encode` was given. Raises `DivergedError` when the entry cannot be read."""
    try:
        content = _decoder.decode(entry)
    except msgspec.DecodeError as error:
        raise DivergedError(f"changelog entry {last} cannot be read ({error}); load again") from error
    rows: dict[Key, Row | None] = {}
    for row in content.rows:
        if isinstance(row, str):
            rows[row] = None
        else:
            rows[row.key] = row
    return Group(after, first, last, mark, rows, content.outcomes)

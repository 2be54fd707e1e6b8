"""What the store over a socket says: positions, groups, rows, cards and errors as bytes (MessagePack), both directions. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from callboard.model.errors import (
    CallboardError,
    CompactedError,
    DeposedError,
    DivergedError,
    FullError,
    IndeterminateError,
    InvalidError,
    LockedError,
    NameTakenError,
    StoreError,
    TooLargeError,
    UnavailableError,
)
from callboard.model.members import Card
from callboard.model.rows import Group, Key, Outcome, Position, Revision, Row
from callboard.store.contract import Health

T = TypeVar("T")
_PLAIN: Final[dict[str, type[StoreError]]] = {
    error.code: error for error in (DeposedError, UnavailableError, IndeterminateError, FullError, DivergedError)
}


class At(NamedTuple):
    """A position; a cursor means nothing elsewhere."""

    revision: Revision
    mark: bytes


class Change(NamedTuple):
    """A row of a group; deleted, when it has no value."""

    key: Key
    value: bytes | None
    revision: Revision


class Carried(Struct, frozen=True, array_like=True, gc=False):
    """A group."""

    after: At
    first: Revision
    last: Revision
    mark: bytes
    rows: list[Change]
    outcomes: tuple[Outcome, ...]


class Commit(Struct, frozen=True, array_like=True, gc=False):
    """A group, and by which lead."""

    lead: int
    group: Carried


class Named(NamedTuple):
    """A lead or membership, numbered by who asks for it: then it can be given up before it is known to be there."""

    number: int
    name: str = ""


class Joining(NamedTuple):
    """The card of who joins."""

    number: int
    card: Card


class Failure(Struct, frozen=True, array_like=True, gc=False):
    """An error of the tree, with what it is made from."""

    code: str
    text: str
    subject: str = ""
    number: int = 0


_encoder: Final = msgspec.msgpack.Encoder()
_at: Final = msgspec.msgpack.Decoder(At)
_group: Final = msgspec.msgpack.Decoder(Carried)
_commit: Final = msgspec.msgpack.Decoder(Commit)
_rows: Final = msgspec.msgpack.Decoder(list[Row])
_cards: Final = msgspec.msgpack.Decoder(tuple[Card, ...])
_failure: Final = msgspec.msgpack.Decoder(Failure)


def encode(value: object) -> bytes:
    """As bytes."""
    return _encoder.encode(value)


def decode(data: bytes, to: type[T]) -> T:
    """Of what is said seldom."""
    return msgspec.msgpack.decode(data, type=to)


def encode_position(position: Position) -> bytes:
    """Without its cursor."""
    return _encoder.encode(At(position.revision, position.mark))


def decode_position(data: bytes) -> Position:
    """Back."""
    return Position(*_at.decode(data))


def encode_group(group: Group) -> bytes:
    """For the feed."""
    return _encoder.encode(_carried(group))


def decode_group(data: bytes) -> Group:
    """Back."""
    return _group_of(_group.decode(data))


def encode_commit(lead: int, group: Group) -> bytes:
    """A group on its way to the engine."""
    return _encoder.encode(Commit(lead, _carried(group)))


def decode_commit(data: bytes) -> tuple[int, Group]:
    """The lead's number, and the group."""
    commit = _commit.decode(data)
    return commit.lead, _group_of(commit.group)


def _carried(group: Group) -> Carried:
    rows = [Change(key, row.value, row.revision) if row is not None else Change(key, None, Revision(0)) for key, row in group.rows.items()]
    return Carried(At(group.after.revision, group.after.mark), group.first, group.last, group.mark, rows, group.outcomes)


def _group_of(carried: Carried) -> Group:
    rows = {key: Row(key, value, revision) if value is not None else None for key, value, revision in carried.rows}
    return Group(Position(*carried.after), carried.first, carried.last, carried.mark, rows, carried.outcomes)


def encode_rows(rows: Sequence[Row]) -> bytes:
    """A batch of a load."""
    return _encoder.encode(rows)


def decode_rows(data: bytes) -> list[Row]:
    """Back."""
    return _rows.decode(data)


def decode_cards(data: bytes) -> tuple[Card, ...]:
    """Who is present."""
    return _cards.decode(data)


def decode_health(data: bytes) -> Health:
    """How the engine is."""
    return decode(data, Health)


def encode_error(error: CallboardError) -> bytes:
    """So that the asker can raise the same."""
    failure = Failure(error.code, str(error))
    if isinstance(error, InvalidError):
        failure = Failure(error.code, error.problem, error.field)
    elif isinstance(error, TooLargeError):
        failure = Failure(error.code, error.limit)
    elif isinstance(error, CompactedError):
        failure = Failure(error.code, "", "", error.first)
    elif isinstance(error, NameTakenError):
        failure = Failure(error.code, error.url, error.name)
    elif isinstance(error, LockedError):
        failure = Failure(error.code, "", error.path, error.pid)
    return _encoder.encode(failure)


def decode_error(data: bytes) -> CallboardError:
    """The same error."""
    code, text, subject, number = msgspec.structs.astuple(_failure.decode(data))
    if code == InvalidError.code:
        return InvalidError(subject, text)
    if code == TooLargeError.code:
        return TooLargeError(text)
    if code == CompactedError.code:
        return CompactedError(number)
    if code == NameTakenError.code:
        return NameTakenError(subject, text)
    if code == LockedError.code:
        return LockedError(subject, number)
    return _PLAIN.get(code, StoreError)(text)

"""Rows to values and back. A row's value is canonical JSON that starts with its schema number, so that engines stay readable by people.

A schema this program does not know raises `UnreadableRowError`: such a row must never be treated as absent.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from callboard.model.autopilot import Autopilot
from callboard.model.check import Check
from callboard.model.coordinate import Coordinate
from callboard.model.errors import StoreError
from callboard.model.event import Event
from callboard.model.instance import Instance, Node
from callboard.model.rows import Revision, Row

_SCHEMA: Final = b'{"v":1,'
_SHARED_MAX_COUNT: Final = 65_536
_SHARED_OUTPUT_MAX_CHARS: Final = 128
"""A longer output of a check tells what is its own: no other is equal, and keeping it would keep it after its check."""
_EMPTY: Final[dict[str, str]] = {}
_EMPTY_TAGGED: Final = Instance(namespace="", service="", node="", id="", nonce="").tagged


class Floor(Struct, frozen=True, gc=False):
    """A topic's index may not fall below `at`."""

    at: Revision


class Term(Struct, frozen=True, gc=False):
    """Written by each new leader before it plans: who leads, and for the how-manieth time someone does."""

    member: str
    number: int


class Epoch(Struct, frozen=True, gc=False):
    """Names one history of revisions: `store` is made with the first group and never changes; `level` is that of row schemas and rules."""

    store: str
    level: int = 1


class UnreadableRowError(StoreError):
    """A row of a newer schema, or damaged."""

    code = "unreadable"

    def __init__(self, row: Row, problem: str) -> None:
        super().__init__(f"row {row.key} cannot be read ({problem}); was it written by a newer program?")
        self.key = row.key


Part = TypeVar("Part")

_encoder: Final = msgspec.json.Encoder()
_decode_node: Final = msgspec.json.Decoder(Node).decode
_decode_instance: Final = msgspec.json.Decoder(Instance).decode
_decode_check: Final = msgspec.json.Decoder(Check).decode
_decode_event: Final = msgspec.json.Decoder(Event).decode
_decode_coordinate: Final = msgspec.json.Decoder(Coordinate).decode
_decode_autopilot: Final = msgspec.json.Decoder(Autopilot).decode
_decode_floor: Final = msgspec.json.Decoder(Floor).decode
_decode_epoch: Final = msgspec.json.Decoder(Epoch).decode
_decode_term: Final = msgspec.json.Decoder(Term).decode


def encode(value: Node | Instance | Check | Event | Coordinate | Autopilot | Term | Epoch | Floor) -> bytes:
    """The row value of `value`; its `modified` must be 0, for that is the row's revision."""
    body = _encoder.encode(value)
    return _SCHEMA + body[1:]


def _read(decode: Callable[[bytes], Part], row: Row) -> Part:
    value = row.value
    if not value.startswith(_SCHEMA):
        raise UnreadableRowError(row, "unknown schema")
    try:
        return decode(value)  # the schema number is a field that no value has, so it is passed over
    except msgspec.MsgspecError as error:
        raise UnreadableRowError(row, str(error)) from error


class _Keep(Protocol):
    def __call__(self, key: object, part: Part, /) -> Part: ...


class Shared:
    """Equal parts of many rows become one object. Lives as long as its view, and forgets when it is full."""

    __slots__ = ("_parts", "keep")

    def __init__(self) -> None:
        self._parts: dict[object, object] = {}
        self.keep: _Keep = self._parts.setdefault  # type: ignore[assignment]  # equal keys come from equal values of one type
        """The one part that was kept under a key, this one if there is none. Whoever calls it calls `trim` now and then."""

    def trim(self) -> None:
        """Forget when it is full: what is still used stays alive through the rows that use it, it is only no longer found here."""
        if len(self._parts) > _SHARED_MAX_COUNT:
            self._parts.clear()

    def __call__(self, part: str) -> str:
        """The one text equal to `part`."""
        self.trim()
        return self.keep(part, part)


def decode_node(row: Row) -> Node:
    """Raises `UnreadableRowError`."""
    node = _read(_decode_node, row)
    force_setattr(node, "modified", row.revision)
    return node


def decode_instance(row: Row, shared: Shared) -> Instance:
    """Raises `UnreadableRowError`."""
    shared.trim()
    return finish_instance(_read(_decode_instance, row), row.revision, shared)


def finish_instance(value: Instance, revision: Revision, shared: Shared) -> Instance:
    """Make a value, in place, what its row tells: of one just read, or of one the row was made of, that nobody else has yet.

    Whoever calls this calls `shared.trim` now and then.
    """
    keep = shared.keep
    force_setattr(value, "modified", revision)
    if value.created == revision:
        force_setattr(value, "created", revision)
    force_setattr(value, "namespace", keep(part := value.namespace, part))
    force_setattr(value, "service", keep(part := value.service, part))
    force_setattr(value, "node", keep(part := value.node, part))
    force_setattr(value, "port", keep(value.port, value.port))
    force_setattr(value, "tags", keep(value.tags, value.tags))
    meta = value.meta
    force_setattr(value, "meta", keep(tuple(meta.items()), meta) if meta else _EMPTY)
    if not value.tagged:
        force_setattr(value, "tagged", _EMPTY_TAGGED)
    return value


def decode_check(row: Row, shared: Shared) -> Check:
    """Raises `UnreadableRowError`."""
    shared.trim()
    return finish_check(_read(_decode_check, row), row.revision, shared)


def finish_check(value: Check, revision: Revision, shared: Shared) -> Check:
    """The same of a check."""
    keep = shared.keep
    force_setattr(value, "modified", revision)
    if value.created == revision:
        force_setattr(value, "created", revision)
    force_setattr(value, "namespace", keep(part := value.namespace, part))
    force_setattr(value, "node", keep(part := value.node, part))
    force_setattr(value, "name", keep(part := value.name, part))
    force_setattr(value, "definition", keep(value.definition, value.definition))
    if 0 < len(part := value.output) <= _SHARED_OUTPUT_MAX_CHARS:
        force_setattr(value, "output", keep(part, part))
    return value


def decode_event(row: Row) -> Event:
    """Raises `UnreadableRowError`."""
    value = _read(_decode_event, row)
    force_setattr(value, "modified", row.revision)
    return value


def decode_coordinate(row: Row) -> Coordinate:
    """Raises `UnreadableRowError`."""
    value = _read(_decode_coordinate, row)
    force_setattr(value, "modified", row.revision)
    return value


def decode_autopilot(row: Row) -> Autopilot:
    """Raises `UnreadableRowError`."""
    value = _read(_decode_autopilot, row)
    force_setattr(value, "modified", row.revision)
    return value


def decode_term(row: Row) -> Term:
    """Raises `UnreadableRowError`."""
    return _read(_decode_term, row)


def decode_floor(row: Row) -> Floor:
    """Raises `UnreadableRowError`."""
    return _read(_decode_floor, row)


def decode_epoch(row: Row) -> Epoch:
    """Raises `UnreadableRowError`."""
    return _read(_decode_epoch, row)

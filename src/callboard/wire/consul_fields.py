"""Consul's way with JSON bodies: names in any case or in snake_case, null as nothing, unknown names refused, durations as text or number.

Bodies with the documented names are decoded straight into their struct. Only when that fails is the body read again without types, its
names are put right by the struct's own fields, and it is converted: most clients never pay for the leniency of a few.
"""

from collections.abc import Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct

from callboard.model.errors import InvalidError
from callboard.model.time import HOUR, MINUTE, SECOND
from callboard.wire.consul_go import DURATION_MAX, parse_duration, quote

T = TypeVar("T", bound=Struct)

_WORDS: Final = {
    "id": "ID", "http": "HTTP", "tcp": "TCP", "udp": "UDP", "ttl": "TTL", "grpc": "GRPC", "h2ping": "H2PING", "tls": "TLS", "os": "OS",
}  # fmt: skip
_ALIASES: Final = {"args": "script_args"}
"""Further names of fields; every field also has its own name in snake_case."""


class Span(int):
    """Nanoseconds, given as Go's text (`10s`) or as a number of nanoseconds."""

    __slots__ = ()


_USUAL: Final = {
    f"{count}{unit}": Span(count * scale)
    for unit, scale, most in (("s", SECOND, 60), ("m", MINUTE, 60), ("h", HOUR, 72))
    for count in range(1, most + 1)
}
"""What nearly everybody writes."""


def go_name(field: str) -> str:
    """The name Go's structs have for a field: `service_id` is `ServiceID`."""
    return "".join(_WORDS.get(word, word.capitalize()) for word in field.split("_"))


def failure(problem: str) -> InvalidError:
    """A body that is not what it should be, in Consul's words."""
    return InvalidError("", f"Request decode failed: {problem}")


class Shape(NamedTuple):
    """How what a field holds may be spelled: the names of a struct (lower case), and which of its fields have a shape again.

    Without `names` it is no struct: of a list and of a map, whose keys are the caller's own, `inner[""]` is the shape of every item.
    """

    names: Mapping[str, str] | None
    inner: Mapping[str, "Shape"]
    zero: object
    """What null stands for in a list or a map."""


_TEXT: Final = Shape(None, {}, "")


def shape_of(struct: type[Struct]) -> Shape:
    """The shape of a body's struct and of those in it."""
    names: dict[str, str] = {}
    inner: dict[str, Shape] = {}
    for field in msgspec.structs.fields(struct):
        names[field.encode_name.lower()] = names[field.name] = field.encode_name
        found = _shape_in(field.type)
        if found is not None:
            inner[field.encode_name] = found
    names.update({alias: names[name] for alias, name in _ALIASES.items() if name in names})
    return Shape(names, inner, {})


def _shape_in(annotation: Any) -> Shape | None:  # noqa: ANN401  # whatever stands behind a colon
    """The shape of what a field holds: a struct, text, perhaps optional, or a list or map of such. None for what is taken as it is."""
    if annotation is str:
        return _TEXT
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        return shape_of(annotation)
    many, parts = get_origin(annotation), get_args(annotation)
    found = next((shape for part in (parts[1:] if many is dict else parts) if (shape := _shape_in(part)) is not None), None)
    if found is None or many not in {dict, tuple}:
        return found
    return Shape(None, {"": found}, {} if many is dict else [])


class Body(Generic[T]):
    """Decodes one kind of request body. Made once per kind, at assembly of this module's user."""

    def __init__(self, struct: type[T]) -> None:
        self._struct = struct
        self._shape = shape_of(struct)
        self._strict = msgspec.json.Decoder(struct, dec_hook=convert)

    def decode(self, body: bytes) -> T:
        """Raises `InvalidError` for anything that is not such a body, and nothing else."""
        if not body:
            raise failure("EOF")
        try:
            return self._strict.decode(body)
        except msgspec.ValidationError:
            return self._lenient(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise failure(str(error)) from None

    def _lenient(self, body: bytes) -> T:
        try:
            value = _renamed(msgspec.json.decode(body), self._shape)
            return msgspec.convert(value, self._struct, dec_hook=convert)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise failure(str(error)) from None


def _renamed(value: object, shape: Shape) -> object:
    """The same value with the names its struct has; null stands for an absent field, and in a list or map for an empty item."""
    if shape.names is None:
        return _items_renamed(value, shape)
    if value is None:
        return shape.zero
    if not isinstance(value, dict):
        return value
    out: dict[str, object] = {}
    for key, item in value.items():
        if item is None:
            continue  # consulate names every field it knows of, also those that Consul no longer knows
        name = shape.names.get(key.lower())
        if name is None:
            raise failure(f"json: unknown field {quote(key)}")
        inner = shape.inner.get(name)
        out[name] = item if inner is None else _renamed(item, inner)
    return out


def _items_renamed(value: object, shape: Shape) -> object:
    if value is None:
        return shape.zero
    item = shape.inner.get("")
    if item is None:
        return value
    if isinstance(value, list):
        return [_renamed(each, item) for each in value]
    return {key: _renamed(each, item) for key, each in value.items()} if isinstance(value, dict) else value


def convert(kind: type, value: object) -> object:
    """What msgspec does not know: spans. Raises `ValueError`, which msgspec tells with the field's name."""
    if kind is not Span:
        raise NotImplementedError(kind)
    if isinstance(value, str):
        if (found := _USUAL.get(value)) is not None:
            return found
        try:
            return Span(parse_duration(value))
        except InvalidError as error:
            raise ValueError(error.problem) from None
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= DURATION_MAX:
        return Span(value)
    raise ValueError("must be a duration as text, or a number of nanoseconds")

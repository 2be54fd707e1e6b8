"""Reading `/api/v1` bodies strictly: whatever is refused is refused by name. Nothing here outlives one request."""

import re
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from callboard.model.errors import InvalidError

S = TypeVar("S", bound=Struct)

_UNKNOWN: Final = "Object contains unknown field `"
_MISSING: Final = "Object missing required field `"
_PLACE: Final = re.compile(r" - at `\$\.?([^`]*)`\Z")
_FIELD_SHOWN_MAX_CHARS: Final = 200


def decode(body: bytes, to: type[S]) -> S:
    """A JSON body. Raises `InvalidError` naming the field, or `body` when it is no JSON at all."""
    try:
        return msgspec.json.decode(body, type=to)
    except msgspec.ValidationError as error:
        raise _named(str(error)) from None
    except UnicodeDecodeError:
        raise InvalidError("body", "must be UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidError("body", f"must be JSON: {error}") from None


def _named(message: str) -> InvalidError:
    """msgspec's message with the place at its end, as field and problem."""
    place = ""
    if (found := _PLACE.search(message)) is not None:
        place, message = found[1], message[: found.start()]
    for prefix, problem in ((_UNKNOWN, "no such field"), (_MISSING, "is missing")):
        if message.startswith(prefix):
            name = message.removeprefix(prefix).removesuffix("`")[:_FIELD_SHOWN_MAX_CHARS] or '""'
            return InvalidError(f"{place}.{name}" if place else name, problem)
    return InvalidError(place or "body", message[0].lower() + message[1:].replace("`", ""))

"""Values in filter expressions: what a text becomes for the field it is compared with, by the rules of Go's strconv (base by prefix)."""

import re
from enum import Enum
from typing import Final, NamedTuple

from callboard.model.errors import InvalidError

_VALUE_MAX_CHARS: Final = 128
"""So much of a value is said again in an error."""
_DIGITS: Final = {2: "01", 8: "01234567", 10: "0123456789", 16: "0123456789abcdef"}
_PREFIXES: Final = {"0b": 2, "0o": 8, "0x": 16}
_UNDERSCORES: Final = re.compile(r"(?:0[box]_?)?[0-9a-f]+(?:_[0-9a-f]+)*")
_TRUTHS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


class Range(NamedTuple):
    """What an integer of Go can hold."""

    first: int
    last: int
    parser: str
    """The function that errors name."""


class Primitive(Enum):
    """A field without parts."""

    TEXT = "text"
    FLAG = "flag"
    INT = Range(-(2**63), 2**63 - 1, "ParseInt")
    UINT8 = Range(0, 2**8 - 1, "ParseUint")
    UINT16 = Range(0, 2**16 - 1, "ParseUint")


def coerce(kind: Primitive, text: str, selector: tuple[str, ...]) -> str | bool | int:
    """The value that a field of this kind may equal. Raises `InvalidError`."""
    if kind is Primitive.TEXT:
        return text
    if kind is Primitive.FLAG:
        if text in _TRUTHS:
            return _TRUTHS[text]
        raise _no_value(text, selector, "ParseBool", "invalid syntax")
    limits = kind.value
    assert isinstance(limits, Range)
    number = parse_integer(text) if limits.first < 0 or text[:1] not in {"+", "-"} else None
    if number is None:
        raise _no_value(text, selector, limits.parser, "invalid syntax")
    if not limits.first <= number <= limits.last:
        raise _no_value(text, selector, limits.parser, "value out of range")
    return number


def parse_integer(text: str) -> int | None:
    """An integer in base 10, or by prefix in base 2, 8 (also a mere 0) or 16, with underscores between digits. None for anything else."""
    negative = text[:1] == "-"
    digits = (text[1:] if text[:1] in {"+", "-"} else text).lower()
    if len(digits) > _VALUE_MAX_CHARS or not digits:
        return None
    base = _PREFIXES.get(digits[:2], 0) if len(digits) > 2 else 0
    if "_" in digits and not _UNDERSCORES.fullmatch(digits):
        return None
    if base:
        plain = digits[2:]
    else:
        base, plain = (8, digits[1:]) if digits[0] == "0" and len(digits) > 1 else (10, digits)
    plain = plain.replace("_", "")
    if not plain or not set(plain) <= set(_DIGITS[base]):
        return None
    number = int(plain, base)
    return -number if negative else number


def _no_value(text: str, selector: tuple[str, ...], parser: str, problem: str) -> InvalidError:
    said = f"strconv.{parser}: parsing {quoted(text)}: {problem}"
    return InvalidError("", f"Failed to coerce value {quoted(text)} for selector {quoted('.'.join(selector))}: {said}")


def quoted(text: str) -> str:
    """Text in double quotes, shortened, without what cannot be sent or shown."""
    short = text if len(text) <= _VALUE_MAX_CHARS else text[:_VALUE_MAX_CHARS] + "..."
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short.replace("\\", "\\\\").replace('"', '\\"'))
    return f'"{shown}"'

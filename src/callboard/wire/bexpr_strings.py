"""String literals of filter expressions, with the escapes of Go's strings. Bytes that are no UTF-8 (`\\xff`) become lone surrogates, as
`surrogateescape` makes them.

A double quote cannot be escaped by a backslash: the first one ends the literal. `\\x22` says it, or backticks around it.
"""

import re
from typing import Final

_ESCAPE: Final = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\])|x(?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-7]{3})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|)"
)
_SIMPLE: Final = {"a": b"\a", "b": b"\b", "f": b"\f", "n": b"\n", "r": b"\r", "t": b"\t", "v": b"\v", "\\": b"\\"}
_SPECIAL: Final = re.compile(r'[\\"\n]|[^\x20-\x7e]')
_NAME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")


def unquote(literal: str) -> str | None:
    """The value of a literal in double quotes or backticks, None for what Go would not take."""
    inside = literal[1:-1]
    if literal[0] == "`":
        return inside.replace("\r", "")
    if "\n" in inside:
        return None
    if "\\" not in inside:
        return inside
    out: list[bytes] = []
    at = 0
    for escape in _ESCAPE.finditer(inside):
        out.append(inside[at : escape.start()].encode(errors="surrogatepass"))
        value = _escaped(escape)
        if value is None:
            return None
        out.append(value)
        at = escape.end()
    out.append(inside[at:].encode(errors="surrogatepass"))
    return b"".join(out).decode(errors="surrogateescape")


def _escaped(escape: re.Match[str]) -> bytes | None:
    if escape["simple"]:
        return _SIMPLE[escape["simple"]]
    byte = int(escape["byte"], 16) if escape["byte"] else int(escape["octal"], 8) if escape["octal"] else None
    if byte is not None:
        return bytes((byte,)) if byte <= 0xFF else None
    digits = escape["short"] or escape["long"]
    if not digits:
        return None
    rune = int(digits, 16)
    return chr(rune).encode() if rune <= 0x10FFFF and not 0xD800 <= rune <= 0xDFFF else None


def quote(value: str) -> str:
    """A literal in double quotes, all ASCII, that has this value."""
    return '"' + _SPECIAL.sub(_as_escape, value) + '"'


def _as_escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] == "\\":
        return r"\\"
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def is_name(part: str) -> bool:
    """Whether a part of a selector can be written behind a dot; else it is written as an index."""
    return _NAME.fullmatch(part) is not None

"""Responses as bytes: status lines, dates, header fields, gzip. Everything here is worked out once and shared by many answers."""

import zlib
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from callboard.net.http.message import Answer

GZIP_LEVEL: Final = 1
"""Level 1 takes 13 KB of JSON to 1.1 KB in 32 us; higher levels cost more time than they save bytes."""
Fields = list[tuple[bytes, bytes]]
_VARY: Final = (b"vary", b"accept-encoding")
_HEADS_MAX_COUNT: Final = 512
_JSON: Final = Answer()
NO_BODY: Final = frozenset({204, 304})
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class Dates:
    """The Date field (RFC 9110 section 6.6.1), put once a second. Lives as long as the server.

    `now` is a new object each second: whoever kept a response knows by identity whether its date is still right.
    """

    __slots__ = ("_heads", "_json_heads", "_prefixes", "now")

    def __init__(self, wall_s: float) -> None:
        self.now = b""
        self._prefixes: dict[int, bytes] = {}
        self._heads: dict[tuple[int, bytes, int], bytes] = {}
        self._json_heads: dict[int, bytes] = {}
        self.tick(wall_s)

    def tick(self, wall_s: float) -> None:
        """It is `wall_s` seconds since 1970."""
        self.now = formatdate(wall_s, usegmt=True).encode()
        self._prefixes.clear()
        self._heads.clear()
        self._json_heads.clear()

    def prefix(self, status: int) -> bytes:
        """How every response with this status begins. All prefixes of one status have the same length."""
        prefix = self._prefixes.get(status)
        if prefix is None:
            line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
            prefix = self._prefixes[status] = line + b"date: " + self.now + b"\r\n%b: %b\r\n" % _VARY
        return prefix

    def head(self, answer: Answer, length: int) -> bytes:
        """All that comes before the body, of `length` bytes, of an answer that is not compressed. Many small answers have the same one."""
        if answer.headers:
            return self.prefix(answer.status) + head(answer, length)
        key = answer.status, answer.content_type, length
        found = self._heads.get(key)
        if found is None:
            found = self.prefix(answer.status) + head(answer, length)
            if len(self._heads) < _HEADS_MAX_COUNT:
                self._heads[key] = found
        return found

    def json(self, body: bytes) -> bytes:
        """A response with nothing to it but a body in JSON."""
        length = len(body)
        head = self._json_heads.get(length)
        if head is None:
            head = self.head(_JSON, length)
            if len(self._json_heads) < _HEADS_MAX_COUNT:
                self._json_heads[length] = head
        return head + body

    def fields(self) -> Fields:
        """The date as fields, for responses that are written by uvicorn."""
        return [(b"date", self.now), _VARY]


def fields(answer: Answer, length: int, *, gzipped: bool = False) -> Fields:
    """Header fields of an answer with a body of `length` bytes, without date and vary. Raises `ValueError` for a line break in one."""
    out: Fields = []
    if answer.content_type and length:
        out.append((b"content-type", answer.content_type))
    if gzipped:
        out.append((b"content-encoding", b"gzip"))
    for pair in answer.headers:
        name, value = pair
        if b"\n" in value or b"\r" in value or b"\n" in name or b"\r" in name:
            raise ValueError(f"header field {name!r} must not contain a line break")
        out.append(pair)
    if answer.status not in NO_BODY:
        out.append((b"content-length", b"%d" % length))
    return out


def head(answer: Answer, length: int, *, gzipped: bool = False) -> bytes:
    """The same fields as bytes, with the empty line that ends them."""
    return b"".join([b"%b: %b\r\n" % pair for pair in fields(answer, length, gzipped=gzipped)]) + b"\r\n"


def sendable(answer: Answer) -> bytes:
    """The body, or none where the status has none (RFC 9110 section 6.4.1)."""
    return answer.body if answer.status not in NO_BODY else b""


def compressible(answer: Answer, length: int, min_bytes: int) -> bool:
    """Whether gzip is worth it: long enough, and not coded already."""
    return length >= min_bytes and all(name.lower() != b"content-encoding" for name, _ in answer.headers)


def gzip(body: bytes | memoryview) -> bytes:
    """RFC 1952, without a time in it, so that equal bodies stay equal."""
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def closing(wire: bytes) -> bytes:
    """The same response, telling that the connection ends with it."""
    return wire.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)


def accepts_gzip(value: str) -> bool:
    """Whether an Accept-Encoding field lets us use gzip (RFC 9110 section 12.5.3): by its own weight, else by that of `*`."""
    weights: dict[str, float] = {}
    for part in value.lower().split(","):
        coding, _, parameter = part.partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            weights[coding.strip()] = float(weight) if name.strip() == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    for coding in ("gzip", "x-gzip", "*"):
        if coding in weights:
            return weights[coding] > 0.0
    return False


def response(dates: Dates, answer: Answer, gzip_min_bytes: int | None) -> bytes:
    """A complete response, compressed when it has at least `gzip_min_bytes`. Raises `ValueError` for a field with a line break."""
    body = sendable(answer)
    gzipped = gzip_min_bytes is not None and compressible(answer, len(body), gzip_min_bytes)
    if gzipped:
        body = gzip(body)
        return dates.prefix(answer.status) + head(answer, len(body), gzipped=True) + body
    return dates.head(answer, len(body)) + body

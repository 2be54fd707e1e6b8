"""What a request's header block says, without parsing it again.

A request is cut into its line (`GET /path?query`) and its block (` HTTP/1.1` and all header fields). A client sends the same block again
and again, so what it means is decided once, by llhttp, and remembered under its exact bytes: whoever meets the same bytes again may
trust the facts as if llhttp had read them. Fields that are other ones in each request and mean nothing to us (a `traceparent`) are left
out before; a block is remembered at its second sight, so that others which are unique per request never push out good ones. Facts live
until the table is full and is emptied.

When access rules come, whose rights a block carries is decided here, once, and `Facts` leads to the answers those rights may see.
"""

import re
from array import array
from collections.abc import Callable, Mapping
from typing import Final

import httptools

from callboard.net.http.coding import accepts_gzip

VERSION: Final = b" HTTP/1.1\r\n"
"""How every block begins that is known here."""
VERSION_BYTES: Final = len(VERSION)
_NOT_QUICK: Final = frozenset({"expect", "upgrade", "transfer-encoding"})
_LENGTH_MAX_DIGITS: Final = 18
_OTHER_EACH_TIME: Final = re.compile(
    rb"\r\n(?:traceparent|tracestate|x-request-id|x-correlation-id|b3|x-b3-[a-z]+|uber-trace-id|x-amzn-trace-id|x-cloud-trace-context"
    rb"|x-datadog-[a-z-]+):[ -~]*(?=\r\n[^ \t])",
    re.IGNORECASE,
)
"""Fields by which requests are traced: other ones each time, and without a meaning here. Only what is plainly one line of a head."""
_SIGHTS: Final = 1 << 16


class Facts:
    """What a block means. `length` is that of the body; `close` tells that the connection ends with the answer."""

    __slots__ = ("_block", "_headers", "close", "gzip", "lasting", "length")

    def __init__(self, block: bytes, length: int, *, gzip: bool, close: bool) -> None:
        self._block = block
        self._headers: Mapping[str, str] | None = None
        self.gzip = gzip
        self.close = close
        self.length = length
        self.lasting = False
        """Remembered: the next request with this block has these same facts."""

    def headers(self) -> Mapping[str, str]:
        """Fields by lower-case name; read again at the first question, since most handlers ask for none."""
        if self._headers is None:
            self._headers = _Judge(b"GET /" + self._block).headers
        return self._headers


def joined(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Fields by lower-case name, repeated ones joined by a comma (RFC 9110 section 5.3)."""
    out: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip(" \t")
        out[name] = f"{out[name]}, {value}" if name in out else value
    return out


class _Judge:
    """One run of llhttp over one head. `keep_alive` is None when it is no complete, valid head."""

    __slots__ = ("_pairs", "_parser", "headers", "keep_alive")

    def __init__(self, head: bytes) -> None:
        self._pairs: list[tuple[bytes, bytes]] = []
        self.keep_alive: bool | None = None
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(head)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.keep_alive = None
        finally:
            self._parser = None  # parser and callbacks are a cycle
        self.headers = joined(self._pairs)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._pairs.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser is not None:
            self.keep_alive = self._parser.should_keep_alive()  # asked here: llhttp forgets it when the message ends


class Sights:
    """Whether a key was seen before, probably: a fixed table of hashes, in which newer keys push out older ones."""

    __slots__ = ("_hashes",)

    def __init__(self) -> None:
        self._hashes = array("q", bytes(8 * _SIGHTS))

    def again(self, key: bytes) -> bool:
        """True from the second sight on, if not too many others came between."""
        digest = hash(key)
        place = digest & (_SIGHTS - 1)
        if self._hashes[place] == digest:
            return True
        self._hashes[place] = digest
        return False


class Blocks:
    """Header blocks and their facts: at most `max_count` of `max_bytes` each."""

    __slots__ = ("_max_bytes", "_max_count", "_not_quick", "_sights", "allows", "known")

    def __init__(
        self, max_count: int, max_bytes: int, allows: Callable[[str], bool] | None = None, fields: frozenset[str] = frozenset()
    ) -> None:  # fmt: skip
        """`allows` judges the Host field; a block whose host it refuses is never known, nor is one with one of `fields`."""
        self._not_quick = _NOT_QUICK | fields
        self.allows = allows
        self.known: dict[bytes, Facts] = {}
        """By what comes after `VERSION`."""
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._sights = Sights()

    def judge(self, line: bytes, block: bytes) -> Facts | None:
        """The facts of a block, None when its request must go the long way.

        That is everything but a valid HTTP/1.1 head with a Host that is served, and without Expect, Upgrade, Transfer-Encoding and what
        sites judge.
        """
        if not block.startswith(VERSION):
            return None
        whole, block = block, _OTHER_EACH_TIME.sub(b"", block)
        if len(block) != len(whole) and (facts := self.known.get(block[VERSION_BYTES:])) is not None:
            return facts
        judge = _Judge(line + block)
        headers = judge.headers
        length = headers.get("content-length", "0")
        if judge.keep_alive is None or "host" not in headers or not self._not_quick.isdisjoint(headers):
            return None
        if self.allows is not None and not self.allows(headers["host"]):
            return None
        if not (length.isascii() and length.isdigit() and len(length) <= _LENGTH_MAX_DIGITS):
            return None
        facts = Facts(block, int(length), gzip=accepts_gzip(headers.get("accept-encoding", "")), close=not judge.keep_alive)
        if len(block) <= self._max_bytes and self._sights.again(block):
            if len(self.known) >= self._max_count:
                self.known.clear()
            self.known[block[VERSION_BYTES:]] = facts
            facts.lasting = True
        return facts

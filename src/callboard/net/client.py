"""A small HTTP/1.1 client for probes: one request, one connection, a bounded answer. An httpx request would cost twenty times the CPU.

A connection lives for one request. There is no keep-alive: a probe is to find out whether a new connection is served.
"""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, cast
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

import httptools

from callboard.core.callers import is_loopback
from callboard.model.errors import CallboardError
from callboard.net.dial import ClientTls, dial, reason
from callboard.net.lookup import Lookups

REDIRECTS_MAX_COUNT: Final = 10
HEAD_MAX_BYTES: Final = 65_536
BODY_MAX_BYTES: Final = 65_536
"""Of an answer's body no more is read; the rest is left to whoever sent it."""
USER_AGENT: Final = "Consul Health Check"
"""What services were told to expect of a health check, and leave out of their logs."""
_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TO_GET: Final = frozenset({301, 302, 303})
_SECRET: Final = frozenset({"authorization", "cookie"})
_TARGET_SAFE: Final = "%/:=&?~#+!$,;'@()*[]"


class RequestError(CallboardError):
    """There is no answer; the message says why in a few words."""

    code = "request"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to make. `connect` is dialled instead of the URL's host; the Host field keeps the URL's.

    `tls` tells how to believe a host.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    connect: str = ""
    follow_redirects: bool = True
    tls: Callable[[str], ClientTls] | None = None


@dataclass(slots=True)
class Incoming:
    """An answer. `body` is what was read of it; `whole` says whether that is all."""

    status: int = 0
    reason: str = ""
    location: str = ""
    body: bytes = b""
    whole: bool = False


async def fetch(outgoing: Outgoing, timeout_s: float, lookups: Lookups | None = None) -> Incoming:
    """Make the request, following redirects unless told otherwise, all of it within `timeout_s`.

    Raises `RequestError` and `DialError`, and `OSError` when this machine lacks what it takes. An answer whose body is not finished in
    time is an answer: its status was given.
    """
    end = asyncio.get_running_loop().time() + timeout_s
    for _ in range(REDIRECTS_MAX_COUNT + 1):
        answer = await _exchange(outgoing, end, timeout_s, lookups)
        if not outgoing.follow_redirects or answer.status not in _REDIRECTS or not answer.location:
            return answer
        outgoing = _redirected(outgoing, answer)
    raise RequestError(f"stopped after {REDIRECTS_MAX_COUNT} redirects")


def _redirected(outgoing: Outgoing, answer: Incoming) -> Outgoing:
    """The next request (RFC 9110 section 15.4).

    An override of the address goes on holding for the same host, and for loopback, which means the caller's and not ours. What proves
    who asks is not told to another host.
    """
    try:
        url = urljoin(outgoing.url, answer.location)
    except ValueError as error:
        raise RequestError(f"redirected to what is not a URL: {error}") from None
    before, after = _split(outgoing.url), _split(url)
    to_loopback = is_loopback(after.hostname or "")
    if to_loopback and not outgoing.connect and not is_loopback(before.hostname or ""):
        raise RequestError(f"redirected to {after.hostname}, which would be this server itself")
    same = before.netloc == after.netloc
    connect = outgoing.connect if before.hostname == after.hostname or to_loopback else ""
    headers = (
        outgoing.headers if same else tuple((name, value) for name, value in outgoing.headers if name.lower() not in {*_SECRET, "host"})
    )
    outgoing = replace(outgoing, url=url, connect=connect, headers=headers)
    return replace(outgoing, method="GET", body=b"") if answer.status in _TO_GET and outgoing.method not in {"GET", "HEAD"} else outgoing


def _split(url: str) -> SplitResult:
    """The parts of a URL that can be asked. Raises `RequestError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RequestError(f"not a URL: {error}") from None
    if parts.scheme not in _PORTS:
        raise RequestError(f"{parts.scheme or 'no'} scheme: only http:// and https:// can be asked")
    if not parts.hostname or port == 0:
        raise RequestError("the URL names no host")
    return parts


async def _exchange(outgoing: Outgoing, end: float, timeout_s: float, lookups: Lookups | None) -> Incoming:
    """One request and its answer on a connection of its own."""
    loop = asyncio.get_running_loop()
    parts = _split(outgoing.url)
    request = _head(outgoing, parts) + outgoing.body
    host = parts.hostname or ""
    transport, connection = await dial(
        lambda: _Connection(loop, request, head_only=outgoing.method == "HEAD"),
        outgoing.connect or host, parts.port or _PORTS[parts.scheme], end - loop.time(), lookups,
        tls=_tls(outgoing, host) if parts.scheme == "https" else None,
    )  # fmt: skip
    try:
        async with asyncio.timeout_at(end):
            await connection.done
    except TimeoutError:
        if not connection.answered:
            raise RequestError(f"no answer within {timeout_s:g} s") from None
    finally:
        transport.abort()
    return connection.answer


def _tls(outgoing: Outgoing, host: str) -> ClientTls:
    if outgoing.tls is None:
        raise RequestError("https cannot be asked here, for nobody said whom to believe")
    return outgoing.tls(host)


def _head(outgoing: Outgoing, parts: SplitResult) -> bytes:
    userinfo, at, host = parts.netloc.rpartition("@")
    own = [("Host", host), ("User-Agent", USER_AGENT), ("Accept", "text/plain, text/*, */*"), ("Accept-Encoding", "identity")]
    if at:
        own.append(("Authorization", "Basic " + b64encode(unquote(userinfo).encode()).decode()))
    given = {name.lower() for name, _ in outgoing.headers}
    fields = [*((name, value) for name, value in own if name.lower() not in given), *outgoing.headers]
    length = str(len(outgoing.body))
    fields = [field for field in fields if field[0].lower() not in {"connection", "content-length", "transfer-encoding"}]
    fields += [("Connection", "close"), *([("Content-Length", length)] if outgoing.body or outgoing.method in {"POST", "PUT"} else [])]
    target = quote(parts.path or "/", safe=_TARGET_SAFE) + ("?" + quote(parts.query, safe=_TARGET_SAFE) if parts.query else "")
    lines = [f"{outgoing.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise RequestError("method, URL and header fields must not contain line breaks")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class _Connection(asyncio.Protocol):
    """Sends the request, and takes the answer as far as it is wanted. The callbacks of httptools are its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, request: bytes, *, head_only: bool) -> None:
        self.done: asyncio.Future[None] = loop.create_future()
        self.answer = Incoming()
        self.answered = False
        """Whether the head is there."""
        self._request = request
        self._head_only = head_only
        self._received_bytes = 0
        self._body = bytearray()
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send."""
        # uvloop's transports are none of asyncio's classes.
        cast(asyncio.WriteTransport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read until there is enough."""
        if self.done.done():
            return
        self._received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._finish()
        except httptools.HttpParserError as error:
            self._finish() if self.answered else self._fail(f"malformed HTTP response: {error}")
        self.answer.body = bytes(self._body[:BODY_MAX_BYTES])
        if not self.answered and self._received_bytes > HEAD_MAX_BYTES:
            self._fail(f"the head of the answer is larger than {HEAD_MAX_BYTES} bytes")
        elif len(self._body) > BODY_MAX_BYTES or self._received_bytes > HEAD_MAX_BYTES + BODY_MAX_BYTES:
            self._finish()  # what is neither head nor body, like trailers, may be endless too

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection is the end of an answer without a length, and of one that was cut off after its head."""
        if self.answered:
            self._finish()
        else:
            self._fail(reason(exc) if isinstance(exc, OSError) else "the connection was closed without an answer (EOF)")

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _fail(self, problem: str) -> None:
        if not self.done.done():
            self.done.set_exception(RequestError(problem))
            self.done.exception()  # perhaps nobody waits for it any more

    # -- httptools

    def on_status(self, status: bytes) -> None:
        """The words beside the number, perhaps in pieces."""
        self.answer.reason += status.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Only where to go next is of interest."""
        if name.lower() == b"location":
            self.answer.location = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The head is there, unless it only announces another one (1xx)."""
        status = self._parser.get_status_code()
        if status >= 200 or status == 101:
            self.answer.status, self.answered = status, True
            if self._head_only:
                self._finish()
        else:
            self.answer = Incoming()

    def on_body(self, body: bytes) -> None:
        """Keep it, up to the limit."""
        if len(self._body) <= BODY_MAX_BYTES:
            self._body += body

    def on_message_complete(self) -> None:
        """All of it is there."""
        if self.answered:
            self.answer.whole = True
            self._finish()

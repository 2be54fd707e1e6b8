"""Kept HTTP/1.1 connections to one place, for those who ask it again and again: members asking members.

One request is under way per connection, so whatever goes wrong with one takes no other with it. A connection is used again only after a
whole answer; it goes when it has rested too long, when the other side closes it, and with every question that was not answered in time.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

import httptools

from callboard.model.errors import CallboardError, InvalidError
from callboard.net.dial import ClientTls, dial, host_port, reason
from callboard.net.lookup import DialError, Lookups
from callboard.net.tls import ClientTrust

HEAD_MAX_BYTES: Final = 65_536
"""Of an answer."""


class LinkError(CallboardError):
    """There is no answer, or not a whole one, or not in time. What was asked may have arrived all the same, if it was `sent`."""

    code = "link"

    def __init__(self, problem: str, *, sent: bool = True) -> None:
        super().__init__(problem)
        self.sent = sent


class Limits(NamedTuple):
    """Of the connections to one place."""

    connections_max_count: int
    """Open at once; who wants more waits."""
    connect_time_max_ms: int
    idle_time_max_ms: int
    """A connection that has rested for so long is closed."""
    body_max_bytes: int
    """Of an answer."""


class Answered(NamedTuple):
    """A whole answer; `headers` by lower-case name."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes


class Links:
    """The connections to one place. Make it in a running loop; it lives until `close`."""

    def __init__(self, host: str, port: int, limits: Limits, lookups: Lookups | None = None, trust: ClientTrust | None = None) -> None:
        """`trust` makes them connections over TLS."""
        self.place = host_port(host, port)
        self._trust = trust
        self._host = host
        self._port = port
        self._limits = limits
        self._lookups = lookups
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(limits.connections_max_count)
        self._open: set[_Link] = set()
        self._resting: dict[_Link, float] = {}
        """Since when, in the order of time."""
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def open_count(self) -> int:
        """Connections there are now."""
        return len(self._open)

    async def ask(self, head: bytes, body: bytes, timeout_s: float) -> Answered:
        """Send a request and read its answer. Raises `LinkError`."""
        end = self._loop.time() + timeout_s
        try:
            async with asyncio.timeout_at(end), self._room:
                return await self._asked(await self._link(end), head, body)
        except TimeoutError:
            self._forget_resting()  # as old as the one that failed, or older: likely as dead
            raise LinkError(f"no answer from {self.place} within {timeout_s:g} s") from None

    async def _asked(self, link: "_Link", head: bytes, body: bytes) -> Answered:
        try:
            answered = await link.ask(head, body)
        except BaseException:  # also when who asked has given up: the answer would be taken for that of the next question
            link.abort()
            raise
        if link.usable and not self._closed:
            self._rest(link)
        else:
            link.abort()
        return answered

    async def _link(self, end: float) -> "_Link":
        self._require_open()
        while self._resting:
            link, _ = self._resting.popitem()  # the one that rested last is the likeliest to live
            if link.usable:
                return link
            link.abort()
        time_s = min(self._limits.connect_time_max_ms / 1_000, end - self._loop.time())
        try:
            tls = ClientTls(self._trust.context(), self._host) if self._trust is not None else None
            transport, link = await dial(self._made, self._host, self._port, time_s, self._lookups, tls=tls)
        except (DialError, InvalidError) as error:
            raise LinkError(str(error), sent=False) from error
        except OSError as error:
            raise LinkError(f"{self.place}: {error.strerror or error}", sent=False) from error
        try:
            self._require_open()
        except LinkError:
            transport.abort()
            raise
        return link

    def _require_open(self) -> None:
        if self._closed:
            raise LinkError(f"the connections to {self.place} are closed", sent=False)

    def _made(self) -> "_Link":
        return _Link(self._loop, self._limits.body_max_bytes, self._open)

    # -- rest

    def _rest(self, link: "_Link") -> None:
        self._resting[link] = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._limits.idle_time_max_ms / 1_000, self._sweep)

    def _sweep(self) -> None:
        """Close what has rested too long, and come again for the others."""
        self._timer = None
        now, time_max_s = self._loop.time(), self._limits.idle_time_max_ms / 1_000
        for link, since in list(self._resting.items()):
            if now - since >= time_max_s or not link.usable:
                del self._resting[link]
                link.abort()
        if self._resting:
            oldest = next(iter(self._resting.values()))
            self._timer = self._loop.call_later(max(0.0, oldest + time_max_s - now), self._sweep)

    def _forget_resting(self) -> None:
        while self._resting:
            self._resting.popitem()[0].abort()

    def close(self) -> None:
        """Close every connection; who waits for an answer is told."""
        self._closed = True
        self._resting.clear()
        if self._timer is not None:
            self._timer.cancel()
        for link in list(self._open):
            link.abort()


class _Link(asyncio.Protocol):
    """One connection. The callbacks of httptools are its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop, body_max_bytes: int, among: "set[_Link]") -> None:
        self.usable = False
        """Nothing is under way, and the other side has said nothing against a next question."""
        self._loop = loop
        self._body_max_bytes = body_max_bytes
        self._among = among
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answered] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._begin()

    def _begin(self) -> None:
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = self._size = 0
        self._body: list[bytes] = []
        self._keeps = self._whole = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no base class
        self._among.add(self)
        self.usable = True

    def ask(self, head: bytes, body: bytes) -> "asyncio.Future[Answered]":
        """Send a request; its answer, or `LinkError`, is told in time or never."""
        assert self._transport is not None, "asked when it is open"
        self._begin()
        self.usable = False
        self._parser = httptools.HttpResponseParser(self)
        self._answer = self._loop.create_future()
        self._transport.writelines((head, body) if body else (head,))
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Some of the answer."""
        if self._parser is None:
            self._fail("it said something that nobody had asked")
            return
        if not self._status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"malformed HTTP response: {error}")
        if self._size > self._body_max_bytes:
            self._fail(f"the answer is larger than {self._body_max_bytes} bytes")
        elif not self._status and self._head_bytes > HEAD_MAX_BYTES:
            self._fail(f"the head of the answer is larger than {HEAD_MAX_BYTES} bytes")
        elif self._whole:
            self._parser = None  # it and its callbacks are a cycle

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended."""
        self._among.discard(self)
        self._fail(reason_of(exc) if exc is not None else "the connection was closed before the end of the answer")

    def abort(self) -> None:
        """Close it now."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, problem: str) -> None:
        self._parser = None
        self.abort()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(LinkError(problem))

    # -- httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is there. (llhttp forgets whether the connection stays when the message ends.)"""
        assert self._parser is not None, "it calls"
        self._status = self._parser.get_status_code()
        self._keeps = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Some of the body."""
        self._size += len(body)
        if self._size <= self._body_max_bytes:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """All of it is there. A second message is none that was asked for."""
        second, self._whole = self._whole, True
        self.usable = self._keeps and not second
        if self._size <= self._body_max_bytes and self._answer is not None and not self._answer.done():
            self._answer.set_result(Answered(self._status, self._headers, b"".join(self._body)))


def reason_of(error: Exception) -> str:
    """Why a connection ended, in a few words."""
    if not isinstance(error, OSError):
        return str(error) or type(error).__name__
    try:
        return reason(error)
    except OSError:  # this machine's own fault
        return error.strerror or str(error)

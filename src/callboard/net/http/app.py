"""The long way: a Starlette application over the same routes and handlers as the quick door, for everything the door hands on.

Streams, large or chunked bodies, HTTP/1.0, HEAD, Expect, unknown paths. One endpoint takes every path, since the table of routes is the
`Router`'s; Starlette gives the frame around it (errors, and room for applications of others). It lives as long as the server.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from callboard.model.errors import InvalidError
from callboard.model.time import MILLISECOND, Instant
from callboard.net.http import coding
from callboard.net.http.answers import Kept
from callboard.net.http.handling import Replying, at_once, failed, judged, refused, too_late, too_many_waiting
from callboard.net.http.hub import Hub
from callboard.net.http.message import After, Answer, Errors, Later, Read, Reply, Stream
from callboard.net.http.parked import ANSWER, PARKED
from callboard.net.http.request import LongRequest, Origin
from callboard.net.http.routing import Missing
from callboard.net.tasks import spawn
from callboard.wire.url import decode_path

T = TypeVar("T")


class GoneError(Exception):
    """The client is gone, so nobody wants the answer."""


class Waiting:
    """A request on the long way that waits for a change or an outcome. It lives as long as it waits."""

    __slots__ = ("_hub", "after", "due", "future", "kept", "slot")

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.future: asyncio.Future[Reply | None] = hub.loop.create_future()
        """A reply, or None: look again."""
        self.kept: Kept | None = None
        self.after = self.due = self.slot = 0

    def answered(self, kept: Kept) -> None:
        """The change has come, or the time is over."""
        self.known(None)

    def known(self, reply: Reply | None) -> None:
        """What it waits for has come."""
        if not self.future.done():
            self.future.set_result(reply)

    def expired(self, now: Instant) -> None:
        """The time is over."""
        self._hub.parked.expire(self)
        self.known(None)

    def forget(self) -> None:
        """It waits no longer."""
        self._hub.parked.release(self)
        self._hub.timers.wheel.drop(self)


class Exchange:
    """One request and its response, as ASGI has them."""

    __slots__ = ("_receive", "gzip", "origin", "raw_path", "raw_query", "scope", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.send = send
        self._receive = receive
        self.origin = Origin(scope["headers"], scope["client"], scope["server"])
        self.raw_path: bytes = scope["raw_path"]
        self.raw_query: bytes = scope["query_string"]
        self.gzip = any(name == b"accept-encoding" and coding.accepts_gzip(value.decode("latin-1")) for name, value in self.origin.pairs)

    async def body(self, max_bytes: int) -> bytes | None:
        """The whole body, None when it is too large. Raises `GoneError`."""
        parts: list[bytes] = []
        length = 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise GoneError
            part: bytes = message.get("body", b"")
            parts.append(part)
            length += len(part)
            if length > max_bytes:
                return None
            if not message.get("more_body", False):
                return b"".join(parts)

    async def gone(self) -> None:
        """Returns when the client has left. Only after the body."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def unless_gone(self, future: asyncio.Future[T]) -> T:
        """What the future brings. Raises `GoneError` when the client leaves first."""
        gone = spawn(self.gone(), name="http client gone")
        waited: set[asyncio.Future[Any]] = {gone, future}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if not future.done():
            raise GoneError
        return future.result()

    async def start(self, status: int, fields: coding.Fields) -> None:
        """Send the head."""
        await self.send({"type": "http.response.start", "status": status, "headers": fields})

    async def write(self, part: bytes, *, more: bool) -> None:
        """Send some of the body."""
        await self.send({"type": "http.response.body", "body": part, "more_body": more})


class LongWay:
    """The endpoint."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._over: set[asyncio.Future[None]] = set()
        self._stopping = False

    def application(self) -> Starlette:
        """What uvicorn calls."""
        starlette = Starlette()
        starlette.router.default = self
        return starlette

    def end_streams(self) -> None:
        """The server stops: streams end where they are, and nobody waits for a change any more."""
        self._stopping = True
        for over in self._over:
            if not over.done():
                over.set_result(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI 3)."""
        exchange = Exchange(scope, receive, send)
        with contextlib.suppress(GoneError):
            await self._exchange(exchange)

    async def _exchange(self, exchange: Exchange) -> None:
        hub = self._hub
        raw_path = exchange.raw_path.decode("latin-1")
        limit = hub.body_max_bytes(exchange.scope["method"].encode("latin-1"), exchange.raw_path)
        body = await exchange.body(limit)
        if body is None:
            errors = hub.router.errors(raw_path)
            answer = refused(errors, 413, f"the body must have at most {limit} bytes", hub.stats)
            return await self._send(exchange, replace(answer, headers=(*answer.headers, (b"connection", b"close"))), errors)
        try:
            path, query = decode_path(raw_path), exchange.raw_query.decode()
        except (InvalidError, UnicodeDecodeError) as error:
            errors = hub.router.errors(raw_path)
            detail = str(error) if isinstance(error, InvalidError) else "query: must be UTF-8"
            return await self._send(exchange, refused(errors, 400, detail, hub.stats), errors)
        request = LongRequest(exchange.scope["method"], path, query, body, exchange.origin)
        request.proxies = hub.proxies
        found = hub.router.find(request.method, path)
        if not isinstance(found, Missing):
            place, request.rest = found
            return await self._reply(exchange, judged(place, request, hub.stats, hub.fields), place.errors)
        if found.allowed:
            return await self._send(exchange, found.errors.wrong_method(request, found.allowed), found.errors)
        return await self._send(exchange, found.errors.unknown_path(request), found.errors)

    async def _reply(self, exchange: Exchange, reply: Reply, errors: Errors) -> None:
        if isinstance(reply, Answer):
            await self._send(exchange, reply, errors)
        elif isinstance(reply, Read):
            await self._read(exchange, reply, errors)
        elif isinstance(reply, Later | After):
            known = await self._known(exchange, reply, errors)
            await self._reply(exchange, at_once(known) if self._stopping else known, errors)
        else:
            await self._stream(exchange, reply)

    async def _send(self, exchange: Exchange, answer: Answer, errors: Errors) -> None:
        if exchange.gzip and (packing := self._hub.packing(answer)) is not None:
            return await self._reply(exchange, packing.reply(), errors)
        body = coding.sendable(answer)
        gzipped = exchange.gzip and coding.compressible(answer, len(body), self._hub.settings.gzip_min_bytes)
        if gzipped:
            body = coding.gzip(body)
        try:
            fields = coding.fields(answer, len(body), gzipped=gzipped)
        except ValueError as error:
            answer = failed(errors, error, self._hub.stats, "encoding an answer")
            body = coding.sendable(answer)
            fields = coding.fields(answer, len(body))
        await exchange.start(answer.status, fields)
        return await exchange.write(body, more=False)

    async def _read(self, exchange: Exchange, read: Read, errors: Errors) -> None:
        hub = self._hub
        waiting = Waiting(hub)
        verdict, kept = hub.parked.read(waiting, read, errors)
        if verdict == PARKED:
            hub.timers.put(waiting, hub.timers.now() + read.wait)
            try:
                await exchange.unless_gone(waiting.future)
            finally:
                waiting.forget()
        elif verdict != ANSWER:
            return await self._send(exchange, too_many_waiting(errors, hub.stats), errors)
        if exchange.gzip and (packing := hub.answers.packing(kept)) is not None:
            return await self._reply(exchange, packing.reply(), errors)
        wire = hub.answers.wire(kept, gzip=exchange.gzip)
        body = wire[wire.index(b"\r\n\r\n") + 4 :]
        shown = kept.shown()
        await exchange.start(shown.status, coding.fields(shown, len(body), gzipped=wire is not kept.plain))
        return await exchange.write(body, more=False)

    async def _known(self, exchange: Exchange, waited: Later | After[Any], errors: Errors) -> Reply:
        """What that comes to which the reply waits for."""
        hub = self._hub
        waiting = Waiting(hub)
        hub.timers.put(waiting, hub.timers.now() + hub.settings.later_time_max_ms * MILLISECOND)
        try:
            if isinstance(waited, Later):
                waited.pending.then(waiting.known)
            else:
                Replying(waited, errors, hub.stats).then(waiting.known)
            reply = await exchange.unless_gone(waiting.future)
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001  # as if the handler had raised it
            reply = failed(errors, error, hub.stats, "asking for an outcome")
        finally:
            waiting.forget()
        return reply if reply is not None else too_late(waited, errors, hub.stats)

    async def _stream(self, exchange: Exchange, stream: Stream) -> None:
        """Send what the stream brings until it ends, the client leaves, or the server stops."""
        await exchange.start(200, [(b"content-type", stream.content_type), *stream.headers])
        over: asyncio.Future[None] = self._hub.loop.create_future()
        self._over.add(over)
        pump = spawn(_pump(exchange, stream.chunks), name="http stream")
        gone = spawn(exchange.gone(), name="http client gone")
        try:
            await asyncio.wait({pump, over, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._over.discard(over)
            gone.cancel()
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
        await exchange.write(b"", more=False)


async def _pump(exchange: Exchange, chunks: AsyncIterator[bytes]) -> None:
    try:
        async for chunk in chunks:
            await exchange.write(chunk, more=True)
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()

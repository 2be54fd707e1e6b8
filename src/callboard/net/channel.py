"""A channel between two processes of one server: questions, answers, streams and notes, in frames over a pair of connected sockets.

Both sides ask and answer. Nothing in it grows without bound: frames, questions under way and what a stream may send ahead have limits, and
a side that no longer reads is cut off. It lives as long as its sockets; when they close, whoever waits is told.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple, Protocol, cast

import msgspec

from callboard.model.errors import CallboardError
from callboard.net.frames import DECODER, ENCODER, LENGTH_BYTES, Ask, Drop, End, Frame, Open, Part, Taken, Tell
from callboard.net.tasks import Tasks

_log = logging.getLogger(__name__)


class ChannelError(CallboardError):
    """The channel is closed, or the other side failed. What was asked may have arrived all the same, if it was `sent`."""

    code = "channel"

    def __init__(self, problem: str, *, sent: bool = True) -> None:
        super().__init__(problem)
        self.sent = sent


class FailedError(CallboardError):
    """What was asked went wrong, in the words of who was asked: `told` is for the asker to read."""

    code = "failed"

    def __init__(self, told: bytes) -> None:
        super().__init__("what was asked went wrong")
        self.told = told


class Limits(NamedTuple):
    """Of one channel."""

    frame_max_bytes: int
    calls_max_count: int
    """Questions and streams of one side that are under way."""
    window_bytes: int
    """What a stream sends ahead of who reads it; a single part may be larger."""
    unread_max_bytes: int
    """What waits for a side that does not read; more, and it is cut off."""


class Service(Protocol):
    """What one side does for the other. Errors it raises are `FailedError`; any other is a bug, and the other side is told that much."""

    async def asked(self, kind: str, body: bytes) -> bytes:
        """Answer a question."""
        ...

    def streamed(self, kind: str, body: bytes) -> AsyncIterator[bytes]:
        """Answer in parts, as they come."""
        ...

    def told(self, kind: str, body: bytes) -> None:
        """Take a note. It must not wait."""
        ...

    def ended(self) -> None:
        """The channel is closed."""
        ...


class _Wanted:
    """A question or stream of this side: what has come of it, and who is to be woken."""

    __slots__ = ("end", "parts", "woken")

    def __init__(self) -> None:
        self.parts: deque[bytes] = deque()
        self.end: End | ChannelError | None = None
        self.woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)

    async def wait(self) -> None:
        """Until there is a part, or the end."""
        while not self.parts and self.end is None:
            self.woken = asyncio.get_running_loop().create_future()
            await self.woken

    def raise_end(self) -> None:
        """Raise what it ended with, if that was no good end."""
        end = self.end
        if isinstance(end, ChannelError):
            raise ChannelError(str(end), sent=end.sent)
        if end is not None and end.told is None:
            raise ChannelError("the other side failed; its log says why")
        if end is not None and end.told:
            raise FailedError(end.told)


class _Given:
    """A question or stream of the other side that is being answered here."""

    __slots__ = ("room", "task", "unread_bytes")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.unread_bytes = 0
        self.room = asyncio.Event()


class Channel(asyncio.Protocol):
    """One side of it."""

    def __init__(self, limits: Limits) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the channel is closed, by whichever side."""
        self._limits = limits
        self._service: Service | None = None
        self._transport: asyncio.Transport | None = None
        self._rest = bytearray()
        self._need = LENGTH_BYTES
        self._count = 0
        self._wanted: dict[int, _Wanted] = {}
        self._given: dict[int, _Given] = {}
        self._tasks = Tasks()
        self._closed = "the channel is not open"

    @classmethod
    async def open(cls, sock: socket.socket, limits: Limits, service: Service) -> "Channel":
        """Over one end of a pair of sockets, which belongs to the channel from now on."""
        channel = cls(limits)
        channel._service = service
        await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=sock)
        return channel

    def limit(self, limits: Limits) -> None:
        """From now on these hold."""
        self._limits = limits

    # -- asking

    async def ask(self, kind: str, body: bytes = b"") -> bytes:
        """One answer. Raises `FailedError` as who was asked meant it, and `ChannelError`."""
        call, wanted = self._begin()
        try:
            self._send(Ask(call, kind, body))
            await wanted.wait()
            if not wanted.parts:
                wanted.raise_end()
            return wanted.parts[0]
        finally:
            self._finish(call, answered=bool(wanted.parts) or wanted.end is not None)

    async def stream(self, kind: str, body: bytes = b"") -> AsyncGenerator[bytes, None]:
        """The parts of an answer as they come. Raises as `ask`."""
        call, wanted = self._begin()
        taken = 0
        try:
            self._send(Open(call, kind, body))
            while True:
                await wanted.wait()
                while wanted.parts:
                    part = wanted.parts.popleft()
                    taken += len(part)
                    if taken >= self._limits.window_bytes // 4:
                        self._send(Taken(call, taken))
                        taken = 0
                    yield part
                if wanted.end is not None:
                    wanted.raise_end()
                    return
        finally:
            self._finish(call, answered=wanted.end is not None)

    def tell(self, kind: str, body: bytes = b"") -> None:
        """A note without an answer. Raises `ChannelError`."""
        self._send(Tell(kind, body))

    def _begin(self) -> tuple[int, _Wanted]:
        if len(self._wanted) >= self._limits.calls_max_count:
            raise ChannelError(f"{len(self._wanted)} questions are under way (calls_max_count); try again in a second", sent=False)
        self._count += 1
        wanted = self._wanted[self._count] = _Wanted()
        return self._count, wanted

    def _finish(self, call: int, *, answered: bool) -> None:
        del self._wanted[call]
        if not answered and self._transport is not None:
            self._send(Drop(call))

    # -- answering

    def _answer(self, frame: Ask | Open) -> None:
        if len(self._given) >= self._limits.calls_max_count:
            self._send(End(frame.call, None))
            return
        given = self._given[frame.call] = _Given()
        given.task = self._tasks.spawn(self._answering(frame, given), name=f"channel {frame.kind}")

    async def _answering(self, frame: Ask | Open, given: _Given) -> None:
        try:
            await (self._answer_once(frame) if isinstance(frame, Ask) else self._answer_in_parts(frame, given))
        except FailedError as error:
            self._fail(frame, error.told)
        except ChannelError as error:
            if self._transport is not None:
                _log.error("a question of another process of this server (%s) has no answer: %s", frame.kind, error)
            self._fail(frame, None)
        except Exception:
            self._fail(frame, None)
            raise
        finally:
            self._given.pop(frame.call, None)

    def _fail(self, frame: Ask | Open, told: bytes | None) -> None:
        if self._transport is not None:
            self._send(End(frame.call, told))

    async def _answer_once(self, frame: Ask) -> None:
        assert self._service is not None
        self._send(Part(frame.call, await self._service.asked(frame.kind, frame.body)))

    async def _answer_in_parts(self, frame: Open, given: _Given) -> None:
        assert self._service is not None
        window = self._limits.window_bytes
        parts = self._service.streamed(frame.kind, frame.body)
        try:
            async for part in parts:
                while given.unread_bytes >= window:
                    given.room.clear()
                    await given.room.wait()
                given.unread_bytes += len(part)
                self._send(Part(frame.call, part))
        finally:
            if isinstance(parts, AsyncGenerator):
                await parts.aclose()
        self._send(End(frame.call))

    # -- frames

    def _send(self, frame: Frame) -> None:
        transport = self._transport
        if transport is None:
            raise ChannelError(self._closed, sent=False)
        data = ENCODER.encode(frame)
        if len(data) > self._limits.frame_max_bytes:
            raise ChannelError(
                f"a frame of {len(data)} bytes, at most {self._limits.frame_max_bytes} are sent (frame_max_bytes)", sent=False
            )
        transport.writelines((len(data).to_bytes(LENGTH_BYTES, "big"), data))
        if transport.get_write_buffer_size() > self._limits.unread_max_bytes:
            self._break("the other side does not read")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no base class

    def data_received(self, data: bytes) -> None:
        """Some frames, or some of one."""
        rest = self._rest
        rest += data
        if len(rest) < self._need:
            return
        at = 0
        while len(rest) - at >= LENGTH_BYTES:
            start = at + LENGTH_BYTES
            size = int.from_bytes(rest[at:start], "big")
            if size > self._limits.frame_max_bytes:
                self._break(f"a frame of {size} bytes came, at most {self._limits.frame_max_bytes} are taken (frame_max_bytes)")
                return
            if len(rest) - start < size:
                self._need = LENGTH_BYTES + size
                break
            at = start + size
            self._take(bytes(rest[start:at]))
            if self._transport is None:
                return
        else:
            self._need = LENGTH_BYTES
        del rest[:at]

    def _take(self, data: bytes) -> None:
        try:
            frame = DECODER.decode(data)
        except (msgspec.MsgspecError, ValueError) as error:
            self._break(f"a frame cannot be read: {error}")
            return
        if isinstance(frame, Part | End):
            self._settle(frame)
        elif isinstance(frame, Ask | Open):
            self._answer(frame)
        elif isinstance(frame, Tell):
            assert self._service is not None
            self._service.told(frame.kind, frame.body)
        else:
            self._adjust(frame)

    def _settle(self, frame: Part | End) -> None:
        wanted = self._wanted.get(frame.call)
        if wanted is None:
            return
        if isinstance(frame, Part):
            wanted.parts.append(frame.body)
        else:
            wanted.end = frame
        wanted.wake()

    def _adjust(self, frame: Taken | Drop) -> None:
        given = self._given.get(frame.call)
        if given is None:
            return
        if isinstance(frame, Taken):
            given.unread_bytes -= frame.size
            given.room.set()
        elif given.task is not None:
            given.task.cancel()

    # -- the end

    def _break(self, why: str) -> None:
        _log.error("a channel between two processes of this server is cut: %s", why)
        transport = self._transport
        self._end(why)
        if transport is not None:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Over."""
        self._end("the other process has closed the channel, or has ended")

    def _end(self, why: str) -> None:
        if self._transport is None and self.over.done():
            return
        self._transport, self._closed = None, why
        for wanted in self._wanted.values():
            if wanted.end is None:
                wanted.end = ChannelError(why)
            wanted.wake()
        for given in list(self._given.values()):
            if given.task is not None:
                given.task.cancel()
        if not self.over.done():
            self.over.set_result(None)
        if self._service is not None:
            self._service.ended()

    def abort(self) -> None:
        """Close it at once, as when this process ends."""
        transport = self._transport
        self._end("the channel was closed")
        if transport is not None:
            transport.abort()

    async def close(self) -> None:
        """Close it when what was sent has left; whoever waits is told."""
        transport = self._transport
        self._end("the channel was closed")
        if transport is not None:
            transport.close()
        await self._tasks.close()

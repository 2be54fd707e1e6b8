"""Connections in memory and in virtual time: the door with everything behind it, and plain uvicorn, without a socket and without chance.

A wire keeps to what asyncio promises of a transport, and may do at any moment what a real one does at some.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from callboard.net.http.app import LongWay
from callboard.net.http.behind import Uvicorn
from callboard.net.http.door import Door
from callboard.net.http.hub import Hub
from callboard.net.http.routing import Router
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from callboard.testing.clock import VirtualClock
from callboard.testing.loop import run_virtual
from tests.net.http.fake import Response, World

T = TypeVar("T")
SETTLED_S = 0.01
"""Of virtual time; far less than any limit of the settings."""


def run(work: Coroutine[Any, Any, T]) -> T:
    return run_virtual(work, VirtualClock())


class Wire(asyncio.Transport):
    """Between a test and a protocol."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = b""
        self.reading = True
        self.full = False
        self.closing = False
        self.gone = False
        self.ended = False
        """Its writing half is closed."""
        protocol.connection_made(self)

    # -- what the test does

    def feed(self, data: bytes) -> None:
        """Bytes from the client, as long as they are read."""
        assert self.reading
        if not self.closing:
            self.protocol.data_received(data)

    def fill(self) -> None:
        """The client does not read."""
        if not self.full and not self.gone:
            self.full = True
            self.protocol.pause_writing()

    def drain(self) -> None:
        """The client has read everything."""
        if self.full and not self.gone:
            self.full = False
            self.protocol.resume_writing()
            if self.closing:
                self._lose()

    def end(self) -> None:
        """The client sends nothing more."""
        if not self.closing and not self.protocol.eof_received():
            self.close()

    def lose(self) -> None:
        """The client is gone."""
        self.closing = True
        self._lose()

    # -- what the protocol does

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended, "nothing is written after the end"
        if not self.closing:
            self.written += data

    def get_write_buffer_size(self) -> int:
        return 1 if self.full else 0

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_reading(self) -> bool:
        return self.reading

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        if not self.full:
            self._lose()

    def abort(self) -> None:
        self.closing = True
        self._lose()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 40_000), "sockname": ("127.0.0.1", 8500)}.get(name, default)

    def _lose(self) -> None:
        if not self.gone:
            self.gone = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


class Ours:
    """The door, with a world of its own behind it."""

    def __init__(self, world: World, **settings: Any) -> None:
        self.world = world
        world.server = HttpServer((world.site(),), HttpSettings(**settings), lambda: world.revision)

    def connect(self) -> Wire:
        return Wire(Door(self.world.http._quick))  # noqa: SLF001  # without a listening socket

    async def close(self) -> None:
        """As the server does it; every connection must have ended."""
        await self.world.http.stop(1.0)


class Plain:
    """uvicorn without a door, with the same application."""

    def __init__(self, world: World) -> None:
        self._loop = asyncio.get_running_loop()
        self._hub = Hub(Router((world.site(),)), HttpSettings(), lambda: world.revision, self._loop, 0.0)
        self._uvicorn = Uvicorn()
        self._uvicorn.load(LongWay(self._hub).application())
        self._uvicorn.state.default_headers = self._hub.dates.fields()

    def connect(self) -> Wire:
        return Wire(HttpToolsProtocol(self._uvicorn.config, self._uvicorn.state, {}, self._loop))

    def close(self) -> None:
        self._hub.timers.close()


async def settled() -> None:
    """Everything that can happen at once has happened."""
    await asyncio.sleep(SETTLED_S)


def responses(data: bytes, methods: list[str], *, whole: bool = True) -> list[Response]:
    """Take written bytes apart. Fields whose values are no answer are left out; the last may be cut off unless they are `whole`."""
    found: list[Response] = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        headers.pop("date", None)
        headers.pop("connection", None)
        status = int(status_line.split(" ")[1])
        body = b""
        if status >= 200:
            place = sum(response.status >= 200 for response in found)
            of_head = place < len(methods) and methods[place] == "HEAD"
            without = status in {204, 304} or (of_head and (not data or data.startswith(b"HTTP/1.1 ")))  # a refusal has one all the same
            length = 0 if without else int(headers["content-length"])
            body, data = data[:length], data[length:]
            if len(body) < length:
                assert not whole, "the last answer is not whole"
                break
        found.append(Response(status, headers, body))
    return found

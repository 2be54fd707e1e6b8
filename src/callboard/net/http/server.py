"""The HTTP server: one loop, one table of routes, any number of addresses. It handles no signal: whoever does calls `stop`."""

import asyncio
import errno
import socket
import time
from collections.abc import Callable, Collection
from typing import ClassVar, Final

from callboard.model.errors import CallboardError
from callboard.model.topics import Topic
from callboard.net.http.app import LongWay
from callboard.net.http.door import Door
from callboard.net.http.hub import Hub
from callboard.net.http.message import Site
from callboard.net.http.quick import Quick
from callboard.net.http.routing import Router
from callboard.net.http.settings import HttpSettings, HttpStats

_LAST_S: Final = 0.5
"""For connections that were cut off to notice it."""
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class ListenError(CallboardError):
    """An address cannot be listened at."""

    code: ClassVar[str] = "listen"

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen at {f'[{host}]' if ':' in host else host}:{port}: {reason}")
        self.host = host
        self.port = port
        self.reason = reason


class HttpServer:
    """Make it in a running loop, start it once per address, tell it what changes, stop it once."""

    def __init__(self, sites: tuple[Site, ...], settings: HttpSettings, revision: Callable[[], int]) -> None:
        """`revision` tells the revision of the view that handlers and renderers read. Raises `ValueError` for routes that contradict."""
        loop = asyncio.get_running_loop()
        self._hub = Hub(Router(sites), settings, revision, loop, time.time())
        self._quick = Quick(self._hub)
        self._long_way = LongWay(self._hub)
        self._hub.uvicorn.load(self._long_way.application())
        self._servers: list[asyncio.Server] = []
        self._tick()

    @property
    def stats(self) -> HttpStats:
        """Counters, read at scrape."""
        return self._hub.stats

    def changed(self, topics: Collection[Topic]) -> None:
        """Call after each durable group, when the view has folded it: these topics have other answers now. Wakes who waits for them."""
        self._hub.parked.changed(topics)

    async def start(self, host: str, port: int) -> list[tuple[str, int]]:
        """Listen at an address, port 0 for any that is free; answers host and port of each socket. Raises `ListenError`."""
        loop = self._hub.loop
        addresses = []
        for listening in await _bind(loop, host, port):
            address = listening.getsockname()[:2]
            try:
                server = await loop.create_server(lambda: Door(self._quick), sock=listening, backlog=self._hub.settings.backlog_max_count)
            except OSError as error:
                raise ListenError(host, port, error.strerror or str(error)) from error
            self._servers.append(server)
            addresses.append((address[0], address[1]))
        return addresses

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, answer blocked queries with what there is, end streams, let the rest finish; after `grace_s` cut it off."""
        hub = self._hub
        for server in self._servers:
            server.close()
        for connection in list(hub.connections):
            connection.shutdown()
        hub.parked.release_all()
        self._long_way.end_streams()
        await hub.emptied(grace_s)
        for connection in list(hub.connections):
            connection.abort()
        await hub.emptied(_LAST_S)
        if hub.uvicorn.state.tasks:
            _, late = await asyncio.wait(set(hub.uvicorn.state.tasks), timeout=_LAST_S)
            for task in late:
                task.cancel()
        self._ticking.cancel()
        hub.timers.close()

    def _tick(self) -> None:
        now = time.time()
        self._ticking = self._hub.loop.call_later(1.0 - now % 1.0, self._tick)
        self._hub.tick(now)


async def _bind(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[socket.socket]:
    """Sockets for every address that `host` has here, all with the same port."""
    try:
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ListenError(host, port, error.strerror or str(error)) from error
    families = {(family, address[0]): address for family, _, _, _, address in found}
    bound: list[socket.socket] = []
    problem: OSError | None = None
    for (family, _), address in families.items():
        chosen = bound[0].getsockname()[1] if bound else port
        try:
            bound.append(_bound(family, (address[0], chosen, *address[2:])))
        except OSError as error:
            problem = error
            if error.errno in _NOT_HERE:
                continue  # `localhost` is often listed with an IPv6 address on machines that have none
            break
    else:
        if bound:
            return bound
    for other in bound:
        other.close()
    raise ListenError(host, port, str((problem and problem.strerror) or "no such address"))


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    new = socket.socket(family, socket.SOCK_STREAM)
    try:
        new.settimeout(0)
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        new.bind(address)
    except OSError:
        new.close()
        raise
    return new

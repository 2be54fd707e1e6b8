"""The HTTP server: one loop, one table of routes, any number of addresses. It handles no signal: whoever does calls `stop`."""

import asyncio
import errno
import socket
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import ClassVar, Final

from callboard.core.callers import is_loopback
from callboard.model.errors import CallboardError
from callboard.model.topics import Topic
from callboard.net.http.app import LongWay
from callboard.net.http.blocks import Blocks
from callboard.net.http.door import Door
from callboard.net.http.hosts import Hosts
from callboard.net.http.hub import Hub
from callboard.net.http.message import Site
from callboard.net.http.quick import Quick
from callboard.net.http.routing import Router
from callboard.net.http.settings import HttpSettings, HttpStats
from callboard.net.sharing import Sharing, bind
from callboard.net.tls import ServerTls
from callboard.net.tls_listening import TlsLimits, TlsListener

_LAST_S: Final = 0.5
"""For connections that were cut off to notice it."""
_SPEAK_TLS: Final = b"this port speaks TLS: ask it for https://, not http://\n"
_CLEAR_TEXT: Final = b"\r\n".join(
    (
        b"HTTP/1.1 400 Bad Request", b"content-type: text/plain; charset=utf-8", b"content-length: %d" % len(_SPEAK_TLS),
        b"connection: close", b"", _SPEAK_TLS,
    )
)  # fmt: skip
"""What is said to somebody who speaks HTTP without TLS where it is spoken."""
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
        self._hosts = Hosts((*settings.allowed_hosts, *settings.own_hosts))
        self._guarded = Blocks(settings.blocks_max_count, settings.block_max_bytes, self._hosts.allows, self._hub.fields)
        self._servers: list[asyncio.Server] = []
        self._secured: list[TlsListener] = []
        self._tick()

    @property
    def stats(self) -> HttpStats:
        """Counters, read at scrape."""
        return self._hub.stats

    def changed(self, topics: Collection[Topic]) -> None:
        """Call after each durable group, when the view has folded it: these topics have other answers now. Wakes who waits for them."""
        self._hub.parked.changed(topics)

    async def start(
        self, host: str, port: int, *, tls: ServerTls | None = None, guarded: bool = False, sharing: Sharing = Sharing.ALONE
    ) -> list[tuple[str, int]]:
        """Listen at an address, port 0 for any that is free; answers host and port of each socket. Raises `ListenError`.

        `guarded`: on loopback, requests whose Host field names somebody else are refused. `sharing`: with other processes of this server.
        """
        addresses = []
        for listening in await _bind(self._hub.loop, host, port, sharing):
            address = listening.getsockname()[:2]
            blocks = self._guarded if guarded and is_loopback(address[0]) else self._hub.blocks
            try:
                await self._listen(listening, partial(Door, self._quick, blocks), tls)
            except OSError as error:
                listening.close()
                raise ListenError(host, port, error.strerror or str(error)) from error
            addresses.append((address[0], address[1]))
        return addresses

    async def _listen(self, listening: socket.socket, make: Callable[[], Door], tls: ServerTls | None) -> None:
        settings = self._hub.settings
        if tls is None:
            self._servers.append(await self._hub.loop.create_server(make, sock=listening, backlog=settings.backlog_max_count))
        else:
            limits = TlsLimits(settings.backlog_max_count, settings.handshakes_max_count, settings.handshake_time_max_ms)
            self._secured.append(TlsListener(listening, tls, make, limits, _CLEAR_TEXT))

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, answer blocked queries with what there is, end streams, let the rest finish; after `grace_s` cut it off."""
        hub = self._hub
        for server in self._servers:
            server.close()
        while self._secured:
            await self._secured.pop().close()
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
        hub.packer.close()

    def _tick(self) -> None:
        now = time.time()
        self._ticking = self._hub.loop.call_later(1.0 - now % 1.0, self._tick)
        self._hub.tick(now)


async def _bind(loop: asyncio.AbstractEventLoop, host: str, port: int, sharing: Sharing) -> list[socket.socket]:
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
            bound.append(_bound(family, (address[0], chosen, *address[2:]), sharing))
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


def _bound(family: int, address: tuple[object, ...], sharing: Sharing) -> socket.socket:
    new = socket.socket(family, socket.SOCK_STREAM)
    try:
        new.settimeout(0)
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bind(new, address, sharing)
    except OSError:
        new.close()
        raise
    return new

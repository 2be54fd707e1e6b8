"""Listening for connections over TLS: whoever has shaken hands is given to a protocol; whoever fails is told why, and named in the log.

An `asyncio` server would do the first, but it drops the alert that tells the client what is wrong, never says who failed, and takes clear
text for a broken handshake. So connections are accepted here, their first byte is looked at, and only then the loop's TLS takes over:
from there on a connection costs what it costs anywhere. A listener lives from its making to `close`.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple

from callboard.net.seldom import Seldom
from callboard.net.tasks import Tasks
from callboard.net.tls import HandshakeError, ServerTls, words

_HANDSHAKE: Final = 22
"""First byte of a TLS connection (RFC 8446 section 5.1)."""
_ACCEPTS_PER_WAKE: Final = 64
"""Connections accepted per turn of the loop; then others have theirs."""
_RETRY_S: Final = 1.0
"""When this machine has no file or memory left for a connection."""
_DAWDLING_S: Final = 1.0
"""A handshake that has had so much time makes room for another when there are too many."""
_LINGER_S: Final = 2.0
"""How long a refused client is read from, so that closing does not reset the connection and the refusal with it."""
_LINGER_BYTES: Final = 65_536
_CLIENT_IS_GONE: Final = frozenset({errno.ECONNABORTED, errno.EAGAIN, errno.EINTR, errno.EPERM})
_log = logging.getLogger(__name__)


class TlsLimits(NamedTuple):
    """Of the connections that have not shaken hands yet."""

    backlog_max_count: int
    """The kernel holds for us before they are accepted."""
    handshakes_max_count: int
    """Under way at once; then the oldest gives way to the next one, or the next one is closed when none has dawdled."""
    handshake_time_max_ms: int
    """From the connection to the end of its handshake."""


class TlsListener:
    """One bound socket. Make it in a running loop."""

    def __init__(
        self, listening: socket.socket, tls: ServerTls, make: Callable[[], asyncio.Protocol], limits: TlsLimits, clear_text: bytes = b""
    ) -> None:
        """`clear_text` is what somebody is told who speaks without TLS. Raises `OSError`."""
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._tls = tls
        self._make = make
        self._limits = limits
        self._clear_text = clear_text
        self._tasks = Tasks()
        self._seldom = Seldom(_log)
        self._under_way: dict[asyncio.Task[None], float] = {}
        """Connections that have not shaken hands, and when they began, in that order."""
        self._again: asyncio.TimerHandle | None = None
        host, port = listening.getsockname()[:2]
        self._place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        listening.setblocking(False)  # noqa: FBT003  # it has no other spelling
        listening.listen(limits.backlog_max_count)
        self._loop.add_reader(listening, self._accept)

    async def close(self) -> None:
        """Accept nothing more, and give up the handshakes under way. Connections that were handed over are their owners'."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        await self._tasks.close()

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_WAKE):
            try:
                client, address = self._listening.accept()
            except OSError as error:
                if error.errno not in _CLIENT_IS_GONE:
                    self._pause(error)
                return
            if len(self._under_way) >= self._limits.handshakes_max_count:
                self._tls.stats.handshakes_failed += 1
                self._seldom.warn("%s has %d handshakes under way, as many as there may be", self._place, len(self._under_way))
                if not self._make_room():
                    client.close()
                    continue
            client.setblocking(False)  # noqa: FBT003  # the same
            task = self._tasks.spawn(self._greet(client, str(address[0])), name="tls handshake")
            self._under_way[task] = self._loop.time()
            task.add_done_callback(self._forget)

    def _make_room(self) -> bool:
        """End the oldest handshake, if it has had time enough: whoever opens connections and is silent keeps nobody out."""
        task, began = next(iter(self._under_way.items()))
        if self._loop.time() - began < _DAWDLING_S:
            return False
        self._forget(task)
        task.cancel()
        return True

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._under_way.pop(task, None)

    def _pause(self, error: OSError) -> None:
        """There is no file left: waiting connections would be reported again at once, and for nothing."""
        _log.error("%s takes no connection for a moment: %s", self._place, error.strerror or error)
        self._loop.remove_reader(self._listening)
        self._again = self._loop.call_later(_RETRY_S, self._resume)

    def _resume(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    async def _greet(self, client: socket.socket, peer: str) -> None:
        """Hand a connection over, or tell what is wrong with it."""
        end = self._loop.time() + self._limits.handshake_time_max_ms / 1_000
        with client, contextlib.suppress(TimeoutError, OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout_at(end):
                first = await self._first(client)
            if first == _HANDSHAKE:
                await self._shake_hands(client, peer, end)
            elif first is not None:
                self._tls.stats.clear_text += 1
                self._seldom.warn("%s spoke without TLS to %s, where TLS is spoken", peer, self._place)
                await self._part(client, self._clear_text)

    async def _shake_hands(self, client: socket.socket, peer: str, end: float) -> None:
        """The loop closes what it is given when it fails; so it is given a copy, and the alert goes the old way."""
        stats, given = self._tls.stats, client.dup()
        try:
            await self._loop.connect_accepted_socket(
                self._make, given, ssl=self._tls.context(), ssl_handshake_timeout=max(0.1, end - self._loop.time())
            )
        except ssl.SSLError as error:
            stats.handshakes_failed += 1
            self._seldom.warn("%s has no TLS connection to %s: %s", peer, self._place, words(error))
            await self._part(client, error.alert if isinstance(error, HandshakeError) else b"")
        except OSError as error:  # it went away, or took too long
            stats.handshakes_failed += 1
            _log.debug("%s ended its handshake with %s: %s", peer, self._place, error)
        else:
            stats.handshakes += 1

    async def _first(self, client: socket.socket) -> int | None:
        """The first byte, which stays to be read; None when the client has left."""
        there: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(client, _set, there)
        try:
            await there
        finally:
            self._loop.remove_reader(client)
        return next(iter(client.recv(1, socket.MSG_PEEK)), None)

    async def _part(self, client: socket.socket, last: bytes) -> None:
        """Say a last word, and wait a moment for it to arrive."""
        async with asyncio.timeout(_LINGER_S):
            await self._loop.sock_sendall(client, last)
            client.shutdown(socket.SHUT_WR)
            while await self._loop.sock_recv(client, _LINGER_BYTES):
                pass


def _set(there: asyncio.Future[None]) -> None:
    if not there.done():
        there.set_result(None)

"""Questions in single messages, answered at once: over UDP, and over TCP with two bytes of length in front (RFC 7766).

Both on one port; with a certificate also over TLS on another (RFC 7858). A listener lives from `start` to `stop` and owns its sockets and
connections. The handler is a plain function, so an answer never waits for another, and answers to one TCP connection leave in the order of
its questions: but for those that somebody else must be asked for, which leave when they are there (RFC 7766 section 6.2.1.1).
"""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

from callboard.net.dial import host_port
from callboard.net.framed import Connection, Connections
from callboard.net.messages import DatagramSettings, DatagramStats, Handler, Later
from callboard.net.sharing import Sharing, bind
from callboard.net.tls import ServerTls
from callboard.net.tls_listening import TlsLimits, TlsListener

Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""What a socket is bound to, in the forms that `getaddrinfo` answers."""
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared, not bound
_IP_PKTINFO: Final = 26 if sys.platform == "darwin" else 8
"""`socket` has no name for it."""
_NOTES_MAX_BYTES: Final = 128
_PORT_TRIES: Final = 20
"""How often another port is tried when any will do and the one that TCP got is taken for UDP."""


class DatagramListener:
    """One address, UDP and TCP, and perhaps another port for TLS."""

    def __init__(self, host: str, port: int, handler: Handler, settings: DatagramSettings, stats: DatagramStats) -> None:
        self._host = host
        self._port = port
        self._handler = handler
        self._settings = settings
        self._stats = stats
        self._udp: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: Connections | None = None
        self._tls: tuple[int, ServerTls] | None = None
        self._secured: TlsListener | None = None
        self._sharing = Sharing.ALONE

    def share(self, sharing: Sharing) -> None:
        """Before `start`: the address is shared with other processes of this server."""
        self._sharing = sharing

    def secure(self, port: int, tls: ServerTls) -> None:
        """Before `start`: listen on another port too, over TLS; 0 for any free one."""
        self._tls = port, tls

    async def start(self) -> list[str]:
        """Listen; answers the address as `host:port`, then that of TLS. Raises `OSError` when one is taken or not ours."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        tcp, udp = _bind_both(family, address, self._settings, self._sharing)
        self._connections = connections = Connections(loop, self._handler, self._settings, self._stats)
        self._udp = udp
        backlog = self._settings.tcp_backlog_max_count
        self._server = await loop.create_server(lambda: Connection(connections), sock=tcp, backlog=backlog)
        host, port = udp.getsockname()[:2]
        make_reader = _reader_of_every_address if host in _EVERY_ADDRESS else _reader
        loop.add_reader(udp, make_reader(udp, self._handler.over_udp, self._settings, self._stats))
        try:
            return [host_port(host, port), *self._start_tls(family, host, connections)]
        except OSError:
            await self.stop()
            raise

    def _start_tls(self, family: int, host: str, connections: Connections) -> list[str]:
        if self._tls is None:
            return []
        (port, tls), settings = self._tls, self._settings
        with contextlib.ExitStack() as undo:
            sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bind(sock, (host, port), self._sharing)
            limits = TlsLimits(settings.tcp_backlog_max_count, settings.tcp_connections_max_count, settings.tcp_idle_time_max_ms)
            self._secured = TlsListener(sock, tls, lambda: Connection(connections, half_closes=False), limits)
            undo.pop_all()
        return [host_port(*sock.getsockname()[:2])]

    async def stop(self) -> None:
        """Close everything. Answers that somebody else was asked for are given up."""
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp)
            self._udp.close()
            self._udp = None
        if self._secured is not None:
            await self._secured.close()
            self._secured = None
        if self._server is not None and self._connections is not None:
            self._server.close()
            self._connections.close()
            await self._server.wait_closed()
            self._server = None


def _bind_both(family: int, address: Address, settings: DatagramSettings, sharing: Sharing) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on the same port; with port 0 the one that TCP gets."""
    for _ in range(_PORT_TRIES - 1 if address[1] == 0 else 0):
        try:
            return _try_both(family, address, settings, sharing)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return _try_both(family, address, settings, sharing)


def _try_both(family: int, address: Address, settings: DatagramSettings, sharing: Sharing) -> tuple[socket.socket, socket.socket]:
    with contextlib.ExitStack() as undo:
        tcp = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        udp = undo.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bind(tcp, address, sharing)
        tcp.listen(settings.tcp_backlog_max_count)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.receive_buffer_bytes)
        bind(udp, tcp.getsockname(), sharing)
        for sock in (tcp, udp):
            sock.settimeout(0)
        undo.pop_all()
    return tcp, udp


def _reader(
    udp: socket.socket, answer: Callable[[bytes, str], bytes | Later | None], settings: DatagramSettings, stats: DatagramStats
) -> Callable[[], None]:  # fmt: skip
    """What to call when the socket can be read. Plain calls in a loop cost an eighth less than a transport, and few at a time are fair."""
    receive, send = udp.recvfrom, udp.sendto
    batch, size = range(settings.datagrams_per_wake_max_count), settings.message_max_bytes

    def send_later(peer: Address, reply: bytes) -> None:
        try:
            send(reply, peer)
        except OSError:  # the same, or the listener has ended
            stats.unsent += 1

    def readable() -> None:
        for _ in batch:
            try:
                message, peer = receive(size)
            except BlockingIOError:
                return
            except OSError:  # what became of an earlier answer, such as "connection refused"
                continue
            stats.received += 1
            reply = answer(message, peer[0])
            if type(reply) is bytes:
                try:
                    send(reply, peer)
                except OSError:  # the buffer is full: the client asks again; or nobody can be answered there
                    stats.unsent += 1
            elif isinstance(reply, Later):
                reply.then(partial(send_later, peer))

    return readable


def _reader_of_every_address(
    udp: socket.socket, answer: Callable[[bytes, str], bytes | Later | None], settings: DatagramSettings, stats: DatagramStats
) -> Callable[[], None]:  # fmt: skip
    """The same for a socket that is bound to no address: an answer leaves from the one that was asked, or its client does not take it."""
    if udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    receive, send = udp.recvmsg, udp.sendmsg
    batch, size = range(settings.datagrams_per_wake_max_count), settings.message_max_bytes

    def send_from(notes: list[tuple[int, int, bytes]], peer: Address, reply: bytes) -> None:
        try:
            send([reply], [(level, kind, _from_there(level, note)) for level, kind, note in notes], 0, peer)
        except OSError:
            stats.unsent += 1

    def readable() -> None:
        for _ in batch:
            try:
                message, notes, _flags, peer = receive(size, _NOTES_MAX_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue
            stats.received += 1
            reply = answer(message, peer[0])
            if isinstance(reply, Later):
                reply.then(partial(send_from, notes, peer))
            elif reply is not None:
                send_from(notes, peer, reply)

    return readable


def _from_there(level: int, note: bytes) -> bytes:
    """The address a datagram came to (in_pktinfo, in6_pktinfo), without the interface: routes decide which way an answer leaves."""
    return note[:16] + bytes(4) if level == socket.IPPROTO_IPV6 else bytes(4) + note[4:]

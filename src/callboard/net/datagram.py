"""Questions in single messages, answered at once: over UDP, and over TCP with two bytes of length in front (RFC 7766).

Both on one port. A listener lives from `start` to `stop` and owns its sockets and connections. The handler is a plain function, so an
answer never waits for another, and answers to one TCP connection leave in the order of its questions.
"""

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple, Protocol, cast

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]
Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
"""What a socket is bound to, in the forms that `getaddrinfo` answers."""
_PREFIX_BYTES: Final = 2
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared, not bound
_IP_PKTINFO: Final = 26 if sys.platform == "darwin" else 8
"""`socket` has no name for it."""
_NOTES_MAX_BYTES: Final = 128
_PORT_TRIES: Final = 20
"""How often another port is tried when any will do and the one that TCP got is taken for UDP."""


class DatagramSettings(Struct, frozen=True, kw_only=True):
    """Limits with their units in their names."""

    datagrams_per_wake_max_count: Count = 32
    """Datagrams answered per turn of the loop; then others have theirs."""
    message_max_bytes: Annotated[int, Meta(ge=512, le=65_535)] = 4096
    """Larger questions are cut off (UDP), or end their connection (TCP)."""
    receive_buffer_bytes: Count = 1_048_576
    """Datagrams the kernel may hold for us; it takes less where it allows less."""
    tcp_connections_max_count: Count = 1024
    """When one more comes, the one that has been silent longest is closed."""
    tcp_idle_time_max_ms: Count = 10_000
    """A connection without a complete question for this long is closed, also when it does not read its answers."""
    tcp_turn_max_bytes: Count = 65_536
    """Answers gathered for one write."""
    tcp_backlog_max_count: Count = 256
    """Connections the kernel holds for us before they are accepted."""


@dataclass(slots=True)
class DatagramStats:
    """Plain counters, written where things happen and read at scrape."""

    received: int = 0
    """Messages, over UDP and TCP."""
    unsent: int = 0
    """Answers dropped because the socket took no more, or refused the peer."""
    connections_now: int = 0
    """TCP connections open now."""
    connections_made: int = 0
    connections_ended: int = 0
    """Closed by us: silent for too long, one too many, or not speaking the protocol."""


class Handler(Protocol):
    """Answers messages. None means silence (UDP), or that the peer does not speak the protocol (TCP)."""

    def over_udp(self, message: bytes, host: str) -> bytes | None:
        """The answer to a datagram from `host`."""
        ...

    def over_tcp(self, message: bytes) -> bytes | None:
        """The answer to a message of a connection."""
        ...


class DatagramListener:
    """One address, UDP and TCP."""

    def __init__(self, host: str, port: int, handler: Handler, settings: DatagramSettings, stats: DatagramStats) -> None:
        self._host = host
        self._port = port
        self._handler = handler
        self._settings = settings
        self._stats = stats
        self._udp: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: Connections | None = None

    async def start(self) -> list[str]:
        """Listen; answers the address as `host:port`. Raises `OSError` when it is taken or not ours."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        tcp, udp = _bind_both(family, address, self._settings)
        self._connections = connections = Connections(loop, self._handler, self._settings, self._stats)
        self._udp = udp
        self._server = await loop.create_server(lambda: Connection(connections), sock=tcp, backlog=self._settings.tcp_backlog_max_count)
        host, port = udp.getsockname()[:2]
        make_reader = _reader_of_every_address if host in _EVERY_ADDRESS else _reader
        loop.add_reader(udp, make_reader(udp, self._handler.over_udp, self._settings, self._stats))
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]

    async def stop(self) -> None:
        """Close everything. What was asked has been answered: no answer waits."""
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp)
            self._udp.close()
            self._udp = None
        if self._server is not None and self._connections is not None:
            self._server.close()
            self._connections.close()
            await self._server.wait_closed()
            self._server = None


def _bind_both(family: int, address: Address, settings: DatagramSettings) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on the same port; with port 0 the one that TCP gets."""
    for _ in range(_PORT_TRIES - 1 if address[1] == 0 else 0):
        try:
            return _try_both(family, address, settings)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    return _try_both(family, address, settings)


def _try_both(family: int, address: Address, settings: DatagramSettings) -> tuple[socket.socket, socket.socket]:
    with contextlib.ExitStack() as undo:
        tcp = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        udp = undo.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(address)
        tcp.listen(settings.tcp_backlog_max_count)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.receive_buffer_bytes)
        udp.bind(tcp.getsockname())
        for sock in (tcp, udp):
            sock.settimeout(0)
        undo.pop_all()
    return tcp, udp


def _reader(
    udp: socket.socket, answer: Callable[[bytes, str], bytes | None], settings: DatagramSettings, stats: DatagramStats
) -> Callable[[], None]:  # fmt: skip
    """What to call when the socket can be read. Plain calls in a loop cost an eighth less than a transport, and few at a time are fair."""
    receive, send = udp.recvfrom, udp.sendto
    batch, size = range(settings.datagrams_per_wake_max_count), settings.message_max_bytes

    def readable() -> None:
        for _ in batch:
            try:
                message, peer = receive(size)
            except BlockingIOError:
                return
            except OSError:  # what became of an earlier answer, such as "connection refused"
                continue
            stats.received += 1
            if (reply := answer(message, peer[0])) is not None:
                try:
                    send(reply, peer)
                except OSError:  # the buffer is full: the client asks again; or nobody can be answered there
                    stats.unsent += 1

    return readable


def _reader_of_every_address(
    udp: socket.socket, answer: Callable[[bytes, str], bytes | None], settings: DatagramSettings, stats: DatagramStats
) -> Callable[[], None]:  # fmt: skip
    """The same for a socket that is bound to no address: an answer leaves from the one that was asked, or its client does not take it."""
    if udp.family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    receive, send = udp.recvmsg, udp.sendmsg
    batch, size = range(settings.datagrams_per_wake_max_count), settings.message_max_bytes

    def readable() -> None:
        for _ in batch:
            try:
                message, notes, _flags, peer = receive(size, _NOTES_MAX_BYTES)
            except BlockingIOError:
                return
            except OSError:
                continue
            stats.received += 1
            if (reply := answer(message, peer[0])) is not None:
                try:
                    send([reply], [(level, kind, _from_there(level, note)) for level, kind, note in notes], 0, peer)
                except OSError:
                    stats.unsent += 1

    return readable


def _from_there(level: int, note: bytes) -> bytes:
    """The address a datagram came to (in_pktinfo, in6_pktinfo), without the interface: routes decide which way an answer leaves."""
    return note[:16] + bytes(4) if level == socket.IPPROTO_IPV6 else bytes(4) + note[4:]


class Connections:
    """The open connections of a listener, the longest silent first, and one timer that ends the silence."""

    __slots__ = ("_loop", "_since", "_timer", "handler", "settings", "stats")

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Handler, settings: DatagramSettings, stats: DatagramStats) -> None:
        self.handler = handler
        self.settings = settings
        self.stats = stats
        self._loop = loop
        self._since: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def opened(self, connection: "Connection") -> None:
        """Take one in; the one that has been silent longest makes room."""
        self.stats.connections_made += 1
        if len(self._since) >= self.settings.tcp_connections_max_count:
            next(iter(self._since)).end()
        self._since[connection] = self._loop.time()
        self.stats.connections_now = len(self._since)
        if self._timer is None:
            self._timer = self._loop.call_later(self.settings.tcp_idle_time_max_ms / 1000, self._sweep)

    def heard(self, connection: "Connection") -> None:
        """It asked something."""
        if self._since.pop(connection, None) is not None:
            self._since[connection] = self._loop.time()

    def closed(self, connection: "Connection") -> None:
        """It is gone."""
        self._since.pop(connection, None)
        self.stats.connections_now = len(self._since)

    def _sweep(self) -> None:
        idle_s = self.settings.tcp_idle_time_max_ms / 1000
        now = self._loop.time()
        self._timer = None
        for connection, since in list(self._since.items()):
            if since + idle_s > now:
                self._timer = self._loop.call_at(since + idle_s, self._sweep)
                return
            connection.end()

    def close(self) -> None:
        """End every connection."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._since):
            connection.end()


class Connection(asyncio.Protocol):
    """One TCP connection: any number of questions, also several at once and in any pieces."""

    __slots__ = ("_all", "_paused", "_rest", "_transport")

    def __init__(self, connections: Connections) -> None:
        self._all = connections
        self._rest = b""
        self._paused = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ours from now on."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._all.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Over."""
        self._transport = None
        self._rest = b""
        self._all.closed(self)

    def end(self) -> None:
        """Close it now, answers under way included."""
        self._all.stats.connections_ended += 1
        self._all.closed(self)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def pause_writing(self) -> None:
        """The peer reads more slowly than it asks: read no further, answer no further."""
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._paused = False
        self._answer()
        if self._transport is not None and not self._paused:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Another piece of the stream."""
        self._rest += data
        self._answer()

    def _answer(self) -> None:
        """Answer the complete questions in `_rest`, as long as the peer takes the answers."""
        turn = _Turn([], 0)
        while self._transport is not None and not self._paused and not turn.is_last:
            turn = self._gather(turn.at)
            if turn.answers:
                self._transport.write(b"".join(turn.answers))
                self._all.heard(self)
            if turn.is_broken:
                self.end()
        self._rest = self._rest[turn.at :]

    def _gather(self, at: int) -> "_Turn":
        """Answers to the questions from byte `at` of `_rest` on, for one write."""
        rest, settings = self._rest, self._all.settings
        answers: list[bytes] = []
        gathered = 0
        while gathered < settings.tcp_turn_max_bytes:
            start = at + _PREFIX_BYTES
            end = start + int.from_bytes(rest[at:start], "big")
            if end - start > settings.message_max_bytes:
                return _Turn(answers, at, is_last=True, is_broken=True)
            if max(start, end) > len(rest):
                return _Turn(answers, at, is_last=True)
            self._all.stats.received += 1
            answer = self._all.handler.over_tcp(rest[start:end])
            if answer is None:
                return _Turn(answers, at, is_last=True, is_broken=True)
            answers += (len(answer).to_bytes(_PREFIX_BYTES, "big"), answer)
            gathered += len(answer)
            at = end
        return _Turn(answers, at)


class _Turn(NamedTuple):
    """What one write carries: prefixes and answers, and where in the stream the next question starts."""

    answers: list[bytes]
    at: int
    is_last: bool = False
    """The next question is not complete."""
    is_broken: bool = False
    """What comes next is no question."""

"""Load from one process: many connections over epoll, one request in flight on each, answers counted whole."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Requests = Iterator[bytes]
READ_BYTES = 262_144
LAST_CHUNK = b"\r\n0\r\n\r\n"
CHUNKED = -1
DNS_LOST_S = 1.0


@dataclass
class Counted:
    """What a run got back."""

    answers: int = 0
    seconds: float = 0.0
    statuses: dict[bytes, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    parts: list[bytes] = field(default_factory=list)
    head: int = 0
    missing: int = 0
    answers: int = 0


def connect(address: tuple[str, int]) -> socket.socket:
    """A connection as ordinary clients make it."""
    sock = socket.create_connection(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class HttpLoad:
    """Connections that stay open between runs."""

    def __init__(self, address: tuple[str, int], connections: int) -> None:
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._lengths: dict[bytes, int] = {}
        for _ in range(connections):
            sock = connect(address)
            sock.setblocking(False)
            self._connections[sock.fileno()] = _Connection(sock)
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.sock.close()
        self._poll.close()

    def answers(self) -> dict[int, int]:
        """Answers so far on each connection, by the port it comes from."""
        return {each.sock.getsockname()[1]: each.answers for each in self._connections.values()}

    def run(self, requests: Requests, *, seconds: float = 0.0, count: int = 0) -> Counted:
        """Send for `seconds`, or exactly `count` requests; every request is answered before it ends."""
        counted = Counted()
        begin = time.perf_counter()
        until = begin + seconds
        sent = 0
        busy = 0
        for connection in self._connections.values():
            if count and sent >= count:
                break
            connection.sock.send(next(requests))
            sent += 1
            busy += 1
        while busy:
            more = sent < count if count else time.perf_counter() < until
            for fd, _ in self._poll.poll():
                connection = self._connections[fd]
                if not self._answered(connection, counted):
                    continue
                if more and (not count or sent < count):
                    connection.sock.send(next(requests))
                    sent += 1
                else:
                    busy -= 1
        counted.seconds = time.perf_counter() - begin
        return counted

    def _answered(self, connection: _Connection, counted: Counted) -> bool:
        data = connection.sock.recv(READ_BYTES)
        if not data:
            raise ConnectionError("the server closed a connection")
        if connection.missing:  # a long answer is not put together again for every packet
            connection.parts.append(data)
            connection.missing -= len(data)
            if connection.missing > 0:
                return False
            data = connection.parts[0]
        else:
            data = b"".join((*connection.parts, data))
            connection.parts = [data]
            if not self._whole(connection, data):
                return False
        connection.parts.clear()
        connection.missing = 0
        connection.answers += 1
        counted.answers += 1
        status = data[9:12]
        counted.statuses[status] = counted.statuses.get(status, 0) + 1
        return True

    def _whole(self, connection: _Connection, data: bytes) -> bool:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = self._length(data[:end])
        if length == CHUNKED:  # Go answers so when a body is larger than its buffer
            return data.endswith(LAST_CHUNK)
        connection.missing = max(0, end + 4 + length - len(data))
        return not connection.missing

    def _length(self, head: bytes) -> int:
        length = self._lengths.get(head)
        if length is None:
            if len(self._lengths) > 1000:
                self._lengths.clear()
            length = self._lengths[head] = body_length(head)
        return length


def body_length(head: bytes) -> int:
    """What a head says of its body: so many bytes, or CHUNKED."""
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return CHUNKED if b"transfer-encoding" in fields else int(fields.get(b"content-length", b"0"))


class DnsLoad:
    """Sockets with one question in flight each, over UDP or TCP."""

    def __init__(self, address: tuple[str, int], sockets: int, *, tcp: bool = False) -> None:
        self._tcp = tcp
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(sockets):
            sock = connect(address) if tcp else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if not tcp:
                sock.connect(address)
            sock.setblocking(False)
            self._sockets[sock.fileno()] = sock
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Close every socket."""
        for sock in self._sockets.values():
            sock.close()
        self._poll.close()

    def run(self, questions: Requests, seconds: float) -> Counted:
        """Ask for `seconds`; over UDP, what is lost is asked again after a second."""
        counted = Counted()
        begin = time.perf_counter()
        until = begin + seconds
        parts = dict.fromkeys(self._sockets, b"")
        busy = len(self._sockets)
        for sock in self._sockets.values():
            sock.send(next(questions))
        while busy:
            more = time.perf_counter() < until
            ready = self._poll.poll(DNS_LOST_S)
            if not ready and (not more or self._tcp):
                break
            if not ready:
                for sock in self._sockets.values():
                    sock.send(next(questions))
            for fd, _ in ready:
                sock = self._sockets[fd]
                data = parts[fd] + sock.recv(65_535)
                if self._tcp and (len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2])):
                    parts[fd] = data
                    continue
                parts[fd] = b""
                counted.answers += 1
                if more:
                    sock.send(next(questions))
                else:
                    busy -= 1
        counted.seconds = time.perf_counter() - begin
        return counted


def repeat(request: bytes) -> Requests:
    """The same request for ever."""
    while True:
        yield request


def numbered(make: Callable[[int], bytes], first: int = 0) -> Requests:
    """A request for each number."""
    number = first
    while True:
        yield make(number)
        number += 1


def request(method: str, target: str, body: bytes = b"", headers: str = "") -> bytes:
    """The bytes of a request as an ordinary client sends them."""
    head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n{headers}"
    if body or method == "PUT":
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body

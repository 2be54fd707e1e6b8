"""Load from one process: many connections over epoll, one request in flight on each, answers counted whole."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Requests = Iterator[bytes]


@dataclass
class Counted:
    """What a run got back."""

    answers: int = 0
    seconds: float = 0.0
    statuses: dict[bytes, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    rest: bytes = b""


class HttpLoad:
    """Connections that stay open between runs."""

    def __init__(self, address: tuple[str, int], connections: int) -> None:
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._lengths: dict[bytes, int] = {}
        for _ in range(connections):
            sock = socket.create_connection(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            self._connections[sock.fileno()] = _Connection(sock)
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections.values():
            connection.sock.close()
        self._poll.close()

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
        data = connection.sock.recv(262_144)
        if not data:
            raise ConnectionError("the server closed a connection")
        if connection.rest:
            data = connection.rest + data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + self._length(data[:end]):
            connection.rest = data
            return False
        connection.rest = b""
        counted.answers += 1
        status = data[9:12]
        counted.statuses[status] = counted.statuses.get(status, 0) + 1
        return True

    def _length(self, head: bytes) -> int:
        length = self._lengths.get(head)
        if length is None:
            if len(self._lengths) > 1000:
                self._lengths.clear()
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            length = self._lengths[head] = int(fields[b"content-length"])
        return length


class DnsLoad:
    """Sockets with one question in flight each."""

    def __init__(self, address: tuple[str, int], sockets: int) -> None:
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(sockets):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect(address)
            sock.setblocking(False)
            self._sockets[sock.fileno()] = sock
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Close every socket."""
        for sock in self._sockets.values():
            sock.close()
        self._poll.close()

    def run(self, question: bytes, seconds: float) -> Counted:
        """Ask for `seconds`; a lost datagram is asked again after a second."""
        counted = Counted()
        begin = time.perf_counter()
        until = begin + seconds
        for sock in self._sockets.values():
            sock.send(question)
        while time.perf_counter() < until:
            ready = self._poll.poll(1.0)
            if not ready:
                for sock in self._sockets.values():
                    sock.send(question)
            for fd, _ in ready:
                sock = self._sockets[fd]
                sock.recv(65_535)
                counted.answers += 1
                sock.send(question)
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

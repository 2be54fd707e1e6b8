"""Servers that misbehave: a socket that takes connections and answers what the test wrote, or nothing."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

HANG = b"hang"
"""Take the request and never answer."""
CLOSE = b"close"
"""Take the request and close."""
DRIPS_S = 20.0
"""So long a server that drips goes on."""


@dataclass
class Script:
    """What each connection is answered with, in order; the last one again and again. An empty answer closes at once."""

    answers: list[bytes]
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    held: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def answer(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    """A whole HTTP answer; with a wrong `length`, one that breaks off."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def problem(status: str, code: str, *headers: str) -> bytes:
    body = f'{{"type":"about:blank","title":"T","status":{status[:3]},"detail":"it is so","code":"{code}"}}'
    return answer(status, body.encode(), *headers)


@contextlib.contextmanager
def broken_server(*answers: bytes) -> Iterator[Script]:
    script = Script(list(answers))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        script.port = listener.getsockname()[1]
        thread = threading.Thread(target=_serve, args=(listener, script), daemon=True)
        thread.start()
        try:
            yield script
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for connection in script.held:
                connection.close()


def _serve(listener: socket.socket, script: Script) -> None:
    number = 0
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        script.held.append(connection)
        said = script.answers[min(number, len(script.answers) - 1)]
        number += 1
        if said:
            script.requests.append(connection.recv(65536))
        if said is not HANG:
            connection.sendall(said if said is not CLOSE else b"")
            connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def dripping_server(said: bytes) -> Iterator[str]:
    """The URL of one that answers `said` at once and then a byte at a time, every 50 ms."""
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(said)
            for _ in range(round(DRIPS_S / 0.05)):
                if over.wait(0.05):
                    return
                connection.sendall(b"x")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)

"""A server that says back what it hears: what proxies and cut links are tried with. It lives for one `with` block."""

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def echoing(*, goodbye: bytes = b"") -> Iterator[int]:
    """Its port; `goodbye` is said to whoever says no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, goodbye))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def _accept(listener: socket.socket, goodbye: bytes) -> None:
    talks = []
    with contextlib.suppress(OSError):
        while True:
            sock, _ = listener.accept()
            talks.append(threading.Thread(target=_talk, args=(sock, goodbye)))
            talks[-1].start()
    for talk in talks:
        talk.join()


def _talk(sock: socket.socket, goodbye: bytes) -> None:
    with sock, contextlib.suppress(OSError):
        while piece := sock.recv(65_536):
            sock.sendall(piece)
        sock.sendall(goodbye)

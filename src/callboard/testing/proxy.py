"""A link that can be cut: a TCP proxy in a thread of the test, between a server and those who call it.

The callers' address stays the same whatever becomes of the server behind it. One thread moves the bytes of all connections; it lives from
`Proxy` to `close`. It reads only what it can pass on, so what is under way at a cut waits in the kernel, as it would in a network.
"""

import contextlib
import errno
import selectors
import socket
import threading
from typing import Final, Literal

from callboard.net import threads

Mode = Literal["open", "cut", "refuse"]
"""`open` passes everything on. `cut` passes nothing on and closes nothing: each side waits for the other. `refuse` ends every connection,
and nobody can make a new one."""

_PIECE_MAX_BYTES: Final = 65_536
_WAITING_MAX_COUNT: Final = 1_024
_APPLIED_MAX_S: Final = 10.0


class _End:
    """One socket of a connection, and what waits to be written to it."""

    __slots__ = ("heard_all", "link", "pending", "sock", "told_all")

    def __init__(self, link: "_Link", sock: socket.socket) -> None:
        self.link = link
        self.sock = sock
        self.pending = b""
        self.heard_all = False
        """It will send nothing more."""
        self.told_all = False
        """It was told that nothing more comes."""


class _Link:
    """One connection: a caller's end and the server's."""

    __slots__ = ("caller", "connecting", "server")

    def __init__(self, caller: socket.socket, server: socket.socket) -> None:
        self.caller = _End(self, caller)
        self.server = _End(self, server)
        self.connecting = True

    def other(self, end: _End) -> _End:
        """The end that `end` talks to."""
        return self.server if end is self.caller else self.caller


class Proxy:
    """Listens on a free loopback port. Every method may be called by any thread, and has taken effect when it returns."""

    def __init__(self) -> None:
        # Bound and never listening: it keeps the port while the listener is gone. Both must say SO_REUSEPORT.
        self._keeper = _bound(0)
        self.port: Final = int(self._keeper.getsockname()[1])
        self._listener: socket.socket | None = None
        self._target = ("127.0.0.1", 0)
        self._wanted: Mode = "refuse"
        self._mode: Mode = "refuse"
        self._closing = self._ended = False
        self._applied = threading.Condition()
        self._asked = self._done = 0
        self._links: set[_Link] = set()
        self._selector = selectors.DefaultSelector()
        self._bell, self._waker = socket.socketpair()
        self._bell.settimeout(0)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._thread = threads.start(self._run, name="callboard-proxy")

    def lead_to(self, host: str, port: int) -> None:
        """Where connections that are made from now on lead."""
        self._target = (host, port)

    def set_mode(self, mode: Mode) -> None:
        """Open, cut or refuse."""
        with self._applied:
            self._wanted = mode
        self._ask()

    def close(self) -> None:
        """End every connection and the thread, and give the port back."""
        self._closing = True
        self._ask()
        self._thread.join(_APPLIED_MAX_S)
        for sock in (self._keeper, self._bell, self._waker):
            sock.close()
        self._selector.close()

    def _ask(self) -> None:
        with self._applied:
            self._asked += 1
            ticket = self._asked
            self._waker.send(b"!")
            if not self._applied.wait_for(lambda: self._done >= ticket or self._ended, _APPLIED_MAX_S):
                raise TimeoutError(f"the proxy did not answer within {_APPLIED_MAX_S:.0f} s")

    def _run(self) -> None:
        while not self._closing:
            for key, events in self._selector.select():
                if key.fileobj is self._bell:
                    self._apply()
                elif key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.data, _End):
                    self._move(key.data, events)
        self._refuse()
        with self._applied:
            self._ended = True
            self._applied.notify_all()

    def _apply(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(_PIECE_MAX_BYTES)
        with self._applied:
            asked, self._mode = self._asked, self._wanted
        if self._mode == "refuse":
            self._refuse()
        else:
            self._listen()
            for link in list(self._links):
                self._arm(link)
        with self._applied:
            self._done = asked
            self._applied.notify_all()

    def _listen(self) -> None:
        """While the link is cut, the kernel takes connections, and nobody answers: to a caller, a silent server."""
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen(_WAITING_MAX_COUNT)
        self._watch(self._listener, selectors.EVENT_READ if self._mode == "open" else 0, None)

    def _refuse(self) -> None:
        for link in list(self._links):
            self._end(link)
        if self._listener is not None:
            self._watch(self._listener, 0, None)
            _hang_up(self._listener)
            self._listener = None

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            caller, _ = self._listener.accept()
        except OSError:  # gone again already
            return
        server = socket.socket()
        for sock in (caller, server):
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(caller, server)
        self._links.add(link)
        if server.connect_ex(self._target) in {0, errno.EINPROGRESS}:
            self._arm(link)
        else:
            self._end(link)

    def _move(self, end: _End, events: int) -> None:
        link = end.link
        if link not in self._links or self._mode != "open":
            return
        try:
            if link.connecting:
                link.server.sock.getpeername()  # raises when the connection failed
                link.connecting = False
            if events & selectors.EVENT_WRITE:
                self._write(end)
            if events & selectors.EVENT_READ:
                self._read(end)
        except BlockingIOError:
            pass
        except OSError:
            self._end(link)
            return
        if link.caller.told_all and link.server.told_all:
            self._end(link)
        else:
            self._arm(link)

    def _read(self, end: _End) -> None:
        sink = end.link.other(end)
        piece = end.sock.recv(_PIECE_MAX_BYTES)
        sink.pending += piece
        end.heard_all = not piece
        self._write(sink)

    def _write(self, end: _End) -> None:
        if end.pending:
            end.pending = end.pending[end.sock.send(end.pending) :]
        if not end.pending and end.link.other(end).heard_all and not end.told_all:
            end.told_all = True
            end.sock.shutdown(socket.SHUT_WR)

    def _arm(self, link: _Link) -> None:
        """Watch for what can be done: an end is read while nothing waits to be written to the other."""
        for end in (link.caller, link.server):
            events = 0
            if self._mode == "open":
                if link.connecting:
                    events = selectors.EVENT_WRITE if end is link.server else 0
                else:
                    events = (selectors.EVENT_WRITE if end.pending else 0) | (
                        0 if end.heard_all or link.other(end).pending else selectors.EVENT_READ
                    )
            self._watch(end.sock, events, end)

    def _watch(self, sock: socket.socket, events: int, data: _End | None) -> None:
        watched = sock in self._selector.get_map()
        if events and watched:
            self._selector.modify(sock, events, data)
        elif events:
            self._selector.register(sock, events, data)
        elif watched:
            self._selector.unregister(sock)

    def _end(self, link: _Link) -> None:
        self._links.discard(link)
        for end in (link.caller, link.server):
            self._watch(end.sock, 0, None)
            _hang_up(end.sock)


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.settimeout(0)
    return sock


def _hang_up(sock: socket.socket) -> None:
    """Shut down before closing: a test that forks leaves a copy of the socket in its child, and that would keep the connection."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()

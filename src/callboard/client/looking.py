"""What a keeper looks at before and while it keeps an instance signed in: whether its port accepts, and whether its event loop turns.

A gate lives until it is passed; a loop's watch as long as its registration.
"""

import socket
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

from callboard.client.link import reason
from callboard.model.errors import CallboardError, InvalidError
from callboard.model.time import MILLISECOND

PROBE_MS: Final = 1_000
"""How often a loop is asked whether it turns."""
CONNECT_MAX_S: Final = 1.0
READY_MAX_S: Final = 3.0
_LOOPBACKS: Final = ("127.0.0.1", "::1")


class NotReadyError(CallboardError):
    """The instance itself is not ready to be called."""

    code = "not_ready"


class Gate:
    """Whether an instance may be signed in: its port accepts connections, and its `ready` answers 2xx."""

    def __init__(self, address: str, port: int, ready: str = "", *, wait_for_port: bool = True) -> None:
        self.loopback_only = False
        """The port accepts on loopback, and not at the address that others are told."""
        self._hosts = (address, *_LOOPBACKS)
        self._port = port
        self._ready = check_ready(ready, port)
        self._wait_for_port = wait_for_port and port > 0

    def closed(self) -> str:
        """Why it is not passed now; empty: it is."""
        host = self._hosts[0]
        if self._wait_for_port:
            host, problem = self._accepting()
            if problem:
                return problem
            self.loopback_only = host != self._hosts[0]
        return self._not_ready(host) if self._ready else ""

    def _accepting(self) -> tuple[str, str]:
        """Where the port accepts; or why nowhere: the reason at the first of the hosts."""
        problem = ""
        for host in dict.fromkeys(self._hosts):
            try:
                socket.create_connection((host, self._port), CONNECT_MAX_S).close()
            except (OSError, UnicodeError) as error:
                problem = problem or f"port {self._port} does not accept at {host}: {reason(error)}"
            else:
                return host, ""
        return "", problem

    def _not_ready(self, host: str) -> str:
        parts = urlsplit(self._ready)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        line = HTTPConnection(parts.hostname or host, (parts.port or 80) if parts.hostname else self._port, timeout=READY_MAX_S)
        try:
            line.request("GET", target, headers={"Connection": "close"})
            status = line.getresponse().status
        except (OSError, HTTPException, UnicodeError, ValueError) as error:
            return f"{self._ready} does not answer: {reason(error)}"
        finally:
            line.close()
        return "" if 200 <= status < 300 else f"{self._ready} answers {status}"


def check_ready(ready: str, port: int) -> str:
    """A path, which needs a port of its own, or an http URL. Raises `InvalidError`."""
    if not ready:
        return ""
    if ready.startswith("/"):
        if not port:
            raise InvalidError("ready", f"{ready!r} is a path, and there is no port to ask it at; say port=..., or a whole URL")
        return ready
    try:
        parts = urlsplit(ready)
        known = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise InvalidError("ready", f"{ready!r} must be a path (/ready) or an http:// URL")
    return ready


class LoopWatch:
    """Asks a loop every second whether it turns, until it is `closed`. `post` hands it a call from another thread; it raises `RuntimeError`
    when that is so."""

    def __init__(
        self,
        now: int,
        post: Callable[[Callable[[], None]], None],
        closed: Callable[[], bool],
        blocked_after_ms: int,
        wake: Callable[[], None],
    ) -> None:
        self.blocked = False
        self._post = post
        self._closed = closed
        self._blocked_after_ns = blocked_after_ms * MILLISECOND
        self._wake = wake
        self._asked = now
        self._open = False
        self._next: int | None = now

    def look(self, now: int) -> None:
        """Ask, when it is time, and judge."""
        if self._next is None or now < self._next:
            return
        if self._closed():
            self.blocked, self._next = False, None
        elif self._open:
            self.blocked = now - self._asked >= self._blocked_after_ns
        else:
            self.blocked = False
            self._ask(now)
        if self._next is not None:
            self._next = self._coming(now)

    def deadline(self) -> int | None:
        """When to look again; None: the loop was closed."""
        return self._next

    def _coming(self, now: int) -> int:
        step = now + PROBE_MS * MILLISECOND
        verdict = self._asked + self._blocked_after_ns
        return min(step, verdict) if self._open and verdict > now else step

    def _ask(self, now: int) -> None:
        self._asked, self._open = now, True
        try:
            self._post(self._answer)
        except RuntimeError:
            self._open, self._next = False, None

    def _answer(self) -> None:
        """Called by the loop."""
        self._open = False
        if self.blocked:
            self._next = self._asked
            self._wake()

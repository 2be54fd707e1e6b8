"""Host names into addresses, with the system's resolver, which blocks: for seconds when its server is silent.

Each look-up runs in a thread of its own that nobody waits for at the end of the process. The pool of the loop would not do: a handful of
silent names would keep all others waiting, and the process from ending. A name is asked for once at a time, whoever wants it.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

from callboard.core.callers import is_loopback
from callboard.model.errors import CallboardError
from callboard.net import threads

THREADS_MAX_COUNT: Final = 64
_LOOPBACK: Final = ["127.0.0.1", "::1"]

Resolve = Callable[[str], list[str]]
"""The addresses of a host. Blocks. Raises `OSError` or `UnicodeError`."""


class DialError(CallboardError):
    """No connection; the message says to where and why."""

    code = "dial"


def resolve(host: str) -> list[str]:
    """Ask the system."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Lookups:
    """The look-ups of one owner, and for how many there is room at once. Belongs to the loop that uses it."""

    def __init__(self, threads_max_count: int = THREADS_MAX_COUNT, ask: Resolve = resolve) -> None:
        self._ask = ask
        self._room = asyncio.Semaphore(threads_max_count)
        self._running: dict[str, asyncio.Future[list[str] | OSError | UnicodeError]] = {}

    async def addresses(self, host: str, timeout_s: float) -> list[str]:
        """The addresses of a host, in the system's order; those of loopback are known (RFC 6761 section 6.3).

        Raises `DialError`, and `OSError` when there was no room to ask: that is no evidence about the host.
        """
        if is_loopback(host):
            return _LOOPBACK
        try:
            async with asyncio.timeout(timeout_s):
                running = self._running.get(host) or await self._started(host)
                answer = await asyncio.shield(running)
        except TimeoutError:
            if host not in self._running:
                raise OSError(errno.EAGAIN, f"too many names are being looked up to ask for {host}") from None
            raise DialError(f"dial tcp: lookup {host}: timeout") from None
        if isinstance(answer, OSError | UnicodeError):
            said = answer.strerror.lower() if isinstance(answer, socket.gaierror) and answer.strerror else "no such host"
            raise DialError(f"dial tcp: lookup {host}: {said}")
        return answer

    async def _started(self, host: str) -> "asyncio.Future[list[str] | OSError | UnicodeError]":
        """A look-up of `host` that runs, when there is room for one."""
        await self._room.acquire()
        if (running := self._running.get(host)) is not None:  # somebody else has asked meanwhile
            self._room.release()
            return running
        loop = asyncio.get_running_loop()
        future = self._running[host] = loop.create_future()
        try:
            threads.start(partial(self._look_up, loop, host), name=f"lookup {host}")
        except RuntimeError as error:  # there may be no more threads
            self._ended(host, OSError(errno.EAGAIN, str(error)))
            raise OSError(errno.EAGAIN, str(error)) from error
        return future

    def _look_up(self, loop: asyncio.AbstractEventLoop, host: str) -> None:
        """In the thread."""
        answer: list[str] | OSError | UnicodeError
        try:
            answer = self._ask(host)
        except (OSError, UnicodeError) as error:
            answer = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._ended, host, answer)

    def _ended(self, host: str, answer: list[str] | OSError | UnicodeError) -> None:
        self._running.pop(host).set_result(answer)
        self._room.release()

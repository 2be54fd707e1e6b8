"""Dialling a name with several addresses: the first that opens a connection wins, and nobody else is asked anything."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from callboard.net.dial import dial
from callboard.net.lookup import DialError, Lookups

PATIENCE_S = 20.0
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """A loop of each kind that a server may run on."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runs(work: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work)

    return runs


@contextmanager
def full(host: str, port: int = 0) -> Iterator[int]:
    """A port that answers to no new connection: its backlog is full."""
    with socket.socket() as silent:
        silent.bind((host, port))
        silent.listen(0)
        others = [socket.socket() for _ in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(silent.getsockname())
        yield silent.getsockname()[1]
        for other in others:
            other.close()


def names(*addresses: str) -> Lookups:
    """Every name has these addresses."""
    return Lookups(1, lambda _: list(addresses))


def test_an_address_that_is_silent_or_refuses_does_not_keep_the_others_waiting(run: Run) -> None:
    with full("127.0.0.2") as port, socket.create_server(("127.0.0.4", port)) as there:

        async def work() -> None:
            transport, _ = await dial(asyncio.Protocol, "name", port, PATIENCE_S, names("127.0.0.2", "127.0.0.3", "127.0.0.4"))
            assert transport.get_extra_info("peername")[0] == "127.0.0.4"
            transport.abort()

        accepted: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accepted.append(there.accept()[0]))
        thread.start()
        run(work())
        thread.join()
        accepted[0].close()


def test_the_first_address_tells_why_none_was_reached(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    async def refused() -> None:
        with pytest.raises(DialError, match=rf"^dial tcp 127\.0\.0\.2:{port}: connection refused$"):
            await dial(asyncio.Protocol, "name", port, PATIENCE_S, names("127.0.0.2", "127.0.0.3"))

    run(refused())
    with full("127.0.0.2") as port:

        async def silent() -> None:
            with pytest.raises(DialError, match=rf"^dial tcp 127\.0\.0\.2:{port}: timeout$"):
                await dial(asyncio.Protocol, "name", port, 0.4, names("127.0.0.2", "127.0.0.3"))

        run(silent())


def test_who_gives_up_leaves_no_socket_behind(run: Run) -> None:
    """An unclosed one would be a warning, and a warning fails the test."""
    with full("127.0.0.2") as port, full("127.0.0.3", port):

        async def cancelled() -> None:
            dialling = asyncio.ensure_future(dial(asyncio.Protocol, "name", port, PATIENCE_S, names("127.0.0.2", "127.0.0.3")))
            await asyncio.sleep(0.3)
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling

        run(cancelled())

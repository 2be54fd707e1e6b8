"""Kept connections: used again after whole answers and nothing else, and no question waits longer than it was told to."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from callboard.net.links import Limits, LinkError, Links
from callboard.net.lookup import Lookups
from tests.net.http.fake import run, until
from tests.support import PATIENCE_S, Stopwatch

LIMITS = Limits(connections_max_count=2, connect_time_max_ms=60_000, idle_time_max_ms=60_000, body_max_bytes=100_000)
HEAD = b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


class Place:
    """A server that does with each connection what the test says; `number` counts requests of all of them."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.connections = self.requests = self.ended = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                self.requests += 1
                await self.behaviour(reader, writer, self.requests)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.ended += 1
            writer.close()


async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Number: %d\r\ncontent-length: 5\r\n\r\nhello" % number)


@asynccontextmanager
async def placed(behaviour: Behaviour, limits: Limits = LIMITS) -> AsyncIterator[tuple[Place, Links]]:
    place = Place(behaviour)
    server = await asyncio.start_server(place.serve, "127.0.0.1", 0)
    place.port = server.sockets[0].getsockname()[1]
    links = Links("127.0.0.1", place.port, limits)
    try:
        yield place, links
    finally:
        links.close()
        server.close()
        await until(lambda: place.ended == place.connections)


async def ask(links: Links, body: bytes = b"hi", timeout_s: float = PATIENCE_S) -> bytes:
    return (await links.ask(HEAD % len(body), body, timeout_s)).body


async def problem(links: Links, timeout_s: float = PATIENCE_S) -> str:
    with pytest.raises(LinkError) as raised:
        await ask(links, timeout_s=timeout_s)
    return str(raised.value)


def test_one_connection_carries_one_question_after_the_other() -> None:
    async def scenario() -> None:
        async with placed(plain) as (place, links):
            for number in range(1, 6):
                answered = await links.ask(HEAD % 2, b"hi", PATIENCE_S)
                assert (answered.status, answered.headers[b"x-number"], answered.body) == (200, b"%d" % number, b"hello")
            assert place.connections == links.open_count == 1

    run(scenario())


def test_questions_at_once_have_connections_of_their_own_up_to_the_limit() -> None:
    async def scenario() -> None:
        most = under_way = 0

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            nonlocal most, under_way
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            await plain(reader, writer, number)

        async with placed(slow) as (place, links):
            assert await asyncio.gather(*(ask(links) for _ in range(10))) == [b"hello"] * 10
            assert (most, place.connections) == (2, 2)

    run(scenario())


def test_large_bodies_go_both_ways() -> None:
    async def scenario() -> None:
        async def large(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8000000\r\n\r\n" + b"y" * 8_000_000)
            await writer.drain()

        async with placed(large, LIMITS._replace(body_max_bytes=8_000_000)) as (_, links):
            assert await ask(links, b"x" * 8_000_000) == b"y" * 8_000_000

    run(scenario())


def test_an_answer_that_is_too_large_is_none() -> None:
    async def scenario() -> None:
        async def large(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100001\r\n\r\n" + b"y" * 100_001)

        async with placed(large) as (_, links):
            assert "larger than 100000 bytes" in await problem(links)
            await until(lambda: links.open_count == 0)

    run(scenario())


def test_nobody_there_is_told_at_once() -> None:
    async def scenario() -> None:
        async with placed(plain) as (place, _):
            free = place.port
        assert "connection refused" in await problem(Links("127.0.0.1", free, LIMITS))

    run(scenario())


def test_a_place_that_cannot_be_reached_is_given_up_after_the_connect_time() -> None:
    async def scenario() -> None:
        with contextlib.ExitStack() as open_sockets:
            listening = open_sockets.enter_context(socket.socket())
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            host, port = listening.getsockname()
            for _ in range(4):  # the backlog is full: further connections are not answered
                waiting = open_sockets.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex((host, port))
            await asyncio.sleep(0.05)
            with Stopwatch() as watch:
                assert "timeout" in await problem(Links(host, port, LIMITS._replace(connect_time_max_ms=100)))
            assert watch.seconds < 2

    run(scenario())


def test_names_that_nobody_knows_are_an_error_of_the_link() -> None:
    async def scenario() -> None:
        def unknown(host: str) -> list[str]:
            raise OSError(f"no {host}")

        assert "lookup nowhere" in await problem(Links("nowhere", 80, LIMITS, Lookups(ask=unknown)))

    run(scenario())


def test_a_silent_connection_is_given_up_in_time_and_never_used_again_nor_are_those_that_rest() -> None:
    async def scenario() -> None:
        silent = False

        async def at_times_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            if silent:
                await asyncio.sleep(10)
            await asyncio.sleep(0.02)
            await plain(reader, writer, number)

        async with placed(at_times_silent) as (place, links):
            await asyncio.gather(ask(links), ask(links))
            assert (place.connections, links.open_count) == (2, 2)
            silent = True
            assert "no answer" in await problem(links, 0.05)
            await until(lambda: links.open_count == 0)
            silent = False
            assert await ask(links) == b"hello"
            assert place.connections == 3
            links.close()
            await until(lambda: links.open_count == 0)
            place.ended = place.connections  # the silent one sleeps on

    run(scenario())


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", b"garbage\r\n\r\n"]
)
def test_a_place_that_dies_in_the_middle_of_an_answer_has_not_answered(said: bytes) -> None:
    async def scenario() -> None:
        async def dying(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            writer.write(said)
            writer.close()

        async with placed(dying) as (_, links):
            assert await problem(links)
            await until(lambda: links.open_count == 0)

    run(scenario())


def test_a_connection_that_the_place_closed_meanwhile_is_not_used_again() -> None:
    async def scenario() -> None:
        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            await plain(reader, writer, number)
            writer.close()

        async with placed(once) as (place, links):
            for _ in range(3):
                assert await ask(links) == b"hello"
                await until(lambda: links.open_count == 0)
            assert place.connections == 3

    run(scenario())


@pytest.mark.parametrize("field", ["connection: close", ""])
def test_a_place_that_wants_to_close_is_believed(field: str) -> None:
    async def scenario() -> None:
        async def closing(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            extra = f"{field}\r\n".encode() if field else b""
            version = b"HTTP/1.1" if field else b"HTTP/1.0"
            writer.write(version + b" 200 OK\r\n" + extra + b"content-length: 2\r\n\r\nok")

        async with placed(closing) as (place, links):
            assert [await ask(links), await ask(links)] == [b"ok", b"ok"]
            assert place.connections == 2

    run(scenario())


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"noise"])
def test_what_nobody_asked_for_ends_the_connection(more: bytes) -> None:
    async def scenario() -> None:
        async def chatty(_: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello" + more)

        async def later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            await plain(reader, writer, number)
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.write(more)

        for behaviour in (chatty, later):
            async with placed(behaviour) as (place, links):
                assert await ask(links) == b"hello"
                await until(lambda links=links: links.open_count == 0)  # type: ignore[misc]  # mypy cannot infer the lambda
                assert await ask(links) == b"hello"
                assert place.connections == 2

    run(scenario())


def test_who_gives_up_takes_the_connection_with_it() -> None:
    async def scenario() -> None:
        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            await asyncio.sleep(0.05)
            await plain(reader, writer, number)

        async with placed(slow) as (place, links):
            asked = asyncio.ensure_future(ask(links))
            await until(lambda: place.requests == 1)
            asked.cancel()
            await asyncio.wait({asked})
            answered = await links.ask(HEAD % 2, b"hi", PATIENCE_S)
            assert answered.headers[b"x-number"] == b"2"
            assert place.connections == 2

    run(scenario())


def test_a_connection_that_rests_too_long_is_closed() -> None:
    async def scenario() -> None:
        async with placed(plain, LIMITS._replace(idle_time_max_ms=200)) as (_, links):
            await ask(links)
            assert links.open_count == 1
            await until(lambda: links.open_count == 0)

    run(scenario())


def test_closing_tells_who_waits() -> None:
    async def scenario() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
            await reader.read()

        async with placed(silent) as (place, links):
            asked = asyncio.ensure_future(problem(links))
            await until(lambda: place.requests == 1)
            links.close()
            assert "closed" in await asked
            assert "are closed" in await problem(links)

    run(scenario())

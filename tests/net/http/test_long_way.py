"""What only the long way has: streams, and handlers that are not quick."""

import asyncio

import pytest

from callboard.net.http.message import TEXT, Answer
from tests.net.http.fake import World, connected, request, run, serving, until
from tests.support import repeated_if_stopped


def test_a_stream_is_sent_as_it_comes_and_ends_cleanly() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            client.ask("GET /slow/stream")
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert b"content-type: text/event-stream" in head
            chunks = client.chunks()
            for text in (b"one", b"two"):
                world.chunks.put_nowait(text)
                assert await anext(chunks) == text
            world.chunks.put_nowait(None)
            assert [chunk async for chunk in chunks] == []
            assert (await client.get("/read/a")).status == 200, "the connection goes on"
            assert world.closed_streams == 1

    run(scenario())


def test_a_stream_whose_client_leaves_is_closed() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port:
            async with connected(port) as client:
                client.ask("GET /slow/stream")
                world.chunks.put_nowait(b"one")
                await client.reader.readuntil(b"one")
            await until(lambda: world.closed_streams == 1 and world.stats.connections_now == 0)

    run(scenario())


def test_a_stream_that_fails_does_not_look_complete(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            client.ask("GET /slow/stream")
            world.chunks.put_nowait(b"one")
            await client.reader.readuntil(b"one\r\n")
            world.chunks.put_nowait(3)  # type: ignore[arg-type]  # what breaks it
            assert await client.ended() == b""
            assert world.closed_streams == 1

    run(scenario())
    assert sum(record.exc_info is not None for record in caplog.records) == 1


def test_an_outcome_is_awaited_and_told() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            client.send(request("PUT /slow/later/a", body=b"x") + request("GET /read/a"))
            await until(lambda: "a" in world.outcomes)
            world.outcomes["a"].tell(Answer(202, b"first", TEXT))
            assert (await client.response()).status == 202
            assert (await client.response()).body == b"nothing"
            client.ask("PUT /slow/later/a", body=b"x")
            assert (await client.response()).body == b"first", "known already"

    run(scenario())


def test_garbage_behind_a_request_that_is_being_answered_does_not_cost_its_answer() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            client.send(request("PUT /slow/later/a", body=b"x") + b"\x00\x01garbage\r\n\r\n")
            await until(lambda: "a" in world.outcomes)
            world.outcomes["a"].tell(Answer(200, b"first", TEXT))
            assert (await client.response()).body == b"first"
            assert (await client.response()).status == 400
            assert await client.ended() == b""

    run(scenario())


def test_half_a_request_behind_a_stream_does_not_end_the_stream() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, head_time_max_ms=20) as port, connected(port) as client:
            client.send(request("GET /slow/stream") + b"GET /ec")
            await client.reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.05)
            world.chunks.put_nowait(b"one")
            world.chunks.put_nowait(None)
            assert [chunk async for chunk in client.chunks()] == [b"one"]
            assert (await client.response()).status == 408, "in its turn"
            assert await client.ended() == b""

    repeated_if_stopped(lambda: run(scenario()))


def test_garbage_inside_a_body_is_refused_at_once() -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            client.send(request("PUT /slow/echo/a", "transfer-encoding: chunked") + b"3\r\nabc\r\n")
            await asyncio.sleep(0.01)
            client.send(b"nonsense\r\n")
            assert (await client.response()).status == 400
            assert await client.ended() == b""

    run(scenario())


@pytest.mark.parametrize("seed", range(8))
def test_sixty_four_kib_of_garbage_are_answered_with_400_or_nothing(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    import random

    chance = random.Random(seed)

    async def scenario() -> None:
        world = World()
        async with serving(world, head_time_max_ms=100) as port, connected(port) as client:
            client.send(chance.choice([b"", b"GET /", b"PUT /echo/a HTTP/1.1\r\n", b"\r\n\r\n"]) + chance.randbytes(65_536))
            answers = await client.ended()
            assert answers.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ", b"HTTP/1.1 408 "))
            assert world.calls == 0

    run(scenario())
    assert not any(record.exc_info for record in caplog.records)

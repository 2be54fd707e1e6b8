"""Blocked queries over real connections, on both doors."""

import asyncio

import pytest

from tests.net.http.fake import World, connected, request, run, serving, until

DOORS = pytest.mark.parametrize("door", ["/read/", "/slow/read/"])


@DOORS
def test_a_blocked_query_is_answered_by_the_change_with_the_new_index(door: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            assert (await client.get(door + "a")).headers["x-index"] == "1"
            for text in ("one", "two"):
                client.ask(f"GET {door}a?index={world.texts.get('a', ('', 1))[1]}")
                await until(lambda: world.stats.parked_now == 1)
                world.put("b", text)
                world.put("a", text)
                response = await client.response()
                assert (response.body.decode(), response.headers["x-index"]) == (text, str(world.revision))
            assert world.stats.woken == 2

    run(scenario())


@DOORS
def test_a_wait_ends_in_time_with_the_same_index(door: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            for _ in range(3):
                start = asyncio.get_running_loop().time()
                response = await client.get(f"{door}a?index=1&wait=20")
                assert (response.headers["x-index"], response.body) == ("1", b"nothing")
                assert asyncio.get_running_loop().time() - start >= 0.018
            assert world.stats.timeouts == 3

    run(scenario())


@DOORS
@pytest.mark.parametrize(
    ("query", "parks"), [("index=0", False), ("index=6", True), ("index=5", False), ("index=7", False), ("index=6&wait=0", False)]
)
def test_an_older_or_future_index_and_no_wait_are_answered_at_once(door: str, query: str, parks: bool) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            world.put("a", "text")
            client.ask(f"GET {door}a?{query}")
            if parks:
                await until(lambda: world.stats.parked_now == 1)
                world.put("a", "new")
                assert (await client.response()).body == b"new"
            else:
                assert (await client.response()).body == b"text"

    run(scenario())


@DOORS
def test_a_client_that_leaves_is_forgotten(door: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port:
            for ending in ("abort", "half"):
                async with connected(port) as client:
                    client.ask(f"GET {door}a?index=1")
                    await until(lambda: world.stats.parked_now == 1)
                    if ending == "half":
                        client.writer.write_eof()
                    else:
                        client.writer.transport.abort()
                    await until(lambda: world.stats.parked_now == 0 and world.stats.connections_now == 0)

    run(scenario())


def test_requests_pipelined_behind_a_blocked_query_come_after_it() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            client.send(
                request("GET /read/a?index=1")
                + request("GET /echo/2")
                + request("GET /read/b?index=1&wait=20")
                + request("GET /slow/echo/4")
            )
            await until(lambda: world.stats.parked_now == 1)
            await asyncio.sleep(0.01)
            world.put("a", "text")
            bodies = [(await client.response()).body for _ in range(4)]
            assert bodies[0] == b"text"
            assert b"echo/2" in bodies[1]
            assert bodies[2] == b"nothing"
            assert b"echo/4" in bodies[3]

    run(scenario())


def test_three_hundred_waiters_are_woken_by_one_rendering_each_in_the_coding_it_asked_for() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port:
            clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
            for number, (_, writer) in enumerate(clients):
                fields = ["accept-encoding: gzip"] if number % 3 == 0 else ["connection: close"] if number % 3 == 1 else []
                writer.write(request("GET /read/a?index=1", *fields))
            await until(lambda: world.stats.parked_now == 300)
            renders = world.renders
            world.put("a", "x" * 3000)
            heads = [await reader.readuntil(b"\r\n\r\n") for reader, _ in clients]
            assert world.renders == renders + 1
            assert [b"content-encoding: gzip" in head for head in heads] == [number % 3 == 0 for number in range(300)]
            assert [b"connection: close" in head for head in heads] == [number % 3 == 1 for number in range(300)]
            for _, writer in clients:
                writer.close()
            await until(lambda: world.stats.connections_now == 0)

    run(scenario())


def test_the_handler_is_asked_about_a_line_with_an_index_each_time_unless_it_says_that_the_read_lasts() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            world.put("a", "text")
            for _ in range(4):
                assert (await client.get("/read/a?index=1")).body == b"text"
            assert world.calls == 4
            assert (world.stats.hits, world.stats.recalled) == (0, 0)

    run(scenario())


@DOORS
def test_a_change_is_seen_by_whoever_asks_after_it(door: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            for number in range(20):
                world.put("a", str(number))
                assert (await client.get(door + "a")).body == str(number).encode()

    run(scenario())

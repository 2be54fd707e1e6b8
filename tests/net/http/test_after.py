"""Replies that are given only when something is known, on both ways: and then they are like any other."""

import asyncio

import pytest

from callboard.net.http.message import After, Answer, after
from tests.net.http.fake import Client, Known, World, connected, run, serving, until
from tests.support import repeated_if_stopped

BOTH = pytest.mark.parametrize("way", ["", "/slow"])


async def waiting(world: World, client: Client, target: str, *fields: str) -> Known:
    """What a request waits for."""
    name = target.partition("?")[0].rpartition("/")[2]
    client.ask("GET " + target, *fields)
    await until(lambda: name in world.known and world.known[name].callbacks)
    return world.known[name]


def test_what_is_known_already_is_answered_at_once() -> None:
    known, later = Known(), Known()
    known.tell(7)
    assert after(known, lambda value: Answer(body=b"%d" % value)) == Answer(body=b"7")
    reply = after(later, lambda value: Answer(body=b"%d" % value))
    assert isinstance(reply, After)
    told: list[int] = []
    reply.pending.then(told.append)
    later.tell(8)
    assert told == [8]
    assert reply.then(8) == Answer(body=b"8")


@BOTH
def test_an_answer_comes_when_it_is_known(way: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            known = await waiting(world, client, f"{way}/after/a")
            client.ask("GET /echo/next")
            known.tell("now")
            assert (await client.response()).body == b"now"
            assert b"next" in (await client.response()).body

    run(scenario())


@BOTH
def test_a_read_is_shared_with_those_who_did_not_wait(way: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            assert (await client.get("/read/a")).headers["x-index"] == "1"
            known = await waiting(world, client, f"{way}/after/a")
            known.tell("read")
            response = await client.response()
            assert (response.body, response.headers["x-index"]) == (b"nothing", "1")
            assert world.renders == 1

    run(scenario())


@BOTH
def test_a_read_may_block_when_it_is_known(way: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            world.put("a", "first")
            known = await waiting(world, client, f"{way}/after/a?index=6")
            known.tell("read")
            await until(lambda: world.stats.parked_now == 1)
            world.put("a", "second")
            response = await client.response()
            assert (response.body, response.headers["x-index"]) == (b"second", "7")

    run(scenario())


@BOTH
def test_waiting_may_lead_to_more_waiting(way: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            known = await waiting(world, client, f"{way}/after/a")
            known.tell("again")
            await until(lambda: "again" in world.known and world.known["again"].callbacks)
            world.known["again"].tell("then")
            assert (await client.response()).body == b"then"
            assert b"echo" in (await client.get("/echo/x")).body

    run(scenario())


@BOTH
def test_what_cannot_be_made_of_it_is_a_failure_of_its_site(way: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            known = await waiting(world, client, f"{way}/after/a")
            known.tell("boom")
            response = await client.response()
            assert (response.status, response.body) == (500, b"ours")
            assert world.stats.failures == 1

    run(scenario())


@BOTH
def test_what_does_not_become_known_in_time_may_be_asked_again(way: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, later_time_max_ms=50) as port, connected(port) as client:
            known = await waiting(world, client, f"{way}/after/a")
            response = await client.response()
            assert (response.status, response.headers["retry-after"]) == (503, "1")
            assert b"too long" in response.body
            known.tell("too late")

    run(scenario())


@BOTH
def test_a_server_that_stops_answers_without_blocking(way: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            known = await waiting(world, client, f"{way}/after/a?index=1")
            stopping = asyncio.ensure_future(world.http.stop(5.0))
            await asyncio.sleep(0.01)
            known.tell("read")
            response = await client.response()
            assert response.body == b"nothing"
            assert response.headers["connection"] == "close"
            await stopping

    run(scenario())


def test_a_client_that_left_is_not_parked() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port:
            async with connected(port) as client:
                known = await waiting(world, client, "/after/a?index=1")
            await asyncio.sleep(0.01)
            known.tell("read")
            await until(lambda: world.stats.connections_now == 0)
            assert world.stats.parked_now == 0

    run(scenario())


# -- how the server stands


@BOTH
def test_fields_of_standing_are_looked_at_again_every_second_also_in_kept_answers(way: str) -> None:
    async def scenario() -> None:
        world = World()
        target = f"{way}/standing/a"
        async with serving(world) as port, connected(port) as client:
            for _ in range(4):
                response = await client.get(target, "accept-encoding: gzip")
                assert (response.headers["x-standing"], response.headers["x-index"], response.body) == ("well", "1", b"nothing")
            world.standing = ((b"x-standing", b"cut off"), (b"x-age", b"9"))
            await until_ticked(world)
            response = await client.get(target)
            assert (response.headers["x-standing"], response.headers["x-age"], response.body) == ("cut off", "9", b"nothing")
            assert world.renders == 1
            world.standing = ()
            await until_ticked(world)
            assert "x-standing" not in (await client.get(target)).headers

    run(scenario())


@BOTH
def test_a_blocked_query_that_ends_tells_how_the_server_stands_then_and_nobody_is_woken_by_it(way: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            world.put("a", "x" * 5_000)
            client.ask(f"GET {way}/standing/a?index=6&wait=1500", "accept-encoding: gzip")
            await until(lambda: world.stats.parked_now == 1)
            world.standing = ((b"x-standing", b"cut off"),)
            await until_ticked(world)
            assert world.stats.parked_now == 1
            assert (await client.response()).headers["x-standing"] == "cut off"

    repeated_if_stopped(lambda: run(scenario()))


def test_bytes_of_kept_answers_are_counted_right_over_changes_of_standing() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            world.put("a", "x" * 5_000)
            sizes = []
            for standing in (b"well", b"sick", b"well"):
                world.standing = ((b"x-standing", standing),)
                await until_ticked(world)
                await client.get("/standing/a", "accept-encoding: gzip")
                sizes.append(world.stats.answers_bytes)
            assert len(set(sizes)) == 1

    run(scenario())


def test_a_read_that_is_not_by_line_asks_its_handler_each_time() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            for _ in range(5):
                await client.get("/asked/a")
            assert world.calls == 5
            assert world.renders == 1

    run(scenario())


async def until_ticked(world: World) -> None:
    """A second has passed, as far as the server is concerned: it is told so."""
    world.tick()
    await asyncio.sleep(0)


# -- bodies


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "length", "status"), [
    ("/larger", 3_000, 200), ("/larger", 3_001, 413), ("/larger?a=b", 2_000, 200), ("/echo/a", 1_001, 413), ("/echo/a", 1_000, 200),
    ("/smaller", 900, 200), ("/nowhere", 1_001, 413),
])  # fmt: skip
def test_a_route_may_take_larger_bodies_than_others(path: str, length: int, status: int, chunked: bool) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, body_max_bytes=1_000, quick_body_max_bytes=500) as port, connected(port) as client:
            if chunked:
                client.send(f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
                client.send(b"%x\r\n" % length + b"z" * length + b"\r\n0\r\n\r\n")
            else:
                client.ask("POST " + path, body=b"z" * length)
            response = await client.response()
            assert response.status == status
            if status == 413:
                assert str(3_000 if "larger" in path else 1_000).encode() in response.body

    run(scenario())

"""Blocked queries whose line is known: no handler is asked, and all the same nothing is told that is not so now."""

import asyncio
import gzip

import pytest

from callboard.model.topics import Topic
from callboard.net.http.blocks import Sights
from callboard.net.http.message import Read
from callboard.net.http.reads import KnownReads
from callboard.net.http.routing import PlainErrors
from tests.net.http.fake import Client, World, connected, run, serving, until

ERRORS = PlainErrors()


async def make_known(world: World, client: Client, line: str) -> None:
    """Ask, with an index that is answered at once or after a short wait, until no handler is asked any more."""
    for _ in range(2):
        await client.get(line)
    calls, recalled = world.calls, world.stats.recalled
    await client.get(line)
    assert (world.calls, world.stats.recalled) == (calls, recalled + 1), "its line is known"


def test_a_known_line_is_judged_against_the_view_each_time() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as one, connected(port) as two:
            world.put("a", "first")
            index = world.revision
            line, old = f"/lasting/a?index={index}&wait=1", f"/lasting/a?index={index - 1}"
            await make_known(world, one, old)
            await make_known(world, two, line)
            calls = world.calls
            for _ in range(3):
                timeouts = world.stats.timeouts
                assert (await one.get(line)).headers["x-index"] == str(index)
                assert world.stats.timeouts == timeouts + 1, "parked, since nothing has changed"
            for number in range(3):
                world.put("a", f"text {number}")
                for client in (one, two):
                    for known in (old, line):
                        response = await client.get(known)
                        assert (response.body.decode(), response.headers["x-index"]) == (f"text {number}", str(world.revision))
            assert world.calls == calls
            assert world.stats.hits == 0

    run(scenario())


def test_who_waits_by_a_known_line_is_woken_by_the_change_and_by_no_other() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as one, connected(port) as two:
            world.put("a", "first")
            line = f"/lasting/a?index={world.revision}"
            for client in (one, two, one):
                client.ask(f"GET {line}")
                await until(lambda: world.stats.parked_now == 1)
                world.http._hub.parked.release_all()  # noqa: SLF001  # as a stop does: answered, so that the line can be asked anew
                await client.response()
            calls = world.calls
            for client in (one, two):
                client.ask(f"GET {line}", *(["accept-encoding: gzip"] if client is two else []))
            await until(lambda: world.stats.parked_now == 2)
            assert world.calls == calls
            world.put("b", "other")
            await asyncio.sleep(0.01)
            assert world.stats.parked_now == 2
            world.put("a", "x" * 3_000)
            assert (await one.response()).body == b"x" * 3_000
            assert gzip.decompress((await two.response()).body) == b"x" * 3_000

    run(scenario())


def test_a_read_that_does_not_last_any_more_is_asked_for_again() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            world.put("a", "text")
            await make_known(world, client, "/lasting/a?index=1")
            world.lasts = False
            for number in range(1, 4):
                calls = world.calls
                assert (await client.get("/lasting/a?index=1")).body == b"text"
                assert world.calls == calls + 1, number
            world.lasts = True
            await make_known(world, client, "/lasting/a?index=1")

    run(scenario())


@pytest.mark.parametrize(
    "line", ["/lasting/a?index=1&anew", "/lasting/a?index=1&" + "x" * 300, "/slow/read/a?index=1", "/lasting/a?who&index=1"]
)
def test_a_line_that_does_not_lead_to_its_read_alone_or_is_long_is_looked_at_each_time(line: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            world.put("a", "text")
            for number in range(1, 6):
                await client.get(line, "x-who: me")
                assert (world.calls, world.stats.recalled) == (number, 0)

    run(scenario())


def test_the_limit_of_those_who_wait_and_a_renderer_that_fails_are_told_to_known_lines_too() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, parked_max_count=1) as port, connected(port) as one, connected(port) as two:
            world.put("a", "text")
            line = f"/lasting/a?index={world.revision}&wait=1"
            await make_known(world, one, line)
            one.ask(f"GET /lasting/a?index={world.revision}&wait=60000")
            await until(lambda: world.stats.parked_now == 1)
            assert (await two.get(line)).status == 429
            world.broken = True
            world.put("a", "new")
            assert (await one.response()).status == 500
            assert (await two.get(line)).status == 500
            world.broken = False
            assert (await two.get(line)).body == b"new"

    run(scenario())


def test_a_known_line_makes_an_answer_that_was_pushed_out_anew() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, answers_max_bytes=20_000) as port, connected(port) as client:
            world.put("a", "x" * 5_000)
            await make_known(world, client, "/lasting/a?index=1")
            for number in range(20):
                world.put(f"other{number}", "y" * 5_000)
                await client.get(f"/lasting/other{number}")
            calls, renders = world.calls, world.renders
            world.touch("a", "z" * 5_000)  # nobody is told: what was pushed out is not watched for
            assert (await client.get("/lasting/a?index=1")).body == b"z" * 5_000
            assert (world.calls, world.renders) == (calls, renders + 1)

    run(scenario())


def reading(number: int, *, lasts: bool | None = True) -> Read:
    lasting = None if lasts is None else lambda: bool(lasts)
    return Read(f"{number}", (Topic("t"),), render=lambda: pytest.fail("nothing is rendered here"), after=number, lasting=lasting)


def test_lines_are_known_at_the_second_sight_and_the_oldest_goes_first() -> None:
    reads = KnownReads(10, Sights())
    for number in range(2_000):
        reads.remember(b"GET /a?index=%d" % number, reading(number), ERRORS)
    assert len(reads) <= 1, "hardly one that was seen once"
    for number in range(3_000, 3_100):
        for _ in range(3):
            reads.remember(b"GET /a?index=%d" % number, reading(number), ERRORS)
        assert len(reads) <= 10
    there = [number for number in range(3_000, 3_100) if reads.get(b"GET /a?index=%d" % number) is not None]
    assert there == list(range(3_090, 3_100))
    known = reads.get(b"GET /a?index=3099")
    assert known is not None
    assert (known.read.after, known.errors) == (3_099, ERRORS)


@pytest.mark.parametrize("lasts", [False, None])
def test_what_does_not_last_is_not_kept(lasts: bool | None) -> None:
    reads = KnownReads(10, Sights())
    for _ in range(3):
        reads.remember(b"GET /a", reading(1, lasts=lasts), ERRORS)
    assert len(reads) == 0
    for _ in range(3):
        reads.remember(b"GET /" + b"a" * 256, reading(1), ERRORS)
    assert len(reads) == 0

"""The handle for asyncio: in one loop, in several one after the other, in another kind of loop, and beside the blocking one."""

import asyncio
import math
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import uvloop

import callboard.aio
from callboard.client import Client
from callboard.client.aio.service import Service
from callboard.client.engine import Engine
from callboard.client.errors import NoInstanceError, NoPictureError
from callboard.client.service import Service as BlockingService
from callboard.wire.native import Registration
from tests.client.states import FakeBackend, at, fake_engine, state
from tests.servers import ServerProcess, running_server
from tests.support import Stopwatch, poll_until, run


@pytest.fixture
def playing() -> Iterator[tuple[Engine, FakeBackend]]:
    engine, backend = fake_engine()
    yield engine, backend
    engine.close()


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server("--dev") as process:
        yield process


def put(server: ServerProcess, space: str, name: str) -> None:
    with Client(at(server.url).client) as client:
        client.put(Registration(service="web", id=name, namespace=space, address="127.0.0.1", port=80))


def test_a_call_waits_for_the_first_picture_and_no_longer(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing

    async def call() -> str:
        web = Service(engine, "web", {})
        with pytest.raises(NoPictureError):
            _ = web.snapshot
        with pytest.raises(NoPictureError):
            _ = web.endpoints
        asyncio.get_running_loop().call_later(0.02, backend.feed.tell, state("a"))
        async with web.pick() as endpoint:
            assert (web.snapshot.instances, web.stale, web.age_s) == ((state("a"),), False, 0.0)
            assert [judged.kept for judged in web.considered()] == [True]
            return endpoint.id

    assert run(call()) == "a"


def test_attempts_go_on_to_the_next_instance(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing

    async def call() -> list[int]:
        web = Service(engine, "web", {})
        backend.feed.tell(state("a", 1), state("b", 2))
        ports = []
        async for attempt in web.attempts():
            ports.append(attempt.port)
            if attempt.answered(503 if attempt.number == 1 else 200):
                break
        async for attempt in web.attempts(timeout_s=5.0):
            if attempt.answered(429 if attempt.number == 1 else 200, retry_after_s=0.01):
                break
        last = web.attempts(idempotent=False)
        attempt = await anext(last)
        with pytest.raises(OSError, match="broken"):
            attempt.failed(OSError("broken"))
        return ports

    assert sorted(run(call())) == [1, 2]


def test_a_cancelled_call_says_nothing_about_the_instance(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing

    async def call(web: Service) -> None:
        async with web.pick():
            await asyncio.sleep(60)

    async def cancel() -> None:
        web = Service(engine, "web", {"policy": "p2c"})
        backend.feed.tell(state("a"), state("b"))
        await web.wait(60)
        for _ in range(30):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call(web), 0.001)
        assert len(web.endpoints) == 2
        assert sum(web.finder.picker.in_flight(endpoint.key) for endpoint in web.endpoints) == 0

    run(cancel())


def test_watch_tells_what_is_known_and_each_change_and_ends_with_the_board(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing

    async def watch() -> list[str]:
        web, seen = Service(engine, "web", {}), []
        backend.feed.tell(state("a"))
        async for snapshot in web.watch():
            seen.append("".join(found.id for found in snapshot.added))
            if len(seen) == 1:
                backend.feed.tell(state("b"))
            else:
                engine.close()
        return seen

    assert run(watch()) == ["a", "b"]


def test_the_wait_ends_in_time_and_says_why(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing

    async def wait() -> None:
        web = Service(engine, "web", {})
        backend.feed.fail()
        await asyncio.to_thread(poll_until, lambda: "connection refused" in web.finder.followed.reason)
        with Stopwatch() as watch:
            for waiting in (web.wait(0.05), web.fresh(0.05)):
                with pytest.raises(NoPictureError, match="connection refused"):
                    await waiting
        assert watch.seconds < 5
        backend.feed.tell()
        await web.fresh(math.inf)
        assert BlockingService(engine, "web", {}).wait(math.inf).instances == ()
        with pytest.raises(NoInstanceError):
            async with web.pick():
                pass

    run(wait())


# -- theme: sync/async mix (https://github.com/dapr/python-sdk/issues/564, https://github.com/python-consul/python-consul/pull/231)


def test_theme_sync_async_mix_one_board_serves_one_loop_after_the_other(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = Service(engine, "web", {})
    backend.feed.tell(state("a"))

    async def call() -> str:
        async with web.pick() as endpoint:
            return endpoint.id

    assert [asyncio.run(call()) for _ in range(3)] == ["a", "a", "a"]


def test_theme_sync_async_mix_a_loop_that_was_closed_with_a_watch_open_disturbs_nobody(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing
    web = Service(engine, "web", {})
    backend.feed.tell(state("a"))
    loop = asyncio.new_event_loop()
    watching = web.watch()
    loop.run_until_complete(anext(watching))
    loop.close()
    backend.feed.tell(state("b"))
    poll_until(lambda: len(web.snapshot.instances) == 2)
    backend.feed.tell(state("c"))

    async def again() -> int:
        return len((await anext(web.watch())).instances)

    poll_until(lambda: asyncio.run(again()) == 3)


def test_theme_sync_async_mix_the_blocking_handle_works_inside_of_a_running_loop(
    server: ServerProcess, request: pytest.FixtureRequest
) -> None:
    space = request.node.name
    put(server, space, "a")
    engine = Engine(at(server.url, namespace=space))

    async def call() -> str:
        with BlockingService(engine, "web", {}).pick() as endpoint:
            return endpoint.id

    assert run(call()) == "a"
    engine.close()


def test_theme_sync_async_mix_both_handles_share_one_board_over_two_kinds_of_loops(
    server: ServerProcess, request: pytest.FixtureRequest
) -> None:
    space = request.node.name
    put(server, space, "a")
    engine = Engine(at(server.url, namespace=space))
    web, blocking = Service(engine, "web", {}), BlockingService(engine, "web", {})

    async def call() -> str:
        async for snapshot in web.watch():
            if len(snapshot.instances) == 1:
                break
        async with web.pick() as endpoint:
            return endpoint.id

    assert uvloop.run(call()) == "a"
    assert run(call()) == "a"
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(asyncio.run(call()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    with blocking.pick() as endpoint:
        seen.append(endpoint.id)
    for thread in threads:
        thread.join(60)
    assert seen == ["a"] * 4
    engine.close()


def test_theme_sync_async_mix_a_board_may_be_opened_and_closed_in_each_loop(server: ServerProcess, request: pytest.FixtureRequest) -> None:
    space = request.node.name
    put(server, space, "a")
    before = set(threading.enumerate())

    async def call() -> str:
        async with callboard.aio.connect(server.url, namespace=space, snapshots="off") as board, board.service("web").pick() as endpoint:
            return endpoint.id

    assert [runner(call()) for runner in (asyncio.run, uvloop.run, asyncio.run)] == ["a", "a", "a"]
    poll_until(lambda: not [thread for thread in set(threading.enumerate()) - before if thread.name.startswith("callboard-")])


def test_theme_sync_async_mix_a_blocked_loop_does_not_age_the_picture(playing: tuple[Engine, FakeBackend]) -> None:
    engine, backend = playing

    async def block() -> int:
        web = Service(engine, "web", {})
        backend.feed.tell(state("a"))
        await web.wait(60)
        backend.feed.tell(state("b"))
        poll_until(lambda: len(web.snapshot.instances) == 2)  # without ever letting the loop turn
        return len(web.endpoints)

    assert run(block()) == 2


LIGHT = "import sys, callboard; callboard.connect; import callboard.client.service; assert 'asyncio' not in sys.modules, 'asyncio'"


def test_theme_sync_async_mix_the_blocking_board_loads_no_asyncio() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True, timeout=60)

"""aiohttp with `http://SERVICE.svc/` URLs, against real servers signed in at a real registry."""

import asyncio
import collections
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from callboard import aio
from callboard.client import deadline
from callboard.client.errors import NoInstanceError
from callboard.client.events import AttemptEnded
from callboard.integrations.aiohttp import DeadlineExceeded, NoInstance, ServiceMiddleware, session
from callboard.model.errors import InvalidError
from tests.integrations.orders import Service, black_hole, orders, registry, settings, until
from tests.support import Stopwatch, repeated_if_stopped, run

__all__ = ["orders", "registry"]

Work = Callable[[aiohttp.ClientSession, str, aio.Board], Awaitable[None]]


def asking(orders: Service, work: Work, total_s: float = 60.0, count: int | None = None, **changes: Any) -> None:
    """Run `work` with a session on a board that knows all instances."""

    async def all_of_it() -> None:
        timeout = aiohttp.ClientTimeout(total=total_s)
        async with (
            aio.connect(orders.registry, settings=settings(retry_floor_per_s=100.0, **changes)) as board,
            session(board, timeout=timeout) as http,
        ):
            async for snapshot in board.service(orders.name).watch():
                if len(snapshot.instances) == (len(orders.instances) if count is None else count):
                    break
            await work(http, f"http://{orders.name}.svc", board)

    run(all_of_it())


async def get(http: aiohttp.ClientSession, url: str, method: str = "GET", **options: Any) -> tuple[int, str]:
    async with http.request(method, url, **options) as answer:
        await answer.read()
        return answer.status, str(answer.url)


def test_each_request_goes_to_another_of_three_instances(orders: Service) -> None:
    for _ in range(3):
        orders.add()

    async def work(http: aiohttp.ClientSession, url: str, board: aio.Board) -> None:
        for _ in range(10):
            answers = await asyncio.gather(*(get(http, f"{url}/items?x=1") for _ in range(6)))
            assert set(answers) == {(200, f"{url}/items?x=1")}
        assert min(orders.counts()) > 3
        turns = ServiceMiddleware(board, services={"turns": {"service": orders.name, "policy": "smooth_wrr"}})
        before = orders.counts()
        for _ in range(9):
            await get(http, "http://turns.svc/x", middlewares=(turns,))
        assert [after - count for after, count in zip(orders.counts(), before, strict=True)] == [3, 3, 3]

    asking(orders, work)


def test_no_call_fails_when_one_of_three_is_killed_midway(orders: Service) -> None:
    for _ in range(3):
        orders.add()

    async def work(http: aiohttp.ClientSession, url: str, _board: aio.Board) -> None:
        statuses: collections.Counter[int] = collections.Counter()

        async def caller() -> None:
            for _ in range(25):
                statuses[(await get(http, url))[0]] += 1
                await asyncio.sleep(0.002)

        callers = [asyncio.create_task(caller()) for _ in range(5)]
        await until(lambda: sum(statuses.values()) > 40)
        await asyncio.get_running_loop().run_in_executor(None, orders.instances[0].kill)
        await asyncio.gather(*callers)
        assert statuses == {200: 125}

    asking(orders, work)


def test_only_the_wanted_version_is_called(orders: Service) -> None:
    orders.add(version="1.9.0")
    orders.add(version="2.3.1")

    async def work(_http: aiohttp.ClientSession, _url: str, board: aio.Board) -> None:
        async with session(board, services={"new": {"service": orders.name, "version": "^2"}}) as http:
            for _ in range(5):
                await get(http, "http://new.svc/")
        assert orders.counts() == [0, 5]

    asking(orders, work)


def test_the_host_header_is_the_urls_host_unless_asked_otherwise(orders: Service) -> None:
    instance = orders.add()

    async def work(http: aiohttp.ClientSession, url: str, board: aio.Board) -> None:
        await get(http, url)
        await get(http, url, middlewares=(ServiceMiddleware(board, host_header="instance"),))
        assert [asked.headers["host"] for asked in instance.asked] == [f"{orders.name}.svc", f"127.0.0.1:{instance.port}"]

    asking(orders, work)


def test_redirects_stay_logical(orders: Service) -> None:
    instance = orders.add()

    async def work(http: aiohttp.ClientSession, url: str, _board: aio.Board) -> None:
        for location in ("/ok", "ok", f"{url}/ok"):
            instance.mode = f"redirect {location}"
            assert await get(http, f"{url}/moved") == (200, f"{url}/ok")

    asking(orders, work)


def test_hosts_that_are_not_ours_pass_untouched(orders: Service) -> None:
    instance = orders.add()

    async def work(http: aiohttp.ClientSession, _url: str, _board: aio.Board) -> None:
        assert (await get(http, f"http://127.0.0.1:{instance.port}/"))[0] == 200
        assert "x-deadline-ms" not in instance.asked[0].headers
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(http, "http://orders.default.svc/")

    asking(orders, work)


@pytest.mark.parametrize("mode", ["break", "status 503"])
def test_an_idempotent_call_is_tried_at_another_instance(orders: Service, mode: str) -> None:
    bad = orders.add()
    orders.add()
    bad.mode = mode

    async def work(http: aiohttp.ClientSession, url: str, _board: aio.Board) -> None:
        for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS"):
            assert (await get(http, url, method, data=b"x" if method == "PUT" else None))[0] == 200

    asking(orders, work)


@pytest.mark.parametrize(("method", "tries"), [("GET", 2), ("POST", 1)])
def test_a_broken_call_is_tried_as_often_as_its_method_allows(orders: Service, method: str, tries: int) -> None:
    for _ in range(3):
        orders.add().mode = "break"

    async def work(http: aiohttp.ClientSession, url: str, _board: aio.Board) -> None:
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(http, url, method)
        assert sum(orders.counts()) == tries  # aiohttp does not repeat it by itself either

    asking(orders, work)


def test_a_post_that_reached_nobody_goes_to_another_instance(orders: Service) -> None:
    bad, good = orders.add(), orders.add()
    bad.kill()

    async def work(http: aiohttp.ClientSession, url: str, _board: aio.Board) -> None:
        for _ in range(6):
            assert (await get(http, url, "POST", json={"one": "order"}))[0] == 200

    asking(orders, work)
    assert [asked.body for asked in good.asked] == [b'{"one": "order"}'] * 6


def test_a_post_gets_past_an_instance_that_does_not_even_connect(orders: Service) -> None:
    good = orders.add()
    with black_hole() as port:
        orders.sign_in("hole", port)

        async def work(http: aiohttp.ClientSession, url: str, _board: aio.Board) -> None:
            good.asked.clear()
            for _ in range(4):
                assert (await get(http, url, "POST", data=b"one order"))[0] == 200

        repeated_if_stopped(lambda: asking(orders, work, total_s=0.6, count=2))
        orders.sign_out("hole")
    assert len(good.asked) == 4


def test_a_streamed_request_body_is_never_replayed(orders: Service) -> None:
    for _ in range(2):
        orders.add().mode = "status 503"

    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"order"

    async def work(http: aiohttp.ClientSession, url: str, _board: aio.Board) -> None:
        assert (await get(http, url, "PUT", data=parts()))[0] == 503
        assert sum(orders.counts()) == 1
        assert next(asked.body for instance in orders.instances for asked in instance.asked) == b"one order"

    asking(orders, work)


def test_a_hanging_instance_costs_only_its_share_and_a_call_its_timeout(orders: Service) -> None:
    hanging = orders.add()
    orders.add()
    hanging.mode = "hang"

    async def work(http: aiohttp.ClientSession, url: str, _board: aio.Board) -> None:
        orders.instances[1].mode = "ok"
        for _ in range(4):
            assert (await get(http, url))[0] == 200
        orders.instances[1].mode = "hang"
        for method in ("GET", "POST"):
            begun = time.monotonic()
            with Stopwatch() as watch, pytest.raises(TimeoutError):
                await get(http, url, method)
            assert time.monotonic() - begun > 0.3
            assert watch.seconds < 1.5

    repeated_if_stopped(lambda: asking(orders, work, total_s=0.6))


def test_the_deadline_is_told_to_the_instance_and_kept(orders: Service) -> None:
    instance = orders.add()

    async def work(http: aiohttp.ClientSession, url: str, _board: aio.Board) -> None:
        with deadline.within(60.0):
            await get(http, url)
        assert 12_000 <= int(instance.asked[0].headers["x-deadline-ms"]) <= 60_000
        with deadline.within(0.0), pytest.raises(DeadlineExceeded):
            await get(http, url)
        assert len(instance.asked) == 1

    asking(orders, work, call_timeout_ms=60_000)


def test_a_cancelled_call_says_nothing_against_the_instance(orders: Service) -> None:
    instance = orders.add()
    instance.mode = "hang"

    async def work(http: aiohttp.ClientSession, url: str, board: aio.Board) -> None:
        outcomes: list[str] = []
        board.observe(lambda event: outcomes.append(event.outcome) if isinstance(event, AttemptEnded) else None)
        call = asyncio.create_task(get(http, url))
        await until(lambda: instance.asked)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert outcomes == ["cancelled"]

    asking(orders, work)


def test_a_streamed_answer_occupies_its_instance_until_it_is_closed(orders: Service) -> None:
    for _ in range(2):
        orders.add().mode = "stream 60"

    async def work(http: aiohttp.ClientSession, url: str, board: aio.Board) -> None:
        least = (ServiceMiddleware(board, policy="p2c"),)
        async with http.get(url, middlewares=least):
            busy = next(instance for instance in orders.instances if instance.asked)
            for instance in orders.instances:
                instance.mode = "ok"
            for _ in range(10):
                await get(http, url, middlewares=least)
            assert len(busy.asked) == 1
        for _ in range(20):
            await get(http, url, middlewares=least)
        assert len(busy.asked) > 1

    asking(orders, work)


def test_a_websocket_is_opened_at_an_instance(orders: Service) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"{message.data} back")
        return socket

    async def work(http: aiohttp.ClientSession, url: str, board: aio.Board) -> None:
        application = web.Application()
        application.router.add_get("/talk", echo)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        await asyncio.get_running_loop().run_in_executor(None, orders.sign_in, f"{orders.name}-ws", runner.addresses[0][1])
        async for snapshot in board.service(orders.name).watch():
            if snapshot.instances:
                break
        async with http.ws_connect(f"{url}/talk") as socket:
            await socket.send_str("there and")
            assert (await socket.receive_str()) == "there and back"
        await runner.cleanup()
        await asyncio.get_running_loop().run_in_executor(None, orders.sign_out, f"{orders.name}-ws")

    asking(orders, work)


def test_nobody_to_call_is_a_connection_error_that_says_why(orders: Service) -> None:
    orders.add(version="1.0.0")

    async def work(http: aiohttp.ClientSession, url: str, board: aio.Board) -> None:
        with pytest.raises(aiohttp.ClientConnectionError, match=r"1\.0\.0") as raised:
            await get(http, url, middlewares=(ServiceMiddleware(board, version="^9"),))
        assert isinstance(raised.value, NoInstance)
        assert isinstance(raised.value.__cause__, NoInstanceError)
        with pytest.raises(InvalidError, match="suffix"):
            ServiceMiddleware(board, suffix="svc")
        with pytest.raises(aiohttp.InvalidURL):
            await get(http, url, middlewares=(ServiceMiddleware(board, version="what"),))

    asking(orders, work)

"""httpx and httpx2 with `svc://` URLs, against real servers signed in at a real registry. What holds for one holds for the other."""

import asyncio
import collections
import importlib
import time
from types import ModuleType
from typing import Any

import pytest

from callboard import aio
from callboard.client import deadline
from callboard.client.errors import NoInstanceError, NoPictureError
from callboard.client.events import AttemptEnded
from tests.integrations.orders import Service, black_hole, orders, registry, settings, until
from tests.servers import free_port
from tests.support import Stopwatch, repeated_if_stopped, run

__all__ = ["orders", "registry"]


@pytest.fixture(params=["httpx", "httpx2"])
def ours(request: pytest.FixtureRequest) -> ModuleType:
    """Our module for one of the two libraries."""
    return importlib.import_module(f"callboard.integrations.{request.param}")


def library(ours: ModuleType) -> ModuleType:
    return importlib.import_module(ours.__name__.rpartition(".")[2])


async def known(board: aio.Board, orders: Service, count: int) -> None:
    """Wait until the board knows all instances."""
    async for snapshot in board.service(orders.name).watch():
        if len(snapshot.instances) == count:
            return


def ask(ours: ModuleType, orders: Service, work: Any, **changes: Any) -> Any:
    """Run `work(http, url, board)` with a client on a board that knows all instances."""

    async def all_of_it() -> Any:
        async with (
            aio.connect(orders.registry, settings=settings(**changes)) as board,
            ours.async_client(board, timeout=changes.get("call_timeout_ms", 60_000) / 1000) as http,
        ):
            await known(board, orders, len(orders.instances))
            return await work(http, f"svc://{orders.name}", board)

    return run(all_of_it())


def test_each_request_goes_to_another_of_three_instances(ours: ModuleType, orders: Service) -> None:
    for _ in range(3):
        orders.add()

    async def work(http: Any, url: str, board: aio.Board) -> None:
        for _ in range(10):
            answers = await asyncio.gather(*(http.get(f"{url}/items?x=1") for _ in range(6)))
            assert {answer.status_code for answer in answers} == {200}
        assert sum(orders.counts()) == 60
        assert min(orders.counts()) > 3
        for instance in orders.instances:
            instance.asked.clear()
        async with ours.async_client(board, services={"turns": {"service": orders.name, "policy": "smooth_wrr"}}) as turns:
            for _ in range(9):
                await turns.get("svc://turns/items?x=1")
        assert orders.counts() == [3, 3, 3]

    ask(ours, orders, work)
    assert {asked.path for instance in orders.instances for asked in instance.asked} == {"/items?x=1"}


def test_no_call_fails_when_one_of_three_is_killed_midway(ours: ModuleType, orders: Service) -> None:
    for _ in range(3):
        orders.add()

    async def work(http: Any, url: str, _board: aio.Board) -> collections.Counter[int]:
        statuses: collections.Counter[int] = collections.Counter()

        async def caller() -> None:
            for _ in range(25):
                statuses[(await http.get(f"{url}/items")).status_code] += 1
                await asyncio.sleep(0.002)

        callers = [asyncio.create_task(caller()) for _ in range(5)]
        await until(lambda: sum(statuses.values()) > 40)
        await asyncio.get_running_loop().run_in_executor(None, orders.instances[0].kill)
        await asyncio.gather(*callers)
        return statuses

    assert ask(ours, orders, work, retry_floor_per_s=20.0) == {200: 125}


def test_only_the_wanted_version_is_called(ours: ModuleType, orders: Service) -> None:
    orders.add(version="1.9.0")
    orders.add(version="2.3.1")

    async def work(_http: Any, _url: str, board: aio.Board) -> None:
        services = {"new": {"service": orders.name, "version": "^2"}, "old": {"service": orders.name, "version": "1.x"}}
        async with ours.async_client(board, services=services) as http:
            for _ in range(5):
                await http.get("svc://new/")
            assert orders.counts() == [0, 5]
            await http.get("svc://old/")
            assert orders.counts() == [1, 5]

    ask(ours, orders, work)


def test_the_url_and_the_host_header_stay_logical(ours: ModuleType, orders: Service) -> None:
    instance = orders.add()

    async def work(http: Any, url: str, board: aio.Board) -> None:
        answer = await http.get(f"{url}/items?x=a%20b")
        assert str(answer.url) == f"{url}/items?x=a%20b"
        assert instance.asked[0].headers["host"] == orders.name
        module = library(ours)
        async with module.AsyncClient(mounts={"svc://": ours.AsyncTransport(board, host_header="instance")}) as other:
            await other.get(url)
        assert instance.asked[1].headers["host"] == f"127.0.0.1:{instance.port}"

    ask(ours, orders, work)


def test_redirects_stay_logical(ours: ModuleType, orders: Service) -> None:
    instance = orders.add()

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        for location in ("/ok", "ok", f"http://{orders.name}/ok", f"http://127.0.0.1:{instance.port}/ok"):
            instance.mode = f"redirect {location}"
            answer = await http.get(f"{url}/moved", follow_redirects=True)
            assert (answer.status_code, str(answer.url)) == (200, f"{url}/ok")
        instance.mode = "redirect http://elsewhere.example/x"
        assert (await http.get(f"{url}/moved")).headers["location"] == "http://elsewhere.example/x"

    ask(ours, orders, work)


@pytest.mark.parametrize("mode", ["break", "status 503", "status 502", "status 504"])
def test_an_idempotent_call_is_tried_at_another_instance(ours: ModuleType, orders: Service, mode: str) -> None:
    bad = orders.add()
    orders.add()
    bad.mode = mode

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        for method in ("GET", "PUT", "DELETE", "HEAD", "OPTIONS"):
            assert (await http.request(method, url, content=b"x" if method == "PUT" else None)).status_code == 200

    ask(ours, orders, work, retry_floor_per_s=100.0)


def test_a_post_is_not_repeated_once_it_was_sent(ours: ModuleType, orders: Service) -> None:
    for _ in range(3):
        orders.add().mode = "break"

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        for expected in (1, 2):
            with pytest.raises(library(ours).TransportError):
                await http.post(url, content=b"one order")
            assert sum(orders.counts()) == expected
        for instance in orders.instances:
            instance.mode = "status 503"
        assert (await http.post(url)).status_code == 503
        assert sum(orders.counts()) == 3

    ask(ours, orders, work)


def test_a_post_that_reached_nobody_goes_to_another_instance(ours: ModuleType, orders: Service) -> None:
    bad, good = orders.add(), orders.add()
    bad.kill()

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        for _ in range(8):
            assert (await http.post(url, content=b"one order")).status_code == 200

    ask(ours, orders, work, retry_floor_per_s=100.0)
    assert [asked.body for asked in good.asked] == [b"one order"] * 8


def test_a_post_gets_past_an_instance_that_does_not_even_connect(ours: ModuleType, orders: Service) -> None:
    good = orders.add()
    with black_hole() as port:
        orders.sign_in("hole", port)

        async def work(http: Any, url: str, board: aio.Board) -> None:
            await known(board, orders, 2)
            good.asked.clear()
            for _ in range(4):
                assert (await http.post(url, content=b"one order")).status_code == 200

        async def all_of_it() -> None:
            async with (
                aio.connect(orders.registry, settings=settings(retry_floor_per_s=100.0)) as board,
                ours.async_client(board, timeout=0.6) as http,
            ):
                await work(http, f"svc://{orders.name}", board)

        repeated_if_stopped(lambda: run(all_of_it()))
        orders.sign_out("hole")
    assert len(good.asked) == 4


def test_a_streamed_request_body_is_never_replayed(ours: ModuleType, orders: Service) -> None:
    for _ in range(2):
        orders.add().mode = "status 503"

    async def parts() -> Any:
        yield b"one "
        yield b"order"

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        assert (await http.put(url, content=parts())).status_code == 503
        assert sum(orders.counts()) == 1
        assert next(asked.body for instance in orders.instances for asked in instance.asked) == b"one order"

    ask(ours, orders, work)


def test_a_hanging_instance_costs_only_its_share_of_the_time(ours: ModuleType, orders: Service) -> None:
    orders.add().mode = "hang"
    orders.add()

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        with Stopwatch() as watch:
            for _ in range(4):
                assert (await http.get(url)).status_code == 200
        assert watch.seconds < 4 * 0.8

    repeated_if_stopped(lambda: ask(ours, orders, work, call_timeout_ms=800, retry_floor_per_s=100.0))


def test_a_call_ends_within_its_timeout(ours: ModuleType, orders: Service) -> None:
    orders.add().mode = "hang"

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        for method in ("GET", "POST"):
            begun = time.monotonic()
            with Stopwatch() as watch, pytest.raises(library(ours).ReadTimeout):
                await http.request(method, url)
            assert time.monotonic() - begun > 0.2
            assert watch.seconds < 1.5

    repeated_if_stopped(lambda: ask(ours, orders, work, call_timeout_ms=500))


def test_the_deadline_is_told_to_the_instance_and_kept(ours: ModuleType, orders: Service) -> None:
    instance = orders.add()

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        with deadline.within(60.0):
            await http.get(url)
        assert 12_000 <= int(instance.asked[0].headers["x-deadline-ms"]) <= 60_000
        with deadline.within(0.0), pytest.raises(ours.DeadlineExceeded) as raised:
            await http.get(url)
        assert isinstance(raised.value, library(ours).TimeoutException)
        assert len(instance.asked) == 1
        instance.mode = "hang"
        with Stopwatch() as watch, deadline.within(0.4), pytest.raises(library(ours).TimeoutException):
            await http.get(url)
        assert watch.seconds < 1.5

    ask(ours, orders, work)


def test_a_call_without_a_limit_waits_and_tells_no_deadline(ours: ModuleType, orders: Service) -> None:
    instance = orders.add()

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        await http.get(url, timeout=None)
        assert "x-deadline-ms" not in instance.asked[0].headers

    ask(ours, orders, work)


def test_a_cancelled_call_says_nothing_against_the_instance(ours: ModuleType, orders: Service) -> None:
    instance = orders.add()
    instance.mode = "hang"

    async def work(http: Any, url: str, board: aio.Board) -> None:
        outcomes: list[tuple[str, bool]] = []
        board.observe(lambda event: outcomes.append((event.outcome, event.ok)) if isinstance(event, AttemptEnded) else None)
        for _ in range(6):
            instance.asked.clear()
            call = asyncio.create_task(http.get(url))
            await until(lambda: instance.asked)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert outcomes == [("cancelled", True)] * 6
        instance.mode = "ok"
        assert (await http.get(url)).status_code == 200

    ask(ours, orders, work)


def test_a_full_pool_says_nothing_against_the_instance(ours: ModuleType, orders: Service) -> None:
    orders.add().mode = "stream 60"

    async def work(_http: Any, url: str, board: aio.Board) -> None:
        outcomes: list[str] = []
        board.observe(lambda event: outcomes.append(event.outcome) if isinstance(event, AttemptEnded) else None)
        module = library(ours)
        one = module.AsyncHTTPTransport(limits=module.Limits(max_connections=1))
        limits = module.Timeout(60, pool=0.3)
        narrow = module.AsyncClient(mounts={"svc://": ours.AsyncTransport(board, transport=one)}, timeout=limits)
        async with narrow as http, http.stream("GET", url):
            second = asyncio.create_task(http.get(url))
            await asyncio.wait([second])
        assert isinstance(second.exception(), module.PoolTimeout)
        assert outcomes == ["200", "cancelled"]

    ask(ours, orders, work)


def test_a_streamed_answer_occupies_its_instance_until_it_is_closed(ours: ModuleType, orders: Service) -> None:
    streaming, other = orders.add(), orders.add()

    async def work(_http: Any, url: str, board: aio.Board) -> None:
        transport = ours.AsyncTransport(board, policy="p2c")
        async with library(ours).AsyncClient(mounts={"svc://": transport}) as http:
            streaming.mode = other.mode = "stream 60"
            async with http.stream("GET", url) as answer:
                assert answer.status_code == 200
                busy = streaming if streaming.asked else other
                streaming.mode = other.mode = "ok"
                for _ in range(10):
                    await http.get(url)
                assert len(busy.asked) == 1
            for _ in range(20):
                await http.get(url)
            assert len(busy.asked) > 1

    ask(ours, orders, work)


def test_a_slow_body_is_bounded_by_the_callers_limits_not_by_the_attempts_share(ours: ModuleType, orders: Service) -> None:
    instance = orders.add()
    instance.mode = "stream 0.6"

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        async with http.stream("GET", url) as answer:
            assert await answer.aread() == b"part0part1part2"

    repeated_if_stopped(lambda: ask(ours, orders, work, call_timeout_ms=1_000))


def test_a_body_that_breaks_off_is_raised_and_counts(ours: ModuleType, orders: Service) -> None:
    instance = orders.add()
    instance.mode, instance.cut = "stream 0", True

    async def work(http: Any, url: str, _board: aio.Board) -> None:
        with pytest.raises(library(ours).TransportError):
            await http.get(url)

    ask(ours, orders, work)
    assert len(instance.asked) == 1


def test_nobody_to_call_is_a_connect_error_that_says_why(ours: ModuleType, orders: Service) -> None:
    orders.add(version="1.0.0")

    async def work(_http: Any, url: str, board: aio.Board) -> None:
        async with ours.async_client(board, services={orders.name: {"version": "^9"}}) as http:
            with pytest.raises(library(ours).ConnectError, match=r"1\.0\.0") as raised:
                await http.get(url)
            assert isinstance(raised.value, ours.NoInstance)
            assert isinstance(raised.value.__cause__, NoInstanceError)
            assert str(raised.value.request.url) == url
            with pytest.raises(ours.NoInstance, match="nobody"):
                await http.get("svc://nobody-of-this-name/")

    ask(ours, orders, work)


def test_a_registry_that_was_never_heard_is_a_connect_error(ours: ModuleType) -> None:
    async def work() -> None:
        nowhere = f"http://127.0.0.1:{free_port()}"
        async with aio.connect(nowhere, settings=settings(first_wait_ms=100)) as board, ours.async_client(board) as http:
            with pytest.raises(ours.NoInstance) as raised:
                await http.get("svc://orders/")
            assert isinstance(raised.value.__cause__, NoPictureError)

    run(work())


@pytest.mark.parametrize("url", ["svc:///path", "svc://orders:80/path"])
def test_a_url_that_names_no_service_is_refused(ours: ModuleType, orders: Service, url: str) -> None:
    async def work(http: Any, _url: str, _board: aio.Board) -> None:
        with pytest.raises(library(ours).UnsupportedProtocol):
            await http.get(url)

    ask(ours, orders, work)


def test_other_urls_are_what_they_always_were(ours: ModuleType, orders: Service) -> None:
    instance = orders.add()

    async def work(http: Any, _url: str, _board: aio.Board) -> None:
        assert (await http.get(f"http://127.0.0.1:{instance.port}/plain")).status_code == 200

    ask(ours, orders, work)
    assert "x-deadline-ms" not in instance.asked[0].headers

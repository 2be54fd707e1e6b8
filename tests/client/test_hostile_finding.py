"""Finding while everything around misbehaves: streams that lose events, instances that flap, callers that give up."""

import asyncio
import math
import random
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

import callboard
from callboard.client import deadline
from callboard.client.aio.service import Service as AioService
from callboard.client.board_settings import BoardSettings
from callboard.client.client import Client
from callboard.client.errors import DeadlineError, NoPictureError, ProtocolError
from callboard.client.events import Event, FeedLost
from callboard.client.service import Service
from callboard.client.settings import ClientSettings
from callboard.testing.server import Server
from callboard.wire.native import Registration
from tests.client.broken import answer
from tests.client.relay import relay
from tests.client.states import at, fake_engine, state
from tests.servers import ServerProcess, running_server
from tests.support import Stopwatch, poll_until

OFF: Final = BoardSettings(snapshots="off")


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


# -- the stream


@pytest.mark.parametrize("lost", ["added", "changed", "removed"])
def test_an_event_that_a_stream_loses_is_made_good_within_digest_ms(server: ServerProcess, space: str, lost: str) -> None:
    events: list[Event] = []
    with (
        relay(server.url) as between,
        callboard.connect(server.url, namespace=space, settings=at(server.url)) as owner,
        callboard.connect(settings=replace(at(between.url), digest_ms=400, namespace=space)) as board,
        owner.register("web", id="one") as one,
    ):
        for other in (one, owner.register("web", id="three"), owner.register("web", id="four")):
            other.wait(60)
        board.observe(events.append)
        web = board.service("web")
        assert len(web.fresh(60).instances) == 3
        dropped: list[bytes] = []

        def drops(event: bytes) -> bool:
            if f"event: {lost}".encode() in event and not dropped:
                dropped.append(event)
                return True
            return False

        between.drops = drops
        if lost == "added":
            owner.register("web", id="two").wait(60)
        elif lost == "changed":
            one.set_status("warning", "hot")
        else:
            one.close()
        poll_until(lambda: dropped)
        truth = owner.instances("web").instances
        assert web.snapshot.instances != truth
        with Stopwatch() as watch:
            poll_until(lambda: web.snapshot.instances == owner.instances("web").instances)
        assert watch.seconds < 2
        assert [event.reason for event in events if isinstance(event, FeedLost)][:1] == [
            "what was told differs from what the registry knows; everything is asked for anew"
        ]


@pytest.mark.parametrize("body", [b"<html>sign in to this network</html>", b'{"x":' + b"[" * 200_000, b"data: " * 10_000])
def test_what_is_no_registry_is_named_and_the_registry_is_found_when_it_is_there(server: ServerProcess, space: str, body: bytes) -> None:
    with relay(server.url) as between, callboard.connect(settings=replace(at(between.url), namespace=space)) as board:
        between.refuses = lambda _: answer("200 OK", body, "Content-Type: text/html")
        web = board.service("web")
        poll_until(lambda: "does not answer as a Callboard server does" in web.finder.followed.reason)
        with pytest.raises(ProtocolError):
            board.instances("web")
        between.refuses = lambda _: None
        assert web.fresh(60).instances == ()


def test_when_only_few_come_back_after_a_loss_of_memory_the_rest_is_held_and_then_dropped(tmp_path: Path) -> None:
    settings = BoardSettings(lease_ms=900, snapshots="off", shrink_hold_ms=1_500)
    with (
        Server.running(tmp_path) as server,
        callboard.connect(server.url, settings=settings) as stays,
        callboard.connect(server.direct_url, settings=settings) as leaves,
        callboard.connect(server.url, settings=settings) as board,
        callboard.connect(server.url, settings=replace(settings, shrink_hold_ms=600_000)) as patient,
    ):
        stays.register("web", id="stays").wait(60)
        for number in range(3):
            leaves.register("web", id=f"leaves-{number}").wait(60)
        web, kept = board.service("web"), patient.service("web")
        poll_until(lambda: len(web.snapshot.instances) == len(kept.snapshot.instances) == 4)
        server.stop()
        leaves.close()
        server.restart(lose_state=True)
        poll_until(lambda: kept.snapshot.held == 3)
        assert len(kept.endpoints) == 4
        poll_until(lambda: len(web.snapshot.instances) == 1)
        assert [one.id for one in web.endpoints] == ["stays"]


def test_after_thousands_of_changes_while_threads_call_the_picker_is_the_truth() -> None:
    engine, backend = fake_engine(OFF)
    service = Service(engine, "web", {})
    poll_until(lambda: backend.feeds)
    backend.feed.tell(state("always"))
    service.fresh(60)
    over = threading.Event()
    failures: list[BaseException] = []

    def call() -> None:
        chance = random.Random(1)
        while not over.is_set():
            try:
                for attempt in service.attempts():
                    if attempt.answered(chance.choice([200, 200, 503])):
                        break
                with service.pick():
                    pass
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is a failure
                failures.append(error)
                return

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    chance, truth = random.Random(2), {"always": 80}
    for _ in range(3_000):
        name = f"i{chance.randrange(20)}"
        if name in truth:
            backend.feed.remove(state(name, truth.pop(name)))
        else:
            truth[name] = chance.randrange(1, 9_999)
            backend.feed.tell(state(name, truth[name]), ready=chance.random() < 0.5)
    poll_until(lambda: {one.id: one.port for one in service.snapshot.instances} == truth)
    over.set()
    for caller in callers:
        caller.join(60)
    assert failures == []
    service.finder.rebuild()
    assert {one.id for one in service.endpoints} <= set(truth)
    out = service.finder.tally.ejected
    assert {one.id: one.port for one in service.endpoints} == {name: port for name, port in truth.items() if f"n/{name}" not in out}
    assert all(service.finder.picker.in_flight(one.key) == 0 for one in service.endpoints)
    engine.close()


# -- limits that nobody means


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, -math.inf, math.nan])
def test_a_wait_without_time_ends_at_once(timeout_s: float) -> None:
    engine, _ = fake_engine(OFF)

    async def wait() -> None:
        with pytest.raises(NoPictureError):
            await AioService(engine, "web", {}).wait(timeout_s)

    with Stopwatch() as watch:
        with pytest.raises(NoPictureError):
            Service(engine, "web", {}).wait(timeout_s)
        asyncio.run(wait())
    assert watch.seconds < 1
    engine.close()


@pytest.mark.parametrize("seconds", [0.0, -1.0, -math.inf, math.nan])
def test_a_call_without_time_is_not_begun(seconds: float) -> None:
    engine, backend = fake_engine(OFF)
    service = Service(engine, "web", {})
    poll_until(lambda: backend.feeds)
    backend.feed.tell(state("one"))
    service.fresh(60)
    with pytest.raises(DeadlineError):
        next(service.attempts(timeout_s=seconds))
    with deadline.within(seconds), pytest.raises(DeadlineError):
        next(service.attempts())
    with deadline.within(30), deadline.within(seconds), pytest.raises(DeadlineError):
        next(service.attempts())
    with deadline.within(seconds), deadline.within(30), pytest.raises(DeadlineError):
        next(service.attempts())
    engine.close()


@pytest.mark.parametrize("seconds", [1e9, 1e200, 1.7e308, math.inf])
def test_a_call_with_more_time_than_there_is_is_made(seconds: float) -> None:
    engine, backend = fake_engine(OFF)
    service = Service(engine, "web", {})
    poll_until(lambda: backend.feeds)
    backend.feed.tell(state("one"))
    with deadline.within(seconds):
        call = service.attempts(timeout_s=seconds)
        attempt = next(call)
    assert attempt.timeout_s > 1e8
    assert deadline.from_header(attempt.headers.get(deadline.HEADER, "1")) is not None
    assert attempt.answered(200)
    engine.close()


# -- who gives up


async def pick(service: AioService) -> None:
    async with service.pick():
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def attempts(service: AioService) -> None:
    async for attempt in service.attempts():
        await asyncio.sleep(0)
        if attempt.answered(503 if attempt.number == 1 else 200):
            await asyncio.sleep(0)
            return


async def watch(service: AioService) -> None:
    async for _ in service.watch():
        await asyncio.sleep(0)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("work", [lambda service: service.wait(60), lambda service: service.fresh(60), pick, attempts, watch])
def test_who_is_cancelled_at_any_step_leaves_nothing_behind(work: Callable[[AioService], Awaitable[None]], known: bool) -> None:
    engine, backend = fake_engine(OFF)
    service = AioService(engine, "web", {})
    poll_until(lambda: backend.feeds)
    if known:
        backend.feed.tell(state("one"), state("two"))
        service.finder.followed.wait(60_000)
    listeners = service.finder.followed._listeners  # noqa: SLF001  # that nothing is left there is the point
    before = len(listeners)

    async def cancelled_after(steps: int) -> None:
        async def run() -> None:
            await work(service)

        task = asyncio.create_task(run())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for steps in range(8):
        asyncio.run(cancelled_after(steps))
        assert len(listeners) == before
        if known:
            picker = service.finder.picker
            assert [picker.in_flight(one.key) for one in picker.endpoints] == [0, 0]
    engine.close()


def test_a_watch_that_is_left_in_the_middle_and_a_loop_that_is_closed_leave_nothing_behind() -> None:
    engine, backend = fake_engine(OFF)
    service = AioService(engine, "web", {})
    poll_until(lambda: backend.feeds)
    backend.feed.tell(state("one"))
    service.finder.followed.wait(60_000)
    listeners = service.finder.followed._listeners  # noqa: SLF001  # as above
    before = len(listeners)

    async def first() -> object:
        async for snapshot in service.watch():
            return snapshot
        return None

    for _ in range(3):
        assert asyncio.run(first()) is not None
        loop = asyncio.new_event_loop()
        pending = loop.create_task(service.fresh(60))
        loop.run_until_complete(asyncio.sleep(0))
        pending.cancel()
        loop.run_until_complete(asyncio.gather(pending, return_exceptions=True))
        loop.close()
        backend.feed.tell(state("one", random.randrange(1, 9_999)))
    poll_until(lambda: len(listeners) == before)
    engine.close()


@pytest.mark.parametrize("known", [False, True])
def test_everybody_who_waits_hears_of_the_end_of_the_board(known: bool) -> None:
    engine, backend = fake_engine(OFF)
    service, aio = Service(engine, "web", {}), AioService(engine, "web", {})
    poll_until(lambda: backend.feeds)
    ended: list[str] = []
    if known:
        backend.feed.tell(state("one"))
        service.fresh(60)

    def blocking() -> None:
        for _ in service.watch():
            pass
        ended.append("watch")

    def waiting() -> None:
        try:
            service.wait(30)
        except NoPictureError as error:
            ended.append(error.reason)

    async def awaiting() -> None:
        async for _ in aio.watch():
            pass
        ended.append("aio watch")

    threads = [threading.Thread(target=work) for work in (blocking, waiting, lambda: asyncio.run(awaiting()))]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    engine.close()
    for thread in threads:
        thread.join(60)
    assert sorted(ended) == sorted(["watch", "aio watch"] + ([] if known else ["the board was closed"]))


def test_a_pick_that_is_under_way_is_not_entered_again_and_none_is_left_counted() -> None:
    engine, backend = fake_engine(OFF)
    service, aio = Service(engine, "web", {}), AioService(engine, "web", {})
    poll_until(lambda: backend.feeds)
    backend.feed.tell(state("one"))
    service.fresh(60)
    picking = service.pick()
    for _ in range(2):
        with picking, pytest.raises(RuntimeError, match="anew for each call"), picking:
            pass

    async def twice() -> None:
        awaited = aio.pick()
        async with awaited:
            with pytest.raises(RuntimeError, match="anew for each call"):
                async with awaited:
                    pass

    asyncio.run(twice())
    for each in (service, aio):
        assert each.finder.picker.in_flight("n/one") == 0
    engine.close()


# -- several servers


def test_when_one_of_several_servers_is_killed_everything_goes_on_at_the_next(server: ServerProcess, space: str) -> None:
    settings = BoardSettings(snapshots="off", lease_ms=600)
    with running_server("--dev") as first, callboard.connect(f"{first.url},{server.url}", namespace=space, settings=settings) as board:
        mine = board.register("orders", id="mine", port=1, wait_for_port=False)
        mine.wait(60)
        orders = board.service("orders")
        orders.wait(60)
        first.kill()
        with orders.pick() as endpoint:
            assert endpoint.id == "mine", "no call waits for any of it"
        poll_until(lambda: [one.id for one in board.instances("orders").instances] == ["mine"])
        with Client(ClientSettings(urls=(server.url,))) as other:
            other.put(Registration(service="orders", id="late", port=2, namespace=space))
        poll_until(lambda: {one.id for one in orders.snapshot.instances} == {"mine", "late"})

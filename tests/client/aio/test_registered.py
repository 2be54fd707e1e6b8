"""`callboard.aio`: the same registrations, awaited; and the loop that they watch."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop
from msgspec.structs import replace

from callboard import aio
from callboard.client import Client, ClientSettings
from callboard.client.board_settings import BoardSettings
from callboard.client.errors import InvalidRequestError
from callboard.client.events import Event, LoopBlocked, Registering
from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.wire.native import CheckRequest, InstanceState
from tests.servers import ServerProcess, free_port
from tests.support import PATIENCE_S

QUICK: Final = BoardSettings(
    lease_ms=1_500, takeover_ms=50, drain_notice_ms=200, drain_finish_ms=60_000, port_wait_ms=200, blocked_after_ms=300,
)  # fmt: skip
LOOPS: Final = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def run(work: Coroutine[Any, Any, None], factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work)


async def poll_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "not so in time"
        await asyncio.sleep(0.01)


class Onlooker:
    """Looks at the registry from a thread of its own, as others do, while the loop is blocked."""

    def __init__(self, url: str, space: str) -> None:
        self.seen: list[tuple[float, InstanceState]] = []
        self.stopped_s = 0.0
        """How long it could not look altogether, beyond what a look takes: the machine stopped, or was busy elsewhere."""
        self._client = Client(ClientSettings(urls=(url,)))
        self._space = space
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(0.01):
            now = time.monotonic()
            self.stopped_s, before = self.stopped_s + max(0.0, now - before - 0.05), now
            for instance in self._client.instances("orders", namespace=self._space).instances:
                self.seen.append((time.monotonic(), instance))

    def first(self, condition: Callable[[InstanceState], bool], after: float) -> float:
        """How long after `after` it first saw such an instance."""
        return next(moment for moment, instance in self.seen if moment >= after and condition(instance)) - after

    @property
    def last(self) -> InstanceState:
        """What it saw last."""
        return self.seen[-1][1]

    @contextmanager
    def looking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join(60)
            self._client.close()


def lease_output(instance: InstanceState) -> str:
    return next(check.output for check in instance.checks if check.kind == "ttl")


@pytest.mark.parametrize("factory", LOOPS)
def test_it_is_signed_in_and_out(server: ServerProcess, space: str, factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def serve() -> None:
        async with aio.connect(server.url, namespace=space, settings=QUICK) as board:
            listener = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
            port = listener.sockets[0].getsockname()[1]
            async with board.register("orders", port=port) as registered:
                await registered.wait(60)
                (instance,) = (await board.instances("orders")).instances
                assert (instance.id, instance.port, registered.state) == (registered.id, port, "registered")
            assert (await board.instances("orders")).instances == ()
            listener.close()

    run(serve(), factory)


def test_a_drain_is_awaited_and_waits_for_work(server: ServerProcess, space: str) -> None:
    async def serve() -> None:
        async with aio.connect(server.url, namespace=space, settings=QUICK) as board:
            registered = board.register("orders")
            await registered.wait(60)
            with registered.working():
                assert await registered.drain(wait=False) is False
                await asyncio.sleep(0.4)
                (instance,) = (await board.instances("orders")).instances
                assert instance.phase is Phase.DRAINING
            assert await registered.drain() is True
            assert (await board.instances("orders")).instances == ()

    run(serve())


def test_what_is_refused_is_raised_where_it_is_awaited(server: ServerProcess, space: str) -> None:
    async def serve() -> None:
        async with aio.connect(server.url, namespace=space, settings=QUICK) as board:
            registered = board.register("orders", checks=(CheckRequest(http="nonsense", interval_ms=1_000),))
            with pytest.raises(InvalidRequestError):
                await registered.wait(60)
            waiting = board.register("orders", port=free_port())
            with pytest.raises(TimeoutError, match="does not accept"):
                await waiting.wait(0.05)

    run(serve())


def test_a_wait_that_is_cancelled_leaves_and_the_registration_goes_on(server: ServerProcess, space: str) -> None:
    async def serve() -> None:
        async with aio.connect(server.url, namespace=space, settings=QUICK) as board:
            port = free_port()
            registered = board.register("orders", port=port)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(registered.wait(), 0.05)
            listener = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
            await registered.wait(60)
            listener.close()

    run(serve())


@pytest.mark.parametrize("factory", LOOPS)
def test_a_blocked_loop_keeps_its_lease_and_is_shown_with_a_warning_until_it_turns_again(
    server: ServerProcess, space: str, factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    events: list[Event] = []
    blocked_s = QUICK.blocked_after_ms / 1000 + 2
    onlooker = Onlooker(server.url, space)
    moments: list[float] = []

    async def serve() -> None:
        async with aio.connect(server.url, namespace=space, settings=QUICK) as board:
            board.observe(events.append)
            registered = board.register("orders")
            await registered.wait(60)
            await asyncio.sleep(0.1)
            moments.append(time.monotonic())
            time.sleep(blocked_s)  # noqa: ASYNC251  # that is what is tested
            moments.append(time.monotonic())
            await poll_until(lambda: LoopBlocked("orders", registered.id, blocked=False) in events)
            await poll_until(lambda: onlooker.last.status is Status.PASSING)

    with onlooker.looking():
        run(serve(), factory)
    blocked, turned = moments
    stopped_s = onlooker.stopped_s
    shown = onlooker.first(lambda seen: seen.status is Status.WARNING and lease_output(seen) == "event loop blocked", blocked)
    assert shown < blocked_s + stopped_s
    assert onlooker.first(lambda seen: seen.status is Status.PASSING and lease_output(seen) == "", turned) < 1 + stopped_s
    assert all(seen.status is not Status.CRITICAL for _, seen in onlooker.seen), "the lease was kept"
    turns = [event.blocked for event in events if isinstance(event, LoopBlocked)]
    assert turns[:2] == [True, False]
    assert len(turns) == 2 or stopped_s > QUICK.blocked_after_ms / 2000, turns


def test_a_busy_loop_that_turns_is_not_blocked(server: ServerProcess, space: str) -> None:
    events: list[Event] = []

    async def serve() -> None:
        settings = replace(QUICK, blocked_after_ms=3_000)
        async with aio.connect(server.url, namespace=space, settings=settings) as board:
            board.observe(events.append)
            await board.register("orders").wait(60)
            for _ in range(35):
                time.sleep(0.1)  # noqa: ASYNC251  # a busy application
                await asyncio.sleep(0)

    run(serve())
    assert not [event for event in events if isinstance(event, LoopBlocked)]


def test_a_status_of_the_application_stays_when_the_loop_was_blocked(server: ServerProcess, space: str) -> None:
    onlooker = Onlooker(server.url, space)
    moments: list[float] = []

    async def serve() -> None:
        async with aio.connect(server.url, namespace=space, settings=QUICK) as board:
            registered = board.register("orders")
            await registered.wait(60)
            registered.set_status("critical", "no database")
            await asyncio.sleep(0.1)
            time.sleep(1.6)  # noqa: ASYNC251  # that is what is tested
            moments.append(time.monotonic())
            await poll_until(lambda: (onlooker.last.status, lease_output(onlooker.last)) == (Status.CRITICAL, "no database"))

    with onlooker.looking():
        run(serve())
    outputs = {(seen.status, lease_output(seen)) for _, seen in onlooker.seen}
    assert (Status.CRITICAL, "no database; event loop blocked") in outputs
    back = onlooker.first(lambda seen: (seen.status, lease_output(seen)) == (Status.CRITICAL, "no database"), moments[0])
    assert back < 1 + onlooker.stopped_s


def test_it_may_be_made_before_the_loop_runs(server: ServerProcess, space: str) -> None:
    board = aio.connect(server.url, namespace=space, settings=QUICK)
    registered = board.register("orders")

    async def serve() -> None:
        async with board, registered:
            await registered.wait(60)

    run(serve())
    assert registered.state == "ended"


def test_a_loop_that_ended_without_closing_costs_nothing(server: ServerProcess, space: str) -> None:
    events: list[Event] = []
    board = aio.connect(server.url, namespace=space, settings=QUICK)
    board.observe(events.append)

    async def begin() -> None:
        await board.register("orders").wait(60)

    run(begin())
    time.sleep(1.5)
    run(board.close())
    states = [event.state for event in events if isinstance(event, Registering)]
    assert [state for state in states if state != "renewed"] == ["starting", "registered", "ended"]  # renewed: the machine stopped
    assert not [event for event in events if isinstance(event, LoopBlocked)]


def test_each_loop_that_waits_for_it_is_watched_and_one_that_ended_blocked_is_forgotten(server: ServerProcess, space: str) -> None:
    board = aio.connect(server.url, namespace=space, settings=QUICK)
    turns: list[bool] = []

    def told(event: Event) -> None:
        if isinstance(event, LoopBlocked):
            turns.append(event.blocked)

    board.observe(told)
    registered = board.register("orders")

    def wait_for(blocked: bool) -> None:
        end = time.monotonic() + PATIENCE_S
        while turns[-1:] != [blocked]:
            assert time.monotonic() < end, turns
            time.sleep(0.01)

    async def block() -> None:
        await registered.wait(60)
        await poll_until(lambda: turns[-1:] != [True])  # the machine may have stopped
        wait_for(blocked=True)

    for _ in range(2):
        run(block())
        wait_for(blocked=False)
    run(board.close())
    assert turns == [True, False] * (len(turns) // 2)
    assert len(turns) >= 4


def test_sigterm_reaches_a_loop_after_the_callers_know(server: ServerProcess, space: str) -> None:
    heard: list[float] = []
    events: list[Event] = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(time.monotonic()))

    async def serve() -> None:
        async with aio.connect(server.url, namespace=space, settings=QUICK) as board:
            board.observe(events.append)
            async with board.register("orders") as registered:
                await registered.wait(60)
                assert registered.on_sigterm()
                told = time.monotonic()
                signal.raise_signal(signal.SIGTERM)
                await poll_until(lambda: "draining" in [event.state for event in events if isinstance(event, Registering)])
                await poll_until(lambda: heard)
                assert heard[0] - told >= QUICK.drain_notice_ms / 1000
            assert (await board.instances("orders")).instances == ()

    try:
        run(serve())
        assert signal.getsignal(signal.SIGTERM) is not before
        signal.raise_signal(signal.SIGTERM)
        assert len(heard) == 2, "the handler that was there is back"
    finally:
        signal.signal(signal.SIGTERM, before)

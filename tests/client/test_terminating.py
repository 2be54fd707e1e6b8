"""SIGTERM: announced first, handed on later. First with handlers of this process, then with processes that it really ends."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
import uvloop

from callboard.client.terminating import drain_on_sigterm
from callboard.model.instance import Phase
from tests.client.workers import host
from tests.servers import ServerProcess
from tests.support import PATIENCE_S, poll_until

NOTICE_MS = 200


class FakeKeeper:
    def __init__(self) -> None:
        self.drained: list[float] = []
        self.joined = threading.Event()

    def drain(self) -> None:
        self.drained.append(time.monotonic())

    def join(self, timeout_s: float | None = None) -> bool:
        return self.joined.wait(timeout_s)


class Program:
    """The handler that was there before."""

    def __init__(self) -> None:
        self.heard: list[float] = []

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        self.heard.append(time.monotonic())


@pytest.fixture
def program() -> Iterator[Program]:
    there = Program()
    before = signal.signal(signal.SIGTERM, there.handle)
    yield there
    signal.signal(signal.SIGTERM, before)


def test_it_is_announced_at_once_and_handed_on_after_the_notice(program: Program) -> None:
    keeper = FakeKeeper()
    stop = drain_on_sigterm(keeper, NOTICE_MS)
    signal.raise_signal(signal.SIGTERM)
    assert len(keeper.drained) == 1
    poll_until(lambda: program.heard)
    assert program.heard[0] - keeper.drained[0] >= NOTICE_MS / 1000
    signal.raise_signal(signal.SIGTERM)
    assert (len(keeper.drained), len(program.heard)) == (1, 2), "from now on every signal is the program's"
    assert stop is not None
    stop()
    assert signal.getsignal(signal.SIGTERM) == program.handle


def test_a_second_one_passes_at_once_and_only_once(program: Program) -> None:
    before = set(threading.enumerate())
    stop = drain_on_sigterm(FakeKeeper(), 60_000)
    (handing_on,) = set(threading.enumerate()) - before
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    assert len(program.heard) == 1
    assert stop is not None
    stop()  # the notice is over
    handing_on.join(60)
    assert (handing_on.is_alive(), len(program.heard)) == (False, 1)


def test_several_registrations_are_drained_by_one_signal(program: Program) -> None:
    keepers = [FakeKeeper(), FakeKeeper()]
    stops = [drain_on_sigterm(keeper, NOTICE_MS) for keeper in keepers]
    signal.raise_signal(signal.SIGTERM)
    assert [len(keeper.drained) for keeper in keepers] == [1, 1]
    poll_until(lambda: program.heard)
    assert len(program.heard) == 1
    for stop in stops:
        assert stop is not None
        stop()
    assert signal.getsignal(signal.SIGTERM) == program.handle


def test_one_that_was_closed_is_not_drained_and_the_handler_goes_with_the_last(program: Program) -> None:
    first, second = FakeKeeper(), FakeKeeper()
    stop_first, stop_second = drain_on_sigterm(first, NOTICE_MS), drain_on_sigterm(second, NOTICE_MS)
    assert stop_first is not None
    assert stop_second is not None
    stop_first()
    signal.raise_signal(signal.SIGTERM)
    assert (len(first.drained), len(second.drained)) == (0, 1)
    poll_until(lambda: program.heard)
    stop_second()
    assert signal.getsignal(signal.SIGTERM) == program.handle


def test_a_signal_is_never_lost_who_is_closed_within_the_notice_hands_it_on_at_once(program: Program) -> None:
    stop = drain_on_sigterm(FakeKeeper(), 60_000)
    assert stop is not None
    signal.raise_signal(signal.SIGTERM)
    stop()
    poll_until(lambda: program.heard)
    signal.raise_signal(signal.SIGTERM)
    assert len(program.heard) == 2


def test_a_registration_after_one_that_was_closed_in_another_thread_is_drained_too(program: Program) -> None:
    stop, later = drain_on_sigterm(FakeKeeper(), NOTICE_MS), FakeKeeper()
    assert stop is not None
    thread = threading.Thread(target=stop)
    thread.start()
    thread.join(60)
    stop_later = drain_on_sigterm(later, NOTICE_MS)
    assert stop_later is not None
    signal.raise_signal(signal.SIGTERM)
    assert len(later.drained) == 1
    poll_until(lambda: program.heard)
    stop_later()
    assert len(program.heard) == 1


def test_a_handler_that_came_later_is_not_taken_away(program: Program) -> None:
    stop = drain_on_sigterm(FakeKeeper(), NOTICE_MS)
    later = Program()
    signal.signal(signal.SIGTERM, later.handle)
    assert stop is not None
    stop()
    assert signal.getsignal(signal.SIGTERM) == later.handle


def test_closed_in_another_thread_it_hands_everything_on(program: Program) -> None:
    keeper = FakeKeeper()
    stop = drain_on_sigterm(keeper, NOTICE_MS)
    assert stop is not None
    thread = threading.Thread(target=stop)
    thread.start()
    thread.join(60)
    signal.raise_signal(signal.SIGTERM)
    assert (len(keeper.drained), len(program.heard)) == (0, 1)


def test_only_the_main_thread_may_ask_for_it(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(drain_on_sigterm(FakeKeeper(), NOTICE_MS)))
    thread.start()
    thread.join(60)
    assert answers == [None]
    assert "main thread" in caplog.text
    assert signal.getsignal(signal.SIGTERM) == program.handle


def test_a_program_that_ignores_it_goes_on_ignoring_it(program: Program, caplog: pytest.LogCaptureFixture) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert drain_on_sigterm(FakeKeeper(), NOTICE_MS) is None
    assert "ignores it" in caplog.text
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_that_handles_it_hears_of_it_once(program: Program, factory: object) -> None:
    keeper, heard = FakeKeeper(), []

    async def serve() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: heard.append(1))
        stop = drain_on_sigterm(keeper, 50)
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            while not (keeper.drained and heard):  # noqa: ASYNC110  # signals come from outside
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)  # a second one would have come
        assert (len(keeper.drained), heard) == (1, [1])
        assert stop is not None
        stop()

    with asyncio.Runner(loop_factory=factory) as runner:  # type: ignore[arg-type]  # both make loops
        runner.run(serve())


def test_a_forked_child_hands_every_signal_on(program: Program) -> None:
    keeper = FakeKeeper()
    stop = drain_on_sigterm(keeper, NOTICE_MS)
    child = os.fork()
    if not child:
        signal.raise_signal(signal.SIGTERM)
        os._exit(0 if (len(keeper.drained), len(program.heard)) == (0, 1) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert stop is not None
    stop()


def test_a_process_without_a_handler_drains_and_then_ends_as_sigterm_ends_it(server: ServerProcess, space: str, tmp_path: Path) -> None:
    with host(server.url, space, tmp_path, {"drain_notice_ms": 500}) as there:
        (worker,) = there.start_all(1, "--sigterm")
        assert worker.value("sigterm") is True
        with there.watched() as phases:
            worker.send(signal.SIGTERM)
            assert worker.wait() == -signal.SIGTERM
            poll_until(lambda: phases[-1] is None)
        assert phases == [Phase.SERVING, Phase.DRAINING, None]
        assert worker.states[:3] == ["starting", "registered", "draining"]
        assert worker.states[3:] in ([], ["ended"])  # it may have ended before it could say so
        assert there.instances() == ()


def test_a_process_with_a_handler_hears_of_it_after_its_callers(server: ServerProcess, space: str, tmp_path: Path) -> None:
    with host(server.url, space, tmp_path, {"drain_notice_ms": 500}) as there:
        (worker,) = there.start_all(1, "--sigterm", "--before")
        worker.value("ready")
        with there.watched() as phases:
            sent = time.monotonic()
            worker.send(signal.SIGTERM)
            assert worker.value("handled") == signal.SIGTERM
            poll_until(lambda: Phase.DRAINING in phases)
            assert worker.moment("handled", signal.SIGTERM) - sent >= 0.5, "callers had the notice's time"
        assert worker.end() == 0


def test_all_workers_of_a_server_that_are_told_to_end_drain_once_and_sign_out_once(
    server: ServerProcess, space: str, tmp_path: Path
) -> None:
    with host(server.url, space, tmp_path) as there:
        workers = there.start_all(3, "--sigterm")
        for worker in workers:
            worker.value("ready")
        for worker in workers:
            worker.send(signal.SIGTERM)
        assert [worker.wait() for worker in workers] == [-signal.SIGTERM] * 3
        assert sum("draining" in worker.states for worker in workers) == 1
        assert there.instances() == ()

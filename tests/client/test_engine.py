"""What both boards share: used by many threads at once, closed from everywhere, and ended with the process."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

import callboard
from callboard.client.board_settings import BoardSettings
from callboard.client.engine import ClosedError, Engine
from callboard.client.events import Event, Observers, Registering
from callboard.client.showing import Shown
from callboard.net import threads
from tests.client.broken import HANG, broken_server
from tests.client.states import at, fake_engine
from tests.servers import ServerProcess
from tests.support import Stopwatch, poll_until

QUICK: Final = BoardSettings(lease_ms=900, drain_notice_ms=100, snapshots="off")


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def _restless() -> Iterator[None]:
    """Threads take turns after every few steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(count: int, work: Callable[[int], None]) -> None:
    """`work` in so many threads that begin at the same moment."""
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait()
        work(number)

    running = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)


# -- many threads


class FakeKeeper:
    """Counts how often it was told to leave."""

    ended = False
    left = 0

    def leave(self) -> None:
        self.left += 1

    def close(self, _timeout_s: float) -> None:
        self.ended = True


@pytest.mark.usefixtures("_restless")
def test_of_many_that_register_at_once_and_while_it_closes_none_stays_behind() -> None:
    for _ in range(10):
        engine, _ = fake_engine(QUICK)
        kept: list[FakeKeeper] = []

        def register(number: int, engine: Engine = engine, kept: list[FakeKeeper] = kept) -> None:
            for turn in range(20):
                keeper = FakeKeeper()
                try:
                    engine.keep(keeper)  # type: ignore[arg-type]  # all that an engine asks of one
                except ClosedError:
                    return
                kept.append(keeper)
                if number == 0 and turn == 10:
                    engine.close()

        at_once(6, register)
        assert [(keeper.left, keeper.ended) for keeper in kept] == [(1, True)] * len(kept)


@pytest.mark.usefixtures("_restless")
def test_of_many_that_listen_and_stop_at_once_none_is_forgotten() -> None:
    for _ in range(10):
        heard: list[str] = []
        observers = Observers()
        shown = Shown("orders", observers)

        def listen(_: int, observers: Observers = observers, shown: Shown = shown, heard: list[str] = heard) -> None:
            for _turn in range(20):
                observers.add(lambda _: None)()
                shown.follow(lambda: None)()
                observers.add(lambda _: heard.append("observer"))
                shown.follow(lambda: heard.append("follower"))

        at_once(6, listen)
        shown.turn("registered")
        assert (heard.count("observer"), heard.count("follower")) == (120, 120)


# -- closing


@pytest.mark.parametrize("what", ["board", "registered"])
def test_closing_from_inside_an_observer_neither_waits_for_itself_nor_leaves_the_instance(
    server: ServerProcess, space: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    took: list[float] = []
    with callboard.connect(server.url, namespace=space, settings=QUICK) as board:

        def told(event: Event) -> None:
            if isinstance(event, Registering) and event.state == "registered":
                with Stopwatch() as watch:
                    (board if what == "board" else registered).close()
                took.append(watch.seconds)

        board.observe(told)
        registered = board.register("orders", id="one")
        poll_until(lambda: took and registered.state == "ended")
        assert took[0] < 1
    with callboard.connect(server.url, namespace=space) as other:
        assert other.instances("orders").instances == ()
    assert "could not be signed out" not in caplog.text


def test_closing_from_inside_a_callback_of_what_is_known_does_not_wait_for_itself(server: ServerProcess, space: str) -> None:
    took: list[float] = []
    board = callboard.connect(server.url, namespace=space, settings=QUICK)
    service = board.service("orders")
    service.fresh(60)

    def told(_: object) -> None:
        with Stopwatch() as watch:
            board.close()
        took.append(watch.seconds)

    service.finder.followed.subscribe(told)
    with callboard.connect(server.url, namespace=space, settings=QUICK) as other, other.register("orders"):
        poll_until(lambda: took)
    assert took[0] < 1
    assert list(service.watch()) == []


def test_a_registry_that_hangs_is_waited_for_once_whatever_the_number_of_registrations() -> None:
    with broken_server(HANG) as script, callboard.connect(settings=at(script.url, lease_ms=900)) as board:
        kept = [board.register("orders", id=f"one-{number}", address="10.0.0.1") for number in range(4)]
        poll_until(lambda: len(script.requests) == 4)
        with Stopwatch() as watch:
            board.close()
        assert watch.seconds < 5.5
    del kept


def test_without_a_thread_to_be_had_the_caller_is_told_and_nothing_is_waited_for(
    server: ServerProcess, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    board = callboard.connect(server.url, namespace=space, settings=QUICK)
    with monkeypatch.context() as patched:
        patched.setattr(threads, "start", none)
        with pytest.raises(RuntimeError, match="new thread"):
            board.register("orders")
        with pytest.raises(RuntimeError, match="new thread"):
            board.service("orders")
    assert board.service("orders").fresh(60).instances == ()
    with Stopwatch() as watch:
        board.close()
    assert watch.seconds < 2


# -- the end of the process

ENDS: Final = {
    "registered": "b = callboard.connect(URL); r = b.register('orders')",
    "signed in": "b = callboard.connect(URL); r = b.register('orders'); r.wait(60)",
    "waiting for its port": "b = callboard.connect(URL); r = b.register('orders', port=1)",
    "following": "b = callboard.connect(URL); s = b.service('orders')",
    "found": "b = callboard.connect(URL); s = b.service('orders'); s.fresh(60)",
    "both": "b = callboard.connect(URL); r = b.register('orders'); r.wait(60); s = b.service('orders'); s.fresh(60)",
    "closed at once": "with callboard.connect(URL) as b: b.register('orders'); b.service('orders')",
    "error": "b = callboard.connect(URL); r = b.register('orders'); r.wait(60); sys.exit(0)",
    "client": "c = Client(ClientSettings(urls=(URL,))); c.register(Registration(service='orders', checks=(CheckRequest(ttl_ms=900),)))",
    "asyncio signed in": "async def main():\n await callboard.aio.connect(URL).register('orders').wait(60)\nasyncio.run(main())",
    "asyncio found": "async def main():\n b = callboard.aio.connect(URL); await b.service('orders').fresh(60)\nasyncio.run(main())",
    "asyncio tasks": (
        "async def main():\n b = callboard.aio.connect(URL); r = b.register('orders', port=1); s = b.service('orders')\n"
        " there = [asyncio.create_task(r.wait()), asyncio.create_task(s.wait())]; await asyncio.sleep(0)\nasyncio.run(main())"
    ),
    "asyncio watch": (
        "async def main():\n b = callboard.aio.connect(URL)\n async for one in b.service('orders').watch():\n  break\nasyncio.run(main())"
    ),
}
HEAD: Final = (
    "import asyncio, logging, sys, callboard, callboard.aio\nfrom callboard.client import Client, ClientSettings\n"
    "from callboard.wire.native import CheckRequest, Registration\nURL = sys.argv[1]\n"
    "logging.getLogger('asyncio').setLevel(logging.ERROR)\n"
)
"""Of asyncio's own words those about slow callbacks are left out: they tell of the machine."""


@pytest.mark.parametrize("how", ENDS)
def test_a_program_that_ends_anywhere_says_nothing_to_stderr_and_is_signed_out(server: ServerProcess, tmp_path: Path, how: str) -> None:
    words = [sys.executable, "-W", "error", "-X", "dev", "-c", HEAD + ENDS[how], server.url]
    there = {**os.environ, "CALLBOARD_SNAPSHOTS": str(tmp_path), "CALLBOARD_NAMESPACE": "ends"}
    ended = subprocess.run(words, capture_output=True, text=True, timeout=90, env=there, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    with callboard.connect(server.url, namespace="" if how == "client" else "ends") as other:
        assert other.instances("orders").instances == ()


def test_at_the_end_of_the_process_a_registry_that_hangs_is_waited_for_once(tmp_path: Path) -> None:
    register = "for number in range(5): b.register('orders', id=str(number), address='10.0.0.1')"
    program = f"b = callboard.connect(URL)\n{register}\nasyncio.run(asyncio.sleep(0.3))"
    with broken_server(HANG) as script, Stopwatch() as watch:
        subprocess.run([sys.executable, "-c", HEAD + program, script.url], capture_output=True, timeout=90, check=True)
    assert watch.seconds < 8, "some seconds each would be more than ten"

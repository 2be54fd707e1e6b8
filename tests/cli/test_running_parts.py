"""The parts of `callboard run`, without a registry: verdicts about a port, and what the supervisor does at which signal."""

import signal
import socket
import sys
import time
from collections.abc import Callable
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.cli.running.accepting import FAILURES_MAX_COUNT, Probe, Turn, Verdict, problem
from callboard.cli.running.child import CannotStartError, Child, free_port
from callboard.cli.running.plan import Plan
from callboard.cli.running.supervisor import Ended, Limits, News, Refused, Supervisor
from callboard.net import threads
from tests.support import poll_until

Ready = Callable[[], None]
SLEEP = "import signal, sys, time\n{}\nprint('up', flush=True)\ntime.sleep(60)"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
NICE = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"


class Entry:
    """What the supervisor does to the registry's entry, and when."""

    def __init__(self) -> None:
        self.done: list[tuple[str, float]] = []

    def hide(self) -> None:
        """Noted."""
        self.done.append(("hide", time.monotonic()))

    def leave(self) -> None:
        """Noted."""
        self.done.append(("leave", time.monotonic()))


class Run:
    """A supervised process, in a thread of its own."""

    def __init__(self, setup: str = "", drain_s: float = 0.0, stop_s: float = 10.0) -> None:
        self.news: SimpleQueue[News] = SimpleQueue()
        self.entry = Entry()
        self.said: list[str] = []
        self.codes: list[int] = []
        self.child = Child([sys.executable, "-c", SLEEP.format(setup)], {}, lambda: self.news.put(Ended()))
        supervisor = Supervisor(self.child, self.entry, Limits(drain_s, stop_s), self.news, self.said.append)
        threads.start(lambda: self.codes.append(supervisor.serve()), name="supervised")

    def code(self) -> int:
        """Waits for the end."""
        return poll_until(lambda: self.codes)[0]

    def steps(self) -> list[str]:
        """What was done to the entry."""
        return [step for step, _ in self.entry.done]


@pytest.fixture
def ready(capfd: pytest.CaptureFixture[str]) -> Ready:
    """Waits until the process has set up its signals."""
    seen = ""

    def up() -> bool:
        nonlocal seen
        seen += capfd.readouterr().out
        return "up" in seen

    def wait() -> None:
        poll_until(up)

    return wait


def test_a_signal_hides_then_waits_then_is_passed_on_and_the_entry_goes_last(ready: Ready) -> None:
    run = Run(NICE, 0.3)
    ready()
    began = time.monotonic()
    run.news.put(signal.SIGTERM)
    assert run.code() == 7
    assert run.steps() == ["hide", "leave"]
    assert time.monotonic() - began >= 0.3


def test_a_process_that_ends_during_the_drain_is_not_waited_for() -> None:
    run = Run(drain_s=60.0, stop_s=60.0)
    run.news.put(signal.SIGTERM)
    poll_until(run.steps)
    run.child.kill()
    assert run.code() == 128 + signal.SIGKILL
    assert run.steps() == ["hide", "leave"]


def test_a_second_signal_ends_the_drain(ready: Ready) -> None:
    run = Run(NICE, 60.0, 60.0)
    ready()
    run.news.put(signal.SIGTERM)
    run.news.put(signal.SIGTERM)
    assert run.code() == 7


def test_a_process_that_does_not_end_is_killed_and_it_is_said(ready: Ready) -> None:
    run = Run(STUBBORN, 0.0, 0.2)
    ready()
    run.news.put(signal.SIGTERM)
    assert run.code() == 128 + signal.SIGKILL
    assert run.said == ["the command did not end within 0.2 s and is killed"]


def test_a_process_that_dies_by_itself_is_signed_out_with_its_code() -> None:
    run = Run("sys.exit(3)")
    assert run.code() == 3
    assert run.steps() == ["leave"]


def test_a_process_that_dies_by_a_signal_is_told_as_shells_do() -> None:
    assert Run("import os; os.kill(os.getpid(), signal.SIGUSR1)").code() == 128 + signal.SIGUSR1


def test_other_signals_are_passed_on_at_once(ready: Ready) -> None:
    run = Run("signal.signal(signal.SIGHUP, lambda *_: sys.exit(5))", 60.0, 60.0)
    ready()
    run.news.put(signal.SIGHUP)
    assert run.code() == 5
    assert run.steps() == ["leave"]


def test_a_refused_instance_stops_its_process_with_exit_code_1(ready: Ready) -> None:
    run = Run(NICE)
    ready()
    run.news.put(Refused("tags: too many"))
    assert run.code() == 1
    assert "tags: too many" in run.said[0]


@pytest.mark.parametrize(("command", "code"), [("/no/such/command", 127), ("/", 126)])
def test_a_command_that_cannot_be_started_has_the_shells_code(command: str, code: int) -> None:
    with pytest.raises(CannotStartError) as caught:
        Child([command], {}, lambda: None)
    assert caught.value.exit_code == code
    assert command in str(caught.value)


@given(st.lists(st.booleans(), max_size=40))
def test_a_port_is_critical_after_some_failures_in_a_row_and_back_after_one_success(looks: list[bool]) -> None:
    verdict, state, row = Verdict(80), "passing", 0
    for accepts in looks:
        row = 0 if accepts else row + 1
        turn = verdict.saw("" if accepts else "connection refused")
        now = "passing" if accepts else "critical" if row >= FAILURES_MAX_COUNT else state
        assert (turn.status if turn is not None else state) == now
        assert (turn is None) == (now == state)
        state = now


def test_a_probe_tells_that_a_port_is_gone_and_that_it_is_back() -> None:
    port, turns = free_port(), list[Turn]()
    probe = Probe(("127.0.0.1",), port, turns.append, interval_s=0.01)
    try:
        assert poll_until(lambda: turns)[0] == Turn(
            "critical", f"port {port} does not accept connections: connection refused, {FAILURES_MAX_COUNT} times in a row"
        )
        with socket.create_server(("127.0.0.1", port)):
            assert poll_until(lambda: turns[1:])[0] == Turn("passing", "")
    finally:
        probe.close()


def test_one_address_that_accepts_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert problem(("::1", "127.0.0.1"), port) == ""
    assert problem(("127.0.0.1",), port) == "connection refused"


def test_each_kind_of_check_is_of_the_port_of_the_process() -> None:
    plan = Plan(
        service="web", port=8080, instance_id="web-1", address="10.0.0.7", http="/health", tcp=True, udp=True, grpc=True, h2ping=True,
        ttl_ms=15_000, interval_ms=700, drain_ms=0, stop_timeout_ms=0,
    )  # fmt: skip
    place = "10.0.0.7:8080"
    assert [
        (check.http or check.tcp or check.udp or check.grpc or check.h2ping, check.interval_ms, check.status)
        for check in plan.options()["checks"]
    ] == [(f"http://{place}/health", 700, "passing"), *[(place, 700, "passing")] * 4]
    assert Plan(service="web", port=1, instance_id="w", ttl_ms=1, interval_ms=1, drain_ms=0, stop_timeout_ms=0).options()["checks"] == ()

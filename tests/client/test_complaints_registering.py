"""What users of other clients complained about when they registered, theme by theme. Each test names the threads in which they did."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

import callboard
from callboard.client.board_settings import BoardSettings
from callboard.client.events import Event, Registering
from callboard.client.settings import ClientSettings
from callboard.model.check import Status
from callboard.model.errors import InvalidError
from callboard.model.instance import Phase
from callboard.testing.server import Server
from callboard.wire.native import InstanceState
from tests.client.workers import host
from tests.servers import free_port
from tests.support import Stopwatch, poll_until

LEASE_MS: Final = 1_500
QUICK: Final = BoardSettings(lease_ms=LEASE_MS, takeover_ms=50, drain_notice_ms=300, drain_finish_ms=60_000)


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("CALLBOARD_ADVERTISE", "POD_IP"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.running(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def board(server: Server, request: pytest.FixtureRequest) -> Iterator[callboard.Board]:
    server.start()
    with callboard.connect(server.url, namespace=request.node.name, settings=QUICK) as open_board:
        yield open_board


def seen_from_outside(server: Server, namespace: str) -> tuple[InstanceState, ...]:
    """What the registry says to those whom nothing cuts off."""
    with callboard.connect(server.direct_url, namespace=namespace) as onlooker:
        return onlooker.instances("orders").instances


def turns(board: callboard.Board) -> list[Registering]:
    """Filled with what a board's registrations go through."""
    seen: list[Registering] = []

    def told(event: Event) -> None:
        if isinstance(event, Registering):
            seen.append(event)

    board.observe(told)
    return seen


# -- reconnect and re-register


# https://github.com/nacos-group/nacos-sdk-python/issues/294 (a cut link ends it in silence, the client still says RUNNING)
# https://github.com/nacos-group/nacos-sdk-python/pull/323 (registered again only after 30 s)
@pytest.mark.parametrize("refuse", [False, True])
def test_theme_reconnect_and_reregister_a_cut_link_is_told_and_mended_within_a_lease(
    server: Server, board: callboard.Board, refuse: bool
) -> None:
    seen, namespace = turns(board), board.settings.namespace
    with board.register("orders") as registered:
        registered.wait(60)
        server.partition(refuse=refuse)
        poll_until(lambda: registered.state == "lost")
        poll_until(lambda: seen_from_outside(server, namespace)[0].status is Status.CRITICAL)
        with Stopwatch() as watch:
            server.heal()
            poll_until(lambda: seen_from_outside(server, namespace)[0].status is Status.PASSING)
        assert watch.seconds < 2 * LEASE_MS / 1000
        poll_until(lambda: seen[-1].state == "renewed")
    states = [turn.state for turn in seen]
    # after a stop of the machine it is renewed once more
    assert [state for state in states if state != "renewed"] == ["starting", "registered", "lost", "registered", "ended"], states


# https://github.com/nacos-group/nacos-sdk-python/issues/112 (cannot register again after a loss)
# https://github.com/keijack/python-eureka-client/issues/71 (registrations flap)
def test_theme_reconnect_and_reregister_a_registry_that_lost_everything_is_told_by_itself(server: Server, board: callboard.Board) -> None:
    with board.register("orders") as registered:
        registered.wait(60)
        server.restart(lose_state=True)
        with Stopwatch() as watch:
            poll_until(lambda: seen_from_outside(server, board.settings.namespace))
        assert watch.seconds < 3 * LEASE_MS / 1000
        registered.wait(60)
        assert registered.state == "registered"


# https://github.com/nacos-group/nacos-sdk-python/issues/324 (dies 15 s after it registered)
# https://github.com/nacos-group/nacos-sdk-python/issues/275 (how is a lease renewed?)
def test_theme_reconnect_and_reregister_an_instance_outlives_its_lease_by_itself(board: callboard.Board) -> None:
    with board.register("orders") as registered:
        registered.wait(60)
        end = time.monotonic() + 2 * LEASE_MS / 1000
        while time.monotonic() < end:
            assert board.instances("orders").instances[0].status is Status.PASSING
            time.sleep(0.05)


# https://github.com/keijack/python-eureka-client/issues/32 (no reconnect if the registry starts after the application)
# https://github.com/keijack/python-eureka-client/issues/16 (fails at the start when all servers are down)
def test_theme_reconnect_and_reregister_a_registry_that_starts_later_is_waited_for(server: Server, board: callboard.Board) -> None:
    server.stop()
    registered = board.register("orders")
    with pytest.raises(TimeoutError, match="no server answers"):
        registered.wait(0.3)
    assert registered.state == "starting"
    server.start()
    registered.wait(60)
    assert len(board.instances("orders").instances) == 1


# -- process model


# https://github.com/keijack/python-eureka-client/issues/6 , https://github.com/nacos-group/nacos-sdk-python/issues/130 (gunicorn)
# https://github.com/benoitc/gunicorn/issues/3074 (as many registrations as workers, or one whose heartbeats die)
def test_theme_process_model_workers_of_one_port_are_one_instance_that_outlives_each_of_them(
    server: Server, board: callboard.Board, tmp_path: Path
) -> None:
    with host(server.url, board.settings.namespace, tmp_path) as there:
        there.start_all(3)
        (before,) = there.instances()
        for _ in range(2):
            there.owner().kill()
            with Stopwatch() as watch:
                poll_until(lambda: any(worker.state == "registered" and worker.popen.poll() is None for worker in there.workers))
            assert watch.seconds < 2
        (after,) = there.instances()
        assert (after.id, after.created, after.status) == (before.id, before.created, Status.PASSING)
        there.owner().end()
        assert there.instances() == ()


PRELOADED: Final = """
import os, sys, callboard
board = callboard.connect(sys.argv[1], namespace=sys.argv[2])
registered = board.register("orders", id="master")
registered.wait(60)
children = []
for number in range(4):
    child = os.fork()
    if not child:
        assert registered.state == "ended"
        registered.close()
        with board.register("orders", id=f"worker-{number}") as own:
            own.wait(60)
        board.close()
        sys.exit(0)
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
assert registered.state == "registered"
assert [one.id for one in board.instances("orders").instances] == ["master"]
board.close()
assert registered.state == "ended"
"""


# https://github.com/benoitc/gunicorn/issues/3074 (threads do not survive a fork)
def test_theme_process_model_what_a_master_registered_before_it_forked_stays_the_masters(server: Server, board: callboard.Board) -> None:
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PRELOADED, server.url, board.settings.namespace]
    subprocess.run(words, check=True, timeout=60)
    assert board.instances("orders").instances == ()


FORKING_ALL_THE_TIME: Final = """
import os, signal, sys, callboard
from callboard.client.board_settings import BoardSettings
board = callboard.connect(sys.argv[1], namespace=sys.argv[2], settings=BoardSettings(lease_ms=300, takeover_ms=1))
others = [board.register("orders", id="one", port=1, wait_for_port=False) for _ in range(3)]
for _ in range(15):
    child = os.fork()
    if not child:
        signal.alarm(60)
        for one in others:
            one.set_status("warning")
            one.drain()
            one.close()
        with board.register("orders", id="child", port=2, wait_for_port=False) as own:
            own.wait(60)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
board.close()
"""


@pytest.mark.parametrize("attempt", range(4))
def test_theme_process_model_a_fork_at_any_moment_leaves_no_lock_behind(server: Server, board: callboard.Board, attempt: int) -> None:
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING_ALL_THE_TIME, server.url, board.settings.namespace]
    subprocess.run(words, check=True, timeout=60)
    assert board.instances("orders").instances == (), f"attempt {attempt}"


# -- address detection


# https://github.com/keijack/python-eureka-client/issues/68 , https://github.com/keijack/python-eureka-client/issues/87 ,
# https://github.com/keijack/python-eureka-client/issues/85 , https://github.com/keijack/python-eureka-client/issues/55
# (the wrong address or host is advertised from a container)
@pytest.mark.parametrize(
    ("environment", "said", "expected"),
    [
        ({"HOSTNAME": "8f3a9c2b1d"}, "", "127.0.0.1"),
        ({"POD_IP": "10.1.2.3"}, "", "10.1.2.3"),
        ({"POD_IP": "10.1.2.3", "CALLBOARD_ADVERTISE": "203.0.113.5"}, "", "203.0.113.5"),
        ({"POD_IP": "10.1.2.3", "CALLBOARD_ADVERTISE": "203.0.113.5"}, "orders.internal", "orders.internal"),
        ({"POD_IP": "fd00::7"}, "", "fd00::7"),
    ],
)
def test_theme_address_detection_what_is_said_counts_and_is_told_at_the_start(
    server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    environment: dict[str, str], said: str, expected: str,
) -> None:  # fmt: skip
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    caplog.set_level("INFO", "callboard.client")
    with callboard.connect(server.url, namespace=request.node.name) as board:
        with board.register("orders", port=8000, address=said, wait_for_port=False) as registered:
            registered.wait(60)
            (instance,) = board.instances("orders").instances
        assert (instance.address, registered.address) == (expected, expected)
        assert instance.id == f"orders-{expected.replace(':', '-')}-8000"
        assert f"is signed in as {expected}, port 8000" in caplog.text


def test_theme_address_detection_loopback_is_refused_when_the_registry_is_on_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(QUICK, client=ClientSettings(urls=("http://registry.test:8500",)))
    with callboard.connect(settings=settings) as board:
        with pytest.raises(InvalidError, match="set CALLBOARD_ADVERTISE or POD_IP"):
            board.register("orders", port=8000, address="127.0.0.1")
        monkeypatch.setenv("POD_IP", "127.0.0.1")
        registered = board.register("orders", port=8000, wait_for_port=False)
        with pytest.raises(InvalidError, match="POD_IP"):
            registered.wait(60)
        assert registered.state == "refused"


# -- drain


# https://github.com/keijack/python-eureka-client/issues/64 (a container that is ended stays registered)
# https://github.com/spring-cloud/spring-cloud-netflix/issues/3274 (a stopped instance is still called for minutes)
def test_theme_drain_sigterm_hides_within_a_second_and_signs_out_before_the_process_ends(
    server: Server, board: callboard.Board, tmp_path: Path
) -> None:
    with host(server.url, board.settings.namespace, tmp_path, {"drain_notice_ms": 700}) as there:
        (worker,) = there.start_all(1, "--sigterm")
        worker.value("ready")
        with there.client.watch("orders", namespace=there.space) as watch:
            changes = iter(watch)
            assert [next(changes).kind, next(changes).kind] == ["added", "ready"]
            told = time.monotonic()
            worker.send(signal.SIGTERM)
            with Stopwatch() as hiding:
                hidden = next(change for change in changes if change.instance is not None)
            assert hidden.instance is not None
            assert (hidden.kind, hidden.instance.phase, hiding.seconds < 1) == ("changed", Phase.DRAINING, True)
            assert next(change.kind for change in changes if change.instance is not None) == "removed"
            assert time.monotonic() - told >= 0.7, "it goes on serving meanwhile"
        assert worker.wait() == -signal.SIGTERM


def test_theme_drain_lasts_less_than_thirty_seconds_by_default() -> None:
    settings = BoardSettings()
    assert settings.drain_notice_ms + settings.drain_finish_ms + 2_000 < 30_000


# -- hidden failure


# https://github.com/keijack/python-eureka-client/issues/42 (failed heartbeats cannot be caught, and fill the log)
# https://github.com/nacos-group/nacos-sdk-python/issues/294 (the client says that all is well)
def test_theme_hidden_failure_a_streak_of_failures_is_one_line_and_one_event(
    server: Server, board: callboard.Board, caplog: pytest.LogCaptureFixture
) -> None:
    seen = turns(board)
    with board.register("orders", lease_ms=600) as registered:
        registered.wait(60)
        server.partition(refuse=True)
        poll_until(lambda: registered.state == "lost")
        time.sleep(2)
        server.heal()
        registered.wait(60)
        poll_until(lambda: [record.getMessage() for record in caplog.records if "heard again" in record.getMessage()])
    said = [record.getMessage() for record in caplog.records if record.name == "callboard.client"]
    lines = [line for line in said if "has signed in again" not in line]  # as after a stop of the machine
    assert [("not heard" in line, "heard again" in line) for line in lines] == [(True, False), (False, True)], lines
    assert [turn.state for turn in seen].count("lost") == 1
    assert "no server answers" in next(turn.reason for turn in seen if turn.state == "lost")


# https://github.com/python-consul/python-consul/issues/45 (without a time limit calls hang for minutes when packets are dropped)
def test_theme_hidden_failure_a_registry_that_says_nothing_hangs_nothing(server: Server, board: callboard.Board) -> None:
    settings = replace(board.settings, client=replace(board.settings.client, timeout_ms=500))
    with callboard.connect(settings=settings) as quick:
        registered = quick.register("orders")
        registered.wait(60)
        server.partition()
        with Stopwatch() as watch:
            poll_until(lambda: registered.state == "lost")
            registered.set_status("warning")
            assert registered.error is not None
            registered.close()
        server.heal()
        assert watch.seconds < 6


# https://github.com/nacos-group/nacos-sdk-python/issues/96 (an error that names the wrong thing)
def test_theme_hidden_failure_an_instance_that_is_not_ready_says_what_is_missing(board: callboard.Board) -> None:
    port = free_port()
    with board.register("orders", port=port, ready="/ready") as registered:
        with pytest.raises(TimeoutError, match=f"port {port} does not accept"):
            registered.wait(0.1)
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.settimeout(0.05)
            poll_until(lambda: "/ready does not answer" in str(registered.error))

"""`Board.register`: from the first word to the last, against a real server that comes, goes, freezes and forgets."""

import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

import callboard
from callboard.client import Client, ClientError
from callboard.client.board_settings import BoardSettings
from callboard.client.engine import ClosedError
from callboard.client.errors import InvalidRequestError
from callboard.client.events import Event, Registering
from callboard.client.registered import Registered
from callboard.model.check import Status
from callboard.model.errors import InvalidError
from callboard.model.instance import Phase
from callboard.wire.native import CheckRequest, InstanceState, Reported
from tests.servers import ServerProcess, free_port, running_server
from tests.support import Stopwatch, poll_until

QUICK: Final = BoardSettings(lease_ms=1_500, takeover_ms=50, drain_notice_ms=100, drain_finish_ms=60_000, port_wait_ms=200)


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def board(server: ServerProcess, space: str) -> Iterator[callboard.Board]:
    with callboard.connect(server.url, namespace=space, settings=QUICK) as open_board:
        yield open_board


def states(board: callboard.Board) -> list[str]:
    """Filled with what a board's registrations go through."""
    seen: list[str] = []

    def told(event: Event) -> None:
        if isinstance(event, Registering):
            seen.append(event.state)

    board.observe(told)
    return seen


def one(board: callboard.Board) -> InstanceState:
    (instance,) = board.instances("orders").instances
    return instance


def lease_of(instance: InstanceState) -> tuple[Status, str]:
    """What its lease says of it."""
    return next((check.status, check.output) for check in instance.checks if check.kind == "ttl")


def sign_out_by_others(board: callboard.Board, registered: Registered) -> None:
    with Client(board.settings.client) as other:
        other.deregister(registered.id, node=registered.node, namespace=board.settings.namespace)


@contextmanager
def accepting(host: str = "127.0.0.1") -> Iterator[int]:
    with socket.create_server((host, 0)) as listener:
        yield listener.getsockname()[1]


def test_what_was_said_is_what_others_see(board: callboard.Board) -> None:
    with accepting() as port:
        registered = board.register(
            "orders", port=port, version="2.3.1", zone="z1", tags=("a", "b"), meta={"team": "core"}, weight=3,
            checks=(CheckRequest(id="alive", tcp=f"127.0.0.1:{port}", interval_ms=60_000),),
        )  # fmt: skip
        registered.wait(60)
        instance = one(board)
    assert (registered.id, registered.node, registered.address, registered.port) == (
        f"orders-127.0.0.1-{port}", "callboard", "127.0.0.1", port,
    )  # fmt: skip
    assert (instance.id, instance.address, instance.port, instance.tags) == (registered.id, "127.0.0.1", port, ("a", "b"))
    assert instance.meta == {"version": "2.3.1", "zone": "z1", "team": "core"}
    assert (instance.weights.passing, instance.phase) == (3, Phase.SERVING)
    assert {"alive", f"lease:{registered.id}"} <= {check.id for check in instance.checks}
    assert (registered.service, registered.state, registered.error) == ("orders", "registered", None)


def test_the_lease_is_kept_without_a_change_of_the_registry(board: callboard.Board) -> None:
    with board.register("orders") as registered:
        registered.wait(60)
        revision = one(board).modified
        end = time.monotonic() + 1.5 * QUICK.lease_ms / 1000
        while time.monotonic() < end:
            assert (one(board).status, one(board).modified) == (Status.PASSING, revision)
            time.sleep(0.02)
    assert board.instances("orders").instances == ()


def test_closing_the_board_signs_everything_out(server: ServerProcess, space: str) -> None:
    with callboard.connect(server.url, namespace=space, settings=QUICK) as board:
        first, second = board.register("orders", id="one"), board.register("orders", id="two")
        first.wait(60)
        second.wait(60)
    assert (first.state, second.state) == ("ended", "ended")
    with callboard.connect(server.url, namespace=space) as other:
        assert other.instances("orders").instances == ()
    with pytest.raises(ClosedError, match="closed"):
        board.register("orders")


def test_it_signs_in_when_the_port_accepts_and_not_before(board: callboard.Board, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with board.register("orders", port=port) as registered:
        poll_until(lambda: "still not signed in" in caplog.text)
        assert [record.levelno for record in caplog.records] == [logging.ERROR], "once, and loudly"
        assert (registered.state, board.instances("orders").instances) == ("starting", ())
        with pytest.raises(TimeoutError, match=f"port {port} does not accept"):
            registered.wait(0.05)
        with socket.create_server(("127.0.0.1", port)):
            registered.wait(60)
            assert one(board).status is Status.PASSING
            assert registered.error is None


def test_a_port_that_only_loopback_reaches_is_told_to_the_log(board: callboard.Board, caplog: pytest.LogCaptureFixture) -> None:
    with accepting() as port, board.register("orders", port=port, address="127.0.0.77") as registered:
        registered.wait(60)
        assert "accepts on loopback, but not at 127.0.0.77" in caplog.text


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"port": 70_000}, "port"),
        ({"weight": -1}, "weight"),
        ({"lease_ms": -1}, "lease_ms"),
        ({"ready": "/ready"}, "ready"),
        ({"address": "0.0.0.0"}, "address"),
        ({"meta": {"two words": "x"}}, "meta"),
        ({"tags": ("x" * 600,)}, "tags"),
        ({"id": "x" * 300}, "id"),
        ({"port": "8000"}, "port"),
        ({"weight": "3"}, "weight"),
        ({"version": 2}, "version"),
        ({"lease_ms": 249}, "lease_ms"),
    ],
)
def test_what_can_be_refused_at_once_is(board: callboard.Board, options: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidError) as refused:
        board.register("orders", **options)  # type: ignore[arg-type]  # that is what is tested
    assert refused.value.field == field
    with pytest.raises(InvalidError, match="service"):
        board.register("")


@pytest.mark.parametrize(("version", "said"), [("2.3.1", []), ("v2.3.1-rc.1", []), ("banana", ["none that a range can match"])])
def test_a_version_that_no_range_can_match_is_said(
    board: callboard.Board, caplog: pytest.LogCaptureFixture, version: str, said: list[str]
) -> None:
    with board.register("orders", version=version):
        warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == len(said)
    assert all(part in line for part, line in zip(said, warned, strict=True))


def test_what_the_registry_refuses_is_loud_and_kept_and_raised(board: callboard.Board, caplog: pytest.LogCaptureFixture) -> None:
    with board.register("orders", checks=(CheckRequest(http="nonsense", interval_ms=1_000),)) as registered:
        with pytest.raises(InvalidRequestError, match=r"checks\[0\].http"):
            registered.wait(60)
        assert (registered.state, type(registered.error)) == ("refused", InvalidRequestError)
        time.sleep(0.3)
        assert [record.levelno for record in caplog.records] == [logging.ERROR], "said once, tried again rarely"


def test_a_status_travels_at_once_and_is_taken_back(board: callboard.Board) -> None:
    with board.register("orders", lease_ms=3_600_000) as registered:  # longer than anybody waits for the next beat
        registered.wait(60)
        said: tuple[tuple[Reported, str], ...] = (("warning", "cache cold"), ("critical", "no database"), ("passing", ""))
        told: list[tuple[Status, str]] = []
        for status, output in said:
            registered.set_status(status, output)
            told.append((Status(status), output))
            poll_until(lambda: lease_of(one(board)) == told[-1])
        with pytest.raises(InvalidError, match="one of passing, warning, critical"):
            registered.set_status("fine")  # type: ignore[arg-type]  # that is what is tested


def test_a_status_is_kept_over_a_new_sign_in(board: callboard.Board) -> None:
    seen = states(board)
    with board.register("orders") as registered:
        registered.wait(60)
        registered.set_status("warning", "cache cold")
        poll_until(lambda: one(board).status is Status.WARNING)
        sign_out_by_others(board, registered)
        poll_until(lambda: "renewed" in seen)
        assert one(board).status is Status.WARNING


def test_a_drain_hides_at_once_lets_work_end_and_signs_out(board: callboard.Board) -> None:
    with board.register("orders") as registered:
        registered.wait(60)
        with Stopwatch() as watch:
            with registered.working():
                assert registered.drain(wait=False) is False
                poll_until(lambda: one(board).phase is Phase.DRAINING)
                assert registered.state == "draining"
                time.sleep(0.5)
                assert registered.in_flight == 1
                assert one(board).phase is Phase.DRAINING, "work is under way"
            assert registered.drain()
        assert watch.seconds < 2
        assert board.instances("orders").instances == ()


def test_a_drain_waits_for_work_only_so_long(server: ServerProcess, space: str) -> None:
    settings = replace(QUICK, drain_finish_ms=300)
    with callboard.connect(server.url, namespace=space, settings=settings) as board, board.register("orders") as registered:
        registered.wait(60)
        with registered.working():
            assert registered.drain() is False
        assert board.instances("orders").instances == ()


def test_closing_without_a_drain_signs_out_at_once_whatever_is_under_way(board: callboard.Board) -> None:
    registered = board.register("orders")
    registered.wait(60)
    with registered.working():
        registered.drain(wait=False)
        registered.close()
        assert board.instances("orders").instances == ()


def test_nobody_waits_for_what_was_signed_out(board: callboard.Board) -> None:
    registered = board.register("orders")
    registered.wait(60)
    registered.close()
    with pytest.raises(ClientError, match="was signed out"):
        registered.wait(60)


def test_a_drain_before_the_sign_in_is_the_end(board: callboard.Board) -> None:
    registered = board.register("orders", port=free_port())
    assert registered.drain()
    assert registered.state == "ended"
    assert board.instances("orders").instances == ()


def test_draining_is_kept_when_the_registry_forgets(board: callboard.Board) -> None:
    registered = board.register("orders")
    registered.wait(60)
    with registered.working():
        registered.drain(wait=False)
        poll_until(lambda: one(board).phase is Phase.DRAINING)
        sign_out_by_others(board, registered)
        poll_until(lambda: board.instances("orders").instances)
        assert one(board).phase is Phase.DRAINING
        registered.close()


def test_a_fresh_start_is_shown_also_when_the_last_process_was_hidden(board: callboard.Board) -> None:
    first = board.register("orders", id="one", shared=False)
    first.wait(60)
    with Client(board.settings.client) as other:  # as if its process had been killed while it drained
        other.drain(first.id, node=first.node, namespace=board.settings.namespace)
    second = board.register("orders", id="one", shared=False)
    second.wait(60)
    assert one(board).phase is Phase.SERVING


def test_a_registry_that_forgot_everything_is_told_again_within_a_beat(space: str, tmp_path: Path) -> None:
    port = free_port()
    address = ("--dev", "--http", f"127.0.0.1:{port}")
    with callboard.connect(f"http://127.0.0.1:{port}", namespace=space, settings=QUICK) as board:
        with running_server(*address):
            registered = board.register("orders")
            registered.wait(60)
        poll_until(lambda: registered.state == "lost")
        with running_server(*address):
            registered.wait(60)
            assert one(board).status is Status.PASSING
            registered.close()


def test_a_frozen_registry_is_survived_and_does_not_hold_up_the_end(space: str) -> None:
    settings = replace(QUICK, client=replace(QUICK.client, timeout_ms=1_000))
    with running_server("--dev") as server, callboard.connect(server.url, namespace=space, settings=settings) as board:
        registered = board.register("orders")
        registered.wait(60)
        server.popen.send_signal(signal.SIGSTOP)
        poll_until(lambda: registered.state == "lost")
        server.popen.send_signal(signal.SIGCONT)
        registered.wait(60)
        poll_until(lambda: one(board).status is Status.PASSING)
        server.popen.send_signal(signal.SIGSTOP)
        with Stopwatch() as watch:
            registered.close()
        server.popen.send_signal(signal.SIGCONT)
        assert watch.seconds < 6


UNCLOSED: Final = """
import sys, callboard
board = callboard.connect(sys.argv[1], namespace=sys.argv[2])
board.register("orders").wait(60)
"""


def test_a_process_that_ends_without_closing_is_signed_out_all_the_same(board: callboard.Board, server: ServerProcess, space: str) -> None:
    subprocess.run([sys.executable, "-c", UNCLOSED, server.url, space], check=True, timeout=90)
    assert board.instances("orders").instances == ()


def test_a_killed_process_is_noticed_by_its_lease_and_its_instance_goes_by_itself(
    board: callboard.Board, server: ServerProcess, space: str
) -> None:
    script = UNCLOSED.replace(", namespace", ", settings=callboard.client.board_settings.BoardSettings(lease_ms=600), namespace")
    script = script.replace("import sys, callboard", "import sys, callboard, callboard.client.board_settings") + "sys.stdin.read()\n"
    with subprocess.Popen([sys.executable, "-c", script, server.url, space], stdin=subprocess.PIPE) as process:
        poll_until(lambda: board.instances("orders").instances)
        process.kill()
    poll_until(lambda: one(board).status is Status.CRITICAL)


FORKED: Final = """
import os, sys, callboard
with callboard.connect(sys.argv[1], namespace=sys.argv[2]) as board:
    with board.register("orders", id="parent") as registered:
        registered.wait(60)
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert [one.id for one in board.instances("orders").instances] == ["parent"]
        else:
            assert registered.state == "ended"
            registered.set_status("critical")
            assert registered.drain() is False
            try:
                registered.wait(1)
            except callboard.client.ClientError as error:
                assert "forked" in str(error)
            else:
                sys.exit("it waited for what is its parent's")
            with board.register("orders", id="child") as own:
                own.wait(60)
                assert {one.id for one in board.instances("orders").instances} == {"parent", "child"}
"""


def test_a_forked_child_leaves_its_parents_alone_and_may_have_its_own(server: ServerProcess, space: str, board: callboard.Board) -> None:
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, server.url, space], check=True, timeout=90)
    assert board.instances("orders").instances == ()

"""Registering while everything around misbehaves: answers that are lost, registries that talk nonsense, ends at every moment."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

import callboard
from callboard.client.board_settings import BoardSettings
from callboard.client.registered import Registered
from callboard.client.settings import ClientSettings
from callboard.model.errors import InvalidError
from tests.client.broken import HANG, answer, broken_server, problem
from tests.client.relay import Relay, relay
from tests.servers import ServerProcess, free_port
from tests.support import Stopwatch, poll_until

QUICK: Final = BoardSettings(lease_ms=900, takeover_ms=20, drain_notice_ms=100, drain_finish_ms=60_000, snapshots="off")


@pytest.fixture(autouse=True)
def _own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("CALLBOARD_ADVERTISE", "POD_IP"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def spoiled(server: ServerProcess) -> Iterator[Relay]:
    with relay(server.url) as between:
        yield between


@pytest.fixture
def board(spoiled: Relay, space: str) -> Iterator[callboard.Board]:
    with callboard.connect(spoiled.url, namespace=space, settings=QUICK) as there:
        yield there


def ids(server: ServerProcess, namespace: str) -> list[str]:
    """What the registry itself knows."""
    with callboard.connect(server.url, namespace=namespace) as other:
        return [one.id for one in other.instances("orders").instances]


# -- an answer that is lost


@pytest.mark.parametrize("port", [0, 8000])
@pytest.mark.parametrize("leave", ["close", "drain", "board"])
def test_an_instance_whose_sign_in_was_never_answered_is_signed_out_all_the_same(
    server: ServerProcess, spoiled: Relay, board: callboard.Board, leave: str, port: int
) -> None:
    spoiled.loses = lambda what: what.startswith("PUT")
    registered = board.register("orders", id="one", port=port, wait_for_port=False, lease_ms=60_000)
    poll_until(lambda: registered.error is not None)
    assert ids(server, board.settings.namespace) == ["one"]
    spoiled.loses = lambda _: False
    ways: dict[str, Callable[[], object]] = {"close": registered.close, "drain": registered.drain, "board": board.close}
    ways[leave]()
    assert registered.state == "ended"
    assert ids(server, board.settings.namespace) == []


def test_nothing_is_said_to_a_registry_that_was_never_reached(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = replace(QUICK, client=ClientSettings(urls=("http://127.0.0.1:1",)))
    board = callboard.connect(settings=settings)
    registered = board.register("orders", address="127.0.0.1")
    poll_until(lambda: registered.error is not None)
    with Stopwatch() as watch:
        board.close()
    assert watch.seconds < 0.5
    assert "could not be signed out" not in caplog.text


# -- a registry that talks nonsense


@pytest.mark.parametrize(
    ("instead", "state", "says"),
    [
        (problem("503 Unavailable", "not_ready", "Retry-After: 86400"), "starting", "it is so"),
        (problem("429 Too Many Requests", "limit", "Retry-After: 99999999999999999999"), "starting", "it is so"),
        (problem("500 Broken", "bug"), "starting", "it is so"),
        (problem("400 Bad Request", "invalid"), "refused", "it is so"),
        (problem("403 Forbidden", "denied"), "refused", "it is so"),
        (answer("200 OK", b"<html>"), "starting", "does not answer as a Callboard server does"),
        (answer("200 OK", b'{"x":' + b"[" * 200_000), "starting", "does not answer as a Callboard server does"),
        (answer("302 Found", b"", "Location: http://127.0.0.1:1/"), "starting", "status 302"),
        (answer("204 No Content"), "starting", "does not answer as a Callboard server does"),
        (b"\x00\xff" * 100, "starting", "no server answers"),
        (answer("200 OK", b"{}", length=10), "starting", "no server answers"),
    ],
)
def test_whatever_a_registry_answers_it_is_shown_asked_again_and_the_end_comes_in_time(
    spoiled: Relay, board: callboard.Board, instead: bytes, state: str, says: str
) -> None:
    spoiled.refuses = lambda what: instead if what.startswith("PUT") else None
    registered = board.register("orders")
    poll_until(lambda: registered.error is not None)
    assert (registered.state, says in str(registered.error)) == (state, True), registered.error
    if state == "starting":
        spoiled.refuses = lambda _: None
        registered.wait(60)
    with Stopwatch() as watch:
        registered.close()
        registered.close()
    assert (registered.state, watch.seconds < 2) == ("ended", True)


# -- storms and races


def test_a_storm_of_turns_ends_with_the_last_one_and_in_few_words(server: ServerProcess, spoiled: Relay, board: callboard.Board) -> None:
    registered = board.register("orders", id="one", lease_ms=60_000)
    registered.wait(60)
    before = len(spoiled.passed)

    def storm(number: int) -> None:
        for turn in range(5_000):
            registered.set_status("warning" if turn % 2 else "passing", f"{number}-{turn}")

    threads = [threading.Thread(target=storm, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    registered.set_status("critical", "last")
    poll_until(lambda: "last" in {check.output for check in board.instances("orders").instances[0].checks})
    assert len(spoiled.passed) - before < 200
    registered.close()
    assert ids(server, board.settings.namespace) == []


@pytest.mark.parametrize("state", ["gate", "seat", "registering", "registered", "lost", "refused", "draining"])
def test_it_may_be_closed_by_many_at_once_in_every_state(
    server: ServerProcess, spoiled: Relay, board: callboard.Board, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    registered = entered(spoiled, board, state)
    ways: list[Callable[[], object]] = [registered.close, lambda: registered.drain(wait=False), registered.close, board.close]
    threads = [threading.Thread(target=way) for way in ways]
    with Stopwatch() as watch:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert (registered.state, registered.drain(), watch.seconds < 3) == ("ended", registered.keeper.finished, True)
    spoiled.refuses = lambda _: None
    if state != "lost":  # there the goodbye was refused too, and its lease will tell
        assert ids(server, board.settings.namespace) == []
        assert [record.getMessage() for record in caplog.records if "could not be signed out" in record.getMessage()] == []


def entered(spoiled: Relay, board: callboard.Board, state: str) -> Registered:
    """A registration that is in this state."""
    broken = {"registering": problem("503 Unavailable", "not_ready"), "refused": problem("403 Forbidden", "denied")}
    if state == "gate":
        registered = board.register("orders", id="one", port=free_port())
        poll_until(lambda: registered.error is not None)
        return registered
    if state == "seat":
        board.register("orders", id="one", port=8000, wait_for_port=False).wait(60)
    if state in broken:
        spoiled.refuses = lambda what: broken[state] if what.startswith("PUT") else None
    registered = board.register("orders", id="one", port=8000, wait_for_port=False)
    if state not in broken:
        registered.wait(60)
    if state == "lost":
        spoiled.refuses = lambda _: problem("503 Unavailable", "not_ready")
        poll_until(lambda: registered.state == "lost")
    elif state == "draining":
        work = registered.working()
        work.__enter__()
        registered.drain(wait=False)
        poll_until(lambda: registered.state == "draining")
    else:
        poll_until(lambda: registered.error is not None or registered.state != "starting")
    return registered


def test_a_registry_that_hangs_holds_up_no_end_for_longer_than_some_seconds() -> None:
    with broken_server(HANG) as script, callboard.connect(settings=replace(QUICK, client=ClientSettings(urls=(script.url,)))) as board:
        registered = board.register("orders", address="127.0.0.1")
        poll_until(lambda: script.requests)
        with Stopwatch() as watch:
            registered.close()
        assert watch.seconds < 5


def test_two_registrations_of_one_process_share_an_instance_with_a_port_and_the_second_goes_on(
    server: ServerProcess, board: callboard.Board
) -> None:
    first, second = (board.register("orders", port=8000, wait_for_port=False) for _ in range(2))
    for one in (first, second):
        one.wait(60)
    assert sorted([first.state, second.state]) == ["registered", "waiting"]
    owner, other = (first, second) if first.state == "registered" else (second, first)
    owner.close()
    poll_until(lambda: other.state == "registered")
    assert ids(server, board.settings.namespace) == ["orders-127.0.0.1-8000"]


def test_locks_whose_folder_is_removed_cost_nothing(server: ServerProcess, board: callboard.Board, tmp_path: Path) -> None:
    first = board.register("orders", id="one", port=8000, wait_for_port=False)
    first.wait(60)
    for file in (tmp_path / "callboard").iterdir():
        file.unlink()
    (tmp_path / "callboard").rmdir()
    second = board.register("orders", id="one", port=8000, wait_for_port=False)
    second.wait(60)
    first.close()
    poll_until(lambda: ids(server, board.settings.namespace) == ["one"])
    second.close()
    assert ids(server, board.settings.namespace) == []


# -- names


@pytest.mark.parametrize("address", ["fd00::7", "[fd00::7]", "fe80::1%eth0", "orders.internal", "b\u00fccher.example"])
def test_an_address_of_any_kind_becomes_an_id_and_a_place_to_call(board: callboard.Board, address: str) -> None:
    with board.register("orders", address=address, port=8000, wait_for_port=False) as registered:
        registered.wait(60)
        (instance,) = board.instances("orders").instances
    assert instance.address == address.strip("[]")
    assert ":" not in instance.id


@pytest.mark.parametrize("host", ["a b", "h\u00f6st", "x" * 64, "a/b", ""])
def test_whatever_the_host_is_called_it_signs_in(board: callboard.Board, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    with board.register("orders") as registered:
        registered.wait(60)
        assert [one.id for one in board.instances("orders").instances] == [registered.id]


def test_a_name_that_leaves_no_room_for_an_id_is_refused_where_it_is_said(board: callboard.Board) -> None:
    with pytest.raises(InvalidError, match="id: must have at most 255"):
        board.register("x" * 250)
    with board.register("x" * 250, id="one") as registered:
        registered.wait(60)


# -- signals

PROGRAM = """
import callboard, signal, sys, time
from callboard.client.board_settings import BoardSettings
settings = BoardSettings(lease_ms=60_000, drain_notice_ms=400, snapshots="off")
if "own" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True) or sys.exit(3))
board = callboard.connect(sys.argv[1], namespace=sys.argv[2], settings=settings)
port = int(sys.argv[3])
while True:
    with board.register("orders", port=port, wait_for_port=port == 1) as registered:
        registered.on_sigterm()
        if port != 1:
            registered.wait(60)
        print("ready", flush=True)
        if "jobs" in sys.argv:
            while registered.state in {"registered", "starting"}:
                time.sleep(0.01)
        else:
            for _ in range(9_000):  # a handler runs when the main thread does: one that comes as a long sleep begins would wait for its end
                time.sleep(0.01)
"""


@pytest.mark.parametrize("port", [0, 1, 8000])
@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        ([], signal.SIGINT, -signal.SIGINT),
        ([], signal.SIGTERM, -signal.SIGTERM),
        (["own"], signal.SIGTERM, 3),
        (["jobs"], signal.SIGTERM, -signal.SIGTERM),
        (["jobs", "own"], signal.SIGTERM, 3),
    ],
)
def test_a_program_that_is_told_to_end_ends_and_leaves_nothing_behind(
    server: ServerProcess, space: str, words: list[str], number: int, code: int, port: int
) -> None:
    command = [sys.executable, "-X", "dev", "-c", PROGRAM, server.url, space, str(port), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(number)
        _, stderr = running.communicate(timeout=90)
    assert (running.returncode, ids(server, space)) == (code, [])
    assert "KeyboardInterrupt" in stderr if number == signal.SIGINT else stderr == ""

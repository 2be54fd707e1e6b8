import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.client.looking import PROBE_MS, Gate, LoopWatch, check_ready
from callboard.model.errors import InvalidError
from callboard.model.time import MILLISECOND
from tests.servers import free_port

BLOCKED_AFTER_MS: Final = 5_000


@contextlib.contextmanager
def http_server(status: Callable[[str], int]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status(self.path))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(60)


def test_a_port_that_does_not_accept_is_named() -> None:
    port = free_port()
    assert Gate("127.0.0.1", port).closed() == f"port {port} does not accept at 127.0.0.1: connection refused"


def test_a_port_that_accepts_passes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        gate = Gate("127.0.0.1", server.getsockname()[1])
        assert gate.closed() == ""
        assert not gate.loopback_only


def test_a_port_on_loopback_passes_too_and_that_is_noticed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        gate = Gate("127.0.0.77", server.getsockname()[1])
        assert gate.closed() == ""
        assert gate.loopback_only


def test_a_port_on_ipv6_loopback_passes() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert Gate("127.0.0.1", server.getsockname()[1]).closed() == ""


def test_ready_is_asked_where_the_port_accepts_until_it_is_2xx() -> None:
    answers = iter([503, 404, 204])
    with http_server(lambda _: next(answers)) as port:
        gate = Gate("127.0.0.1", port, "/ready?full=1")
        assert [gate.closed(), gate.closed(), gate.closed()] == ["/ready?full=1 answers 503", "/ready?full=1 answers 404", ""]


def test_ready_may_be_a_url_elsewhere() -> None:
    with http_server(lambda path: 200 if path == "/health" else 500) as port:
        assert Gate("127.0.0.1", 0, f"http://127.0.0.1:{port}/health").closed() == ""
        assert Gate("127.0.0.1", 0, f"http://127.0.0.1:{port}").closed() == f"http://127.0.0.1:{port} answers 500"


def test_a_server_that_takes_connections_and_says_nothing_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callboard.client.looking.READY_MAX_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "/ready does not answer" in Gate("127.0.0.1", server.getsockname()[1], "/ready").closed()


@pytest.mark.parametrize("ready", ["ready", "https://127.0.0.1/", "http://", "http://h:99999/", "ftp://h/"])
def test_what_cannot_be_asked_is_refused(ready: str) -> None:
    with pytest.raises(InvalidError, match="ready"):
        check_ready(ready, 8000)


def test_a_path_needs_a_port() -> None:
    with pytest.raises(InvalidError, match="port="):
        check_ready("/ready", 0)


class Loop:
    """A loop that turns when the test wants it to."""

    def __init__(self) -> None:
        self.asked: list[Callable[[], None]] = []
        self.woken = 0
        self.closed = False
        self.watch = LoopWatch(0, self.asked.append, lambda: self.closed, BLOCKED_AFTER_MS, self.wake)

    def wake(self) -> None:
        self.woken += 1

    def turn(self) -> None:
        for call in self.asked:
            call()
        self.asked.clear()


@given(st.lists(st.tuples(st.integers(0, 3_000), st.booleans()), max_size=60))
def test_a_loop_is_blocked_exactly_when_a_question_is_open_for_too_long(steps: list[tuple[int, bool]]) -> None:
    loop, now, asked = Loop(), 0, None
    for later_ms, turns in steps:
        if turns:
            loop.turn()
            asked = None
        now += later_ms * MILLISECOND
        due = loop.watch.deadline()
        assert due is not None
        loop.watch.look(now)
        if asked is None and loop.asked:
            asked = now
        if now >= due and asked is not None:
            assert loop.watch.blocked == (now - asked >= BLOCKED_AFTER_MS * MILLISECOND)
        assert len(loop.asked) <= 1, "one question at a time, however long it is open"


def test_a_blocked_loop_is_noticed_at_its_time_and_a_turning_one_at_once() -> None:
    loop, now = Loop(), 0
    while not loop.watch.blocked:
        deadline = loop.watch.deadline()
        assert deadline is not None
        now = deadline
        loop.watch.look(now)
    assert now == BLOCKED_AFTER_MS * MILLISECOND
    loop.turn()
    assert loop.woken == 1
    loop.watch.look(now)
    assert not loop.watch.blocked


def test_a_turning_loop_is_asked_every_second() -> None:
    loop, asked = Loop(), 0
    for now_ms in range(0, 10_000, 10):
        loop.watch.look(now_ms * MILLISECOND)
        asked += len(loop.asked)
        loop.turn()
    assert asked == 10_000 // PROBE_MS
    assert not loop.woken


def test_a_closed_loop_is_left_alone() -> None:
    def post(_: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    watch = LoopWatch(0, post, lambda: False, BLOCKED_AFTER_MS, lambda: None)
    watch.look(0)
    assert watch.deadline() is None
    assert not watch.blocked


def test_a_loop_that_was_closed_while_it_was_blocked_is_not_blocked_for_ever() -> None:
    loop = Loop()
    while not loop.watch.blocked:
        loop.watch.look(loop.watch.deadline() or 0)
    loop.closed = True
    loop.watch.look(loop.watch.deadline() or 0)
    assert (loop.watch.blocked, loop.watch.deadline()) == (False, None)

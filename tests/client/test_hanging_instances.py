"""Instances that are there and do not answer: what their callers notice, and what the registry does."""

import http.server
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from callboard.client import ClientSettings
from callboard.client.board_settings import BoardSettings
from callboard.client.service import Service
from callboard.testing.server import Server
from tests.client.broken import HANG, broken_server
from tests.support import poll_until

ROOT = Path(__file__).resolve().parents[2]
CALL_TIMEOUT_S = 60.0
HUNG_S = 0.2
"""So long the caller waits for an instance of which the test knows that it hangs."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server.running(tmp_path) as server:
        yield server


@pytest.fixture
def well() -> Iterator[int]:
    """The port of an instance that answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving.server_port
        serving.shutdown()
        thread.join()


def call(service: Service, hanging: int) -> tuple[int, list[float]]:
    """One call: the port that answered, and how long each attempt was allowed to take."""
    allowed: list[float] = []
    for attempt in service.attempts(timeout_s=CALL_TIMEOUT_S):
        allowed.append(attempt.timeout_s)
        try:
            with urllib.request.urlopen(attempt.url, timeout=HUNG_S if attempt.port == hanging else attempt.timeout_s) as answer:
                attempt.answered(answer.status)
                return attempt.port, allowed
        except OSError as error:
            attempt.failed(error)
    raise AssertionError("the last attempt answers or raises")


def test_an_instance_that_hangs_costs_one_attempt_and_after_a_few_of_these_nothing(server: Server, well: int) -> None:
    board = server.connect(settings=BoardSettings(retry_floor_per_s=100))
    with broken_server(HANG) as hanging:
        for port in (well, hanging.port):
            board.register("users", port=port, address="127.0.0.1", wait_for_port=False).wait(60)
        users = board.service("users", policy="smooth_wrr")
        poll_until(lambda: len(users.endpoints) == 2)
        slow = 0
        while len(users.endpoints) == 2:
            port, allowed = call(users, hanging.port)
            assert port == well
            assert CALL_TIMEOUT_S * 0.4 < allowed[0] <= CALL_TIMEOUT_S / 2, "half of the time for each of two attempts"
            assert sum(allowed[1:]) <= CALL_TIMEOUT_S - HUNG_S * (len(allowed) - 1), "what the first one took is gone"
            slow += len(allowed) == 2
        assert slow == 5, "put out after five failures in a row"
        port, allowed = call(users, hanging.port)
        assert (port, len(allowed)) == (well, 1)


def test_an_instance_that_stands_still_is_critical_when_its_lease_is_over_and_back_by_itself(server: Server) -> None:
    settings = BoardSettings(client=ClientSettings(urls=server.urls), lease_ms=1_000, snapshots="off")
    words = [sys.executable, "-m", "tests.soak.provider", msgspec.json.encode(settings).decode(), "users", "1"]
    board = server.connect()
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as provider:
        try:
            assert provider.stdout is not None
            provider.stdout.readline()

            def status() -> str:
                return "".join(state.status for state in board.instances("users").instances)

            assert status() == "passing"
            provider.send_signal(signal.SIGSTOP)
            poll_until(lambda: status() == "critical")
            provider.send_signal(signal.SIGCONT)
            poll_until(lambda: status() == "passing")
        finally:
            provider.kill()

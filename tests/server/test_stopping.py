"""The way out of a real process: however it is told to end, it ends with 0, in time, and with all it has acknowledged."""

import http.client
import json
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from tests.servers import SOON_S, ServerProcess, durable_server, start_server
from tests.support import Stopwatch


def register(server: ServerProcess, instance: str) -> int:
    """The status of a registration; 0 when the server hung up."""
    host, port = server.http
    with closing(http.client.HTTPConnection(host, port, timeout=60)) as connection:
        try:
            connection.request("PUT", "/v1/agent/service/register", json.dumps({"Name": "web", "ID": instance, "Port": 1}))
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def test_further_signals_are_harmless_until_the_very_end() -> None:
    server = start_server("--dev")
    while server.popen.poll() is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            server.popen.send_signal(number)
        time.sleep(0.001)
    assert server.stop() == 0


def test_a_store_that_does_not_answer_keeps_nobody_from_leaving_in_time(tmp_path: Path) -> None:
    server = start_server("--data", str(tmp_path), environment={"CALLBOARD_TUNE_SQLITE_BUSY_TIMEOUT_MS": "60000"})
    try:
        assert register(server, "kept") == 200
        with closing(sqlite3.connect(tmp_path / "callboard.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            answers: list[int] = []
            writer = threading.Thread(target=lambda: answers.append(register(server, "lost")))
            writer.start()
            time.sleep(0.2)
            with Stopwatch() as watch:
                server.popen.send_signal(signal.SIGTERM)
                assert server.popen.wait(timeout=60) == 0
            assert watch.seconds < SOON_S
            writer.join(timeout=60)
            assert answers in ([0], [503]), "a write that never landed was acknowledged"
    finally:
        server.stop()
    with durable_server(tmp_path) as again, closing(http.client.HTTPConnection(*again.http, timeout=60)) as connection:
        connection.request("GET", "/v1/agent/services")
        assert list(json.loads(connection.getresponse().read())) == ["kept"]

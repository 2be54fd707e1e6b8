"""What a real server does when its agent is told something."""

import http.client
import json
from contextlib import closing

from tests.servers import ServerProcess, running_server, start_server
from tests.support import poll_until


def asked(server: ServerProcess, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(*server.http, timeout=60)) as connection:
        connection.request(method, path, body or None)
        response = connection.getresponse()
        return response.status, response.read()


def test_a_server_that_is_told_to_leave_answers_and_ends_well() -> None:
    server = start_server("--dev")
    try:
        assert asked(server, "PUT", "/v1/agent/leave") == (200, b"")
        poll_until(lambda: server.popen.poll() is not None)
        assert server.popen.returncode == 0
    finally:
        server.stop()


def test_metrics_monitor_and_snapshot_of_a_server() -> None:
    with running_server("--dev") as server:
        status, body = asked(server, "GET", "/v1/agent/metrics")
        names = {entry["Name"] for part in ("Gauges", "Counters") for entry in json.loads(body)[part]}
        assert status == 200
        assert {"callboard_revision", "callboard_registry_commands_total", "callboard_consul_heartbeats_total"} <= names
        assert b"callboard_revision" in asked(server, "GET", "/v1/agent/metrics?format=prometheus")[1]
        snapshot = asked(server, "GET", "/v1/snapshot")[1]
        with closing(http.client.HTTPConnection(*server.http, timeout=60)) as reading:
            reading.request("GET", "/v1/agent/monitor?loglevel=info&logjson")
            response = reading.getresponse()
            assert response.status == 200
            assert asked(server, "PUT", "/v1/snapshot", snapshot) == (200, b"")
            while (entry := json.loads(response.readline()))["@module"] != "callboard.frontend.consul.snapshot":
                pass  # others write to the log, too
            assert entry["@level"] == "warn"
        assert asked(server, "PUT", "/v1/agent/reload") == (200, b"")

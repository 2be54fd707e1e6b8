"""Three servers on a real etcd: the lead is handed over, events and a snapshot that enter anywhere are everywhere."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any

import pytest

from callboard.testing.etcd import Etcd
from tests.servers import ServerProcess, running_server
from tests.support import poll_until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

PATIENT = {
    "CALLBOARD_TUNE_ETCD_LEADER_TTL_S": "20", "CALLBOARD_TUNE_ETCD_MEMBER_TTL_S": "30", "CALLBOARD_TUNE_ETCD_COMMIT_TIMEOUT_MS": "15000",
    "CALLBOARD_TUNE_ETCD_READ_TIMEOUT_MS": "15000", "CALLBOARD_TUNE_ETCD_KEEPALIVE_TIMEOUT_MS": "10000",
    "CALLBOARD_TUNE_REGISTRY_LEADER_WAIT_MS": "60000", "CALLBOARD_TUNE_REGISTRY_COMMAND_WAIT_MS": "60000",
    "CALLBOARD_TUNE_REGISTRY_CATCH_UP_MS": "30000",
}  # fmt: skip
"""A machine that stands still for seconds takes the lead from nobody here, and keeps no member from an answer. When all three have handed
the lead over, nobody takes it before the first of them has rested: whoever waits for a leader must wait for longer than that."""


def asked(server: ServerProcess, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    connection = HTTPConnection(*server.http, timeout=60)
    try:
        connection.request(method, path, body or None)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def shown(server: ServerProcess, path: str) -> Any:
    return json.loads(asked(server, "GET", path)[1])


def done(server: ServerProcess, path: str, body: object = b"") -> None:
    status, text = asked(server, "PUT", path, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert status == 200, text


def leader(server: ServerProcess) -> str:
    servers = shown(server, "/v1/operator/raft/configuration")["Servers"]
    return next((str(member["Node"]) for member in servers if member["Leader"]), "")


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServerProcess]]:
    folder = tmp_path_factory.mktemp("etcd")
    with ExitStack() as stack:
        etcd = stack.enter_context(Etcd.running(folder))
        started = [
            stack.enter_context(running_server("--store", etcd.url(), "--member", name, "--data", str(folder / name), environment=PATIENT))
            for name in "abc"
        ]
        for server in started:
            poll_until(lambda server=server: len(shown(server, "/v1/agent/members")) == 3 and leader(server))  # type: ignore[misc]  # bound now
        yield started


def test_the_lead_is_handed_over(members: list[ServerProcess]) -> None:
    for server in members:
        before = leader(server)
        status, body = asked(server, "POST", "/v1/operator/raft/transfer-leader")
        assert (status, body) == (200, b'{"Success":true}')
        for other in members:
            poll_until(lambda other=other, before=before: leader(other) not in {"", before})  # type: ignore[misc]  # bound now
        done(server, "/v1/event/fire/after")
        poll_until(lambda server=server: shown(server, "/v1/operator/autopilot/health")["FailureTolerance"] == 2)  # type: ignore[misc]


def test_an_event_is_shown_by_every_member(members: list[ServerProcess]) -> None:
    for number, server in enumerate(members):
        done(server, "/v1/event/fire/deploy", str(number).encode())
    for server in members:
        poll_until(lambda server=server: len(shown(server, "/v1/event/list?name=deploy")) == 3)  # type: ignore[misc]  # bound now
    lists = [shown(server, "/v1/event/list?name=deploy") for server in members]
    assert lists[0] == lists[1] == lists[2]


def test_a_snapshot_is_restored_wherever_it_enters(members: list[ServerProcess]) -> None:
    for number in range(500):
        done(members[number % 3], "/v1/agent/service/register", {"Name": "web", "ID": f"w{number}", "Check": {"TTL": "10m"}})
    poll_until(lambda: len(shown(members[0], "/v1/catalog/service/web")) == 500)
    status, snapshot = asked(members[0], "GET", "/v1/snapshot")
    assert status == 200
    for server in members:
        for number in range(0, 500, 50):
            done(server, f"/v1/agent/service/deregister/w{number}")
        done(server, "/v1/agent/service/register", {"Name": "later"})
        done(server, "/v1/snapshot", snapshot)
        assert len(shown(server, "/v1/catalog/service/web")) == 500, "a member shows what it has answered"
        for other in members:
            poll_until(lambda other=other: sorted(shown(other, "/v1/catalog/services")) == ["consul", "web"])  # type: ignore[misc]  # bound now
            assert len(shown(other, "/v1/catalog/service/web")) == 500

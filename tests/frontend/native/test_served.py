"""The native API over real sockets: what only a real connection can show."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest

from callboard.client import Client, ClientSettings, Registration
from callboard.client.machine.sse import SseEvent, SseParser
from callboard.wire.native_digest import digest_of
from tests.servers import ServerProcess, running_server
from tests.support import poll_until


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server("--dev") as process:
        yield process


class Watch:
    """A connection that watches."""

    def __init__(self, server: ServerProcess, query: str = "") -> None:
        self.connection = HTTPConnection(*server.http, timeout=60)
        self.connection.request("GET", f"/api/v1/watch{query}")
        self.answer = self.connection.getresponse()
        self.parser = SseParser()
        self.told: list[SseEvent] = []

    def event(self) -> SseEvent:
        """The next event."""
        while not self.told:
            self.told += self.parser.feed(self.answer.read1())
        return self.told.pop(0)

    def close(self) -> None:
        """The client goes."""
        self.answer.close()
        self.connection.close()


def ask(server: ServerProcess, method: str, path: str, body: str = "") -> str:
    connection = HTTPConnection(*server.http, timeout=60)
    connection.request(method, path, body or None)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == 200, text
    return text


def metric(server: ServerProcess, name: str) -> int:
    """The value of the metric whose name begins with `name`."""
    lines = ask(server, "GET", "/metrics").splitlines()
    return int(float(next(line for line in lines if line.startswith(name)).split()[1]))


def watching(server: ServerProcess) -> int:
    return metric(server, "callboard_native_watchers_now")


def test_a_change_reaches_a_watcher_and_a_watcher_that_goes_is_forgotten(server: ServerProcess) -> None:
    watches = [Watch(server, "?service=web") for _ in range(3)]
    assert [watch.event().event for watch in watches] == ["ready"] * 3
    assert watches[0].answer.headers["content-type"] == "text/event-stream"
    assert watching(server) == 3
    ask(server, "PUT", "/api/v1/instances", json.dumps({"service": "web", "port": 80}))
    added = [watch.event() for watch in watches]
    assert [(event.event, event.id) for event in added] == [("added", added[0].id)] * 3
    for watch in watches[1:]:
        watch.close()
    poll_until(lambda: watching(server) == 1)
    ask(server, "DELETE", "/api/v1/instances/web")
    assert watches[0].event().event == "removed"
    watches[0].close()
    poll_until(lambda: watching(server) == 0)


def test_a_blocked_read_is_answered_by_the_change_it_waits_for(server: ServerProcess) -> None:
    index = json.loads(ask(server, "GET", "/api/v1/services/late"))["revision"]
    with closing(HTTPConnection(*server.http, timeout=60)) as connection:
        connection.request("GET", f"/api/v1/services/late?after={index}&wait_ms=600000")
        poll_until(lambda: metric(server, "callboard_http_parked") == 1)
        ask(server, "PUT", "/api/v1/instances", json.dumps({"service": "late"}))
        answer = connection.getresponse()
        body = json.loads(answer.read())
    assert [instance["id"] for instance in body["instances"]] == ["late"]
    assert int(answer.headers["callboard-index"]) == body["revision"] > index


def test_the_server_stops_under_open_watches() -> None:
    with running_server("--dev") as server, closing(Watch(server)) as watch:
        assert watch.event().event == "ready"
        assert server.stop() == 0


def test_the_client_resolves_by_version_and_compares_by_digest(server: ServerProcess) -> None:
    with Client(ClientSettings(urls=(server.url,))) as client:
        for number in (1, 2):
            meta = {"version": f"{number}.0.0", "zone": "a"}
            client.put(Registration(service="shop", id=f"shop-{number}", namespace="digests", port=number, meta=meta))
        chosen = client.resolve("shop", version="^3", fallback="^2", labels={"zone": "a"}, prefer="latest", zone="a", namespace="digests")
        assert ([(one.id, one.version, one.zone) for one in chosen.endpoints], chosen.fell_back) == ([("shop-2", "2.0.0", "a")], True)
        listed = client.instances("shop", namespace="digests")
        told = client.digest(("shop",), namespace="digests")
        assert (told.revision, told.instances, told.digest) == (listed.revision, 2, digest_of(listed.instances))
        assert client.digest(namespace="digests").digest == told.digest

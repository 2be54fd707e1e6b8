"""What users of other clients complained about, one test for each theme. Each names the threads in which they did.

The process model (a registration shared by workers) stands in test_shared.py, mixing threads and asyncio in aio/test_service.py.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from callboard.client import Client, ClientError, ClientSettings, UnreachableError
from callboard.client.board_settings import BoardSettings
from callboard.client.engine import Engine
from callboard.client.errors import NoPictureError
from callboard.client.events import Event, FeedLost, Registering
from callboard.client.service import Service
from callboard.testing.server import Server
from callboard.wire.native import Registration
from tests.client.broken import HANG, broken_server
from tests.client.states import at
from tests.support import Stopwatch, poll_until

ALIVE_MS = 150
SILENCE_MS = 600


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server.running(tmp_path, {"CALLBOARD_TUNE_NATIVE_ALIVE_MS": str(ALIVE_MS), "CALLBOARD_TUNE_NATIVE_RETRY_MS": "50"}) as running:
        yield running


def settings(server: Server, *, silence_max_ms: int = 30_000, **changes: object) -> BoardSettings:
    client = ClientSettings(urls=server.urls, silence_max_ms=silence_max_ms, timeout_ms=10_000)
    return BoardSettings(client=client, lease_ms=1_500, drain_notice_ms=300, **changes)  # type: ignore[arg-type]


def put(server: Server, *names: str) -> None:
    with Client(ClientSettings(urls=(server.direct_url,))) as client:
        for name in names:
            client.put(Registration(service="users", id=name, address="127.0.0.1", port=80))


def ids(service: Service) -> str:
    return "".join(found.id for found in service.snapshot.instances)


# -- theme: reconnect


def test_theme_reconnect_a_registry_that_restarts_empty_does_not_empty_its_consumers(server: Server) -> None:
    """https://github.com/alibaba/nacos/issues/4470, https://github.com/alibaba/nacos/issues/10209"""
    put(server, "a", "b", "c")
    users = server.connect(settings=settings(server, shrink_hold_ms=600_000)).service("users")
    soon = server.connect(settings=settings(server, shrink_hold_ms=1_000)).service("users")
    assert (ids(users), ids(soon)) == ("abc", "abc")
    server.restart(lose_state=True)
    poll_until(lambda: users.snapshot.held == 3)
    put(server, "b")
    poll_until(lambda: users.snapshot.held == 2)
    assert ids(users) == "abc"
    poll_until(lambda: ids(soon) == "b")


def test_theme_reconnect_the_registry_may_start_after_the_program(server: Server) -> None:
    """https://github.com/keijack/python-eureka-client/issues/32, https://github.com/keijack/python-eureka-client/issues/16"""
    server.stop()
    board = server.connect(settings=settings(server, first_wait_ms=200))
    users = board.service("users")
    with pytest.raises(NoPictureError, match=r"connection refused.*CALLBOARD_URL"):
        users.pick().__enter__()
    server.start()
    put(server, "a")
    users.wait(60)
    poll_until(lambda: ids(users) == "a")
    with users.pick() as endpoint:
        assert endpoint.id == "a"


def test_theme_reconnect_nothing_that_happens_meanwhile_is_missed(server: Server) -> None:
    """https://github.com/micro-fan/aiozk/issues/45, https://github.com/python-zk/kazoo/issues/151, https://github.com/python-zk/kazoo/issues/241"""
    put(server, "a", "b")
    users = server.connect(settings=settings(server)).service("users")
    snapshots = users.watch()
    assert len(next(snapshots).added) == 2
    with server.partition(refuse=True):
        poll_until(lambda: users.age_s > 0)
        put(server, "c")
        with Client(ClientSettings(urls=(server.direct_url,))) as client:
            client.deregister("a")
    newest = next(snapshots)
    assert ([found.id for found in newest.added], [found.id for found in newest.removed]) == (["c"], ["a"])


def test_theme_reconnect_many_restarts_cost_no_call(server: Server) -> None:
    """https://github.com/keijack/python-eureka-client/issues/69, https://github.com/keijack/python-eureka-client/issues/71"""
    put(server, "a", "b")
    users = server.connect(settings=settings(server)).service("users")
    users.wait(60)
    stop = threading.Event()
    failures: list[Exception] = []
    calls = 0

    def call() -> None:
        nonlocal calls
        while not stop.is_set():
            try:
                with users.pick():
                    calls += 1
            except ClientError as error:
                failures.append(error)
            time.sleep(0.001)

    calling = threading.Thread(target=call)
    calling.start()
    for _ in range(2):
        server.kill()
        server.start()
    poll_until(lambda: users.age_s == 0 and calls > 100)
    stop.set()
    calling.join(60)
    assert failures == []


def test_theme_reconnect_an_instance_is_registered_again_by_itself(server: Server) -> None:
    """https://github.com/nacos-group/nacos-sdk-python/issues/112, https://github.com/nacos-group/nacos-sdk-python/pull/323"""
    board = server.connect(settings=settings(server))
    with board.register("users", address="127.0.0.1", wait_for_port=False) as registered:
        registered.wait(60)
        server.restart(lose_state=True)
        with Client(ClientSettings(urls=(server.direct_url,))) as client:
            poll_until(lambda: [found.id for found in client.instances("users").instances] == [registered.id])


# -- theme: hidden failure


def test_theme_hidden_failure_a_half_open_link_is_noticed_and_mended(server: Server) -> None:
    """https://github.com/nacos-group/nacos-sdk-python/issues/294, https://github.com/python-zk/kazoo/issues/89"""
    put(server, "a")
    board = server.connect(settings=settings(server, silence_max_ms=SILENCE_MS))
    events: list[Event] = []
    board.observe(events.append)
    users = board.service("users")
    poll_until(lambda: (ids(users), users.age_s) == ("a", 0.0))
    with server.partition():
        events.clear()
        put(server, "b")
        poll_until(lambda: any(isinstance(event, FeedLost) for event in events))
        assert users.age_s >= SILENCE_MS / 1000 / 2, "it counts from when the registry was last heard"
        poll_until(lambda: users.stale)
        assert ids(users) == "a"
    poll_until(lambda: ids(users) == "ab")
    poll_until(lambda: (users.stale, users.age_s) == (False, 0.0))


def test_theme_hidden_failure_a_stream_that_lives_and_says_nothing_is_found_by_comparing() -> None:
    """https://github.com/nacos-group/nacos-sdk-python/issues/294"""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    empty = b'id: 1.x\nevent: ready\ndata: {"revision":1}\n\n'
    digest = b'{"revision":2,"instances":1,"digest":"0123456789abcdef"}'
    with Talking(head + b"%x\r\n%b\r\n" % (len(empty), empty), digest) as talking:
        engine = Engine(at(talking.url, digest_ms=50))
        users = Service(engine, "users", {})
        assert users.wait(60).instances == ()
        poll_until(lambda: talking.streams >= 2)
        engine.close()


class Talking:
    """A registry that answers each stream with the same beginning and then falls silent, and each digest with the same."""

    def __init__(self, stream: bytes, digest: bytes) -> None:
        self._stream = stream
        self._digest = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(digest), digest)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.streams = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        for each in (self._listener, *self._held):
            each.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._held.append(connection)
            if b"/watch" in connection.recv(65536):
                self.streams += 1
                connection.sendall(self._stream)
            else:
                connection.sendall(self._digest)
                connection.shutdown(socket.SHUT_RDWR)


def test_theme_hidden_failure_no_call_is_without_a_time_limit() -> None:
    """https://github.com/python-consul/python-consul/issues/45"""
    with broken_server(HANG) as hanging:
        client = Client(ClientSettings(urls=(hanging.url,), timeout_ms=150))
        for ask in (
            client.services, client.status, client.nodes, client.digest, lambda: client.instances("users"), lambda: client.resolve("users"),
            lambda: next(iter(client.watch("users"))),
        ):  # fmt: skip
            with Stopwatch() as watch, pytest.raises(UnreachableError, match="no answer in time"):
                ask()
            assert watch.seconds < 2
        client.close()


def test_theme_hidden_failure_failures_are_told_to_observers_and_logged_once(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """https://github.com/keijack/python-eureka-client/issues/42, https://github.com/nacos-group/nacos-sdk-python/issues/96"""
    board = server.connect(settings=settings(server))
    events: list[Event] = []
    board.observe(events.append)
    users = board.service("users")
    with board.register("users", address="127.0.0.1", wait_for_port=False) as registered:
        registered.wait(60)
        poll_until(lambda: ids(users) == registered.id)
        server.kill()
        poll_until(lambda: sum(isinstance(event, FeedLost) for event in events) >= 3)
        poll_until(lambda: any(isinstance(event, Registering) and event.state == "lost" for event in events))
        assert sum("the registry is not heard" in record.message for record in caplog.records) == 1
        server.start()
        poll_until(lambda: users.age_s == 0)
        poll_until(lambda: registered.state == "registered")


# -- theme: drain


def test_theme_drain_a_stopped_instance_gets_no_more_calls_after_its_drain(server: Server) -> None:
    """https://github.com/spring-cloud/spring-cloud-netflix/issues/3274, https://github.com/keijack/python-eureka-client/issues/64"""
    put(server, "other")
    users = server.connect(settings=settings(server)).service("users", policy="smooth_wrr")
    leaving = server.connect(settings=settings(server)).register("users", id="leaving", address="127.0.0.1", port=81, wait_for_port=False)
    leaving.wait(60)
    poll_until(lambda: len(users.endpoints) == 2)
    leaving.drain()
    for _ in range(100):
        with users.pick() as endpoint:
            assert endpoint.id == "other"
    leaving.close()
    poll_until(lambda: ids(users) == "other")


# -- theme: dependency weight


def test_theme_dependency_weight_the_sdk_loads_nothing_but_its_own_and_msgspec() -> None:
    """https://github.com/etcd-io/etcd/issues/13285, https://github.com/dapr/python-sdk/issues/792"""
    script = (
        "import sys; before = set(sys.modules); import callboard; callboard.connect; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names) - {'callboard', 'msgspec', 'typing_extensions'}))"
    )
    # msgspec takes typing_extensions where it finds it, and needs it not
    done = subprocess.run([sys.executable, "-I", "-c", script], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_what_was_known_outlives_the_program_and_the_registry(server: Server) -> None:
    """https://github.com/alibaba/nacos/issues/13336"""
    put(server, "a", "b")
    board = server.connect(settings=settings(server))
    assert ids(board.service("users")) == "ab"
    poll_until(lambda: next(server.snapshots.glob("*/users.json"), None))  # though nothing ever changed
    board.close()
    server.kill()
    users = server.connect(settings=settings(server)).service("users")
    assert (ids(users), users.stale, users.age_s > 0) == ("ab", True, True)
    with users.pick() as endpoint:
        assert endpoint.id in "ab"
    server.start()
    poll_until(lambda: not users.stale)

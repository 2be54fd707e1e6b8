"""The blocking handle on a service over a real server."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from callboard.client import Client
from callboard.client.board_settings import BoardSettings
from callboard.client.engine import Engine
from callboard.client.errors import NoInstanceError, NoPictureError
from callboard.client.events import Event, FeedLost
from callboard.client.finding import Finder
from callboard.client.service import Service
from callboard.client.snapshot import Snapshot
from callboard.model.errors import InvalidError
from callboard.model.instance import Phase
from callboard.wire.native import CheckRequest, Registration, Weights
from tests.client.states import at, fake_engine, state
from tests.servers import ServerProcess, free_port
from tests.support import Stopwatch, poll_until


@pytest.fixture
def engine(server: ServerProcess, space: str) -> Iterator[Engine]:
    one = Engine(at(server.url, namespace=space))
    yield one
    one.close()


def put(client: Client, space: str, name: str, service: str = "users", **fields: object) -> None:
    given = {"address": "10.0.0.1", "port": 80, **fields}
    client.put(Registration(service=service, id=name, namespace=space, **given))  # type: ignore[arg-type]


def ids(service: Service) -> str:
    return "".join(found.id for found in service.snapshot.instances)


def test_what_is_registered_is_found_and_picked(engine: Engine, client: Client, space: str) -> None:
    for name in "abc":
        put(client, space, name)
    users = Service(engine, "users", {})
    assert (ids(users), users.stale, users.age_s, users.name, users.namespace) == ("abc", False, 0.0, "users", space)
    picked = set()
    for _ in range(100):
        with users.pick() as endpoint:
            picked.add(endpoint.id)
    assert picked == {"a", "b", "c"}
    assert [(judged.endpoint.id, judged.kept, judged.reason) for judged in users.considered()] == [
        (name, True, "passing") for name in "abc"
    ]


def test_each_change_is_seen_soon(engine: Engine, client: Client, space: str) -> None:
    put(client, space, "a")
    users = Service(engine, "users", {})
    snapshots = users.watch()
    assert [found.id for found in next(snapshots).added] == ["a"]
    put(client, space, "b")
    assert [found.id for found in next(snapshots).added] == ["b"]
    client.drain("a", namespace=space)
    (changed,) = next(snapshots).changed
    assert (changed.id, changed.phase) == ("a", Phase.DRAINING)
    assert [endpoint.id for endpoint in users.endpoints] == ["b"]
    client.deregister("b", namespace=space)
    assert [found.id for found in next(snapshots).removed] == ["b"]
    with pytest.raises(NoInstanceError, match="a: draining"), users.pick():
        pass


def test_two_services_of_one_board_share_one_feed(engine: Engine, client: Client, space: str) -> None:
    put(client, space, "a")
    put(client, space, "x", "orders")
    before = set(threading.enumerate())
    users, orders = Service(engine, "users", {}), Service(engine, "orders", {})
    assert (ids(users), ids(orders)) == ("a", "x")
    late = Service(engine, "late", {})
    assert ids(late) == ""
    put(client, space, "l", "late")
    put(client, space, "b")
    poll_until(lambda: (ids(late), ids(users)) == ("l", "ab"))
    assert sum(thread.name.startswith("callboard-feed") for thread in set(threading.enumerate()) - before) == 1


def test_more_services_than_a_request_can_name_are_followed(server: ServerProcess, client: Client, space: str) -> None:
    engine = Engine(at(server.url, namespace=space, digest_ms=20))
    lost: list[Event] = []
    engine.observers.add(lambda event: lost.append(event) if isinstance(event, FeedLost) else None)
    handles = [Service(engine, f"s{number}", {}) for number in range(150)]
    put(client, space, "a", "s149")
    put(client, space, "other", "not-followed")
    put(client, space, "b", "s0")
    poll_until(lambda: (ids(handles[149]), ids(handles[0])) == ("a", "b"))
    assert all(handle.snapshot.stale is False for handle in handles)
    put(client, space, "c", "s0")
    poll_until(lambda: ids(handles[0]) == "bc")
    assert lost == []
    engine.close()


def test_handles_choose_by_version_label_and_weight(engine: Engine, client: Client, space: str) -> None:
    put(client, space, "old", meta={"version": "1.9.0", "tier": "free"})
    put(client, space, "new", meta={"version": "2.1.0", "tier": "paid"}, weights=Weights(100, 1))
    put(client, space, "newer", meta={"version": "2.3.0", "tier": "free"})

    def endpoints(**options: object) -> set[str]:
        return {endpoint.id for endpoint in Service(engine, "users", options).endpoints}  # type: ignore[arg-type]

    assert endpoints(version="^2.1") == {"new", "newer"}
    assert endpoints(version="^2.1", labels={"tier": "paid"}) == {"new"}
    assert endpoints(prefer="oldest") == {"old"}
    assert endpoints(version="^3", fallback="^1") == {"old"}
    with Service(engine, "users", {"policy": "smooth_wrr"}).pick() as endpoint:
        assert endpoint.id == "new"


@pytest.mark.parametrize(
    ("options", "field"),
    [({"version": "not a range"}, "version"), ({"version": "^2", "fallback": "!"}, "fallback"), ({"fallback": "!"}, "version"),
     ({"policy": "best"}, "policy"), ({"prefer": "newest"}, "prefer")],
)  # fmt: skip
def test_options_that_cannot_be_meant_are_refused_where_they_are_given(options: dict[str, str], field: str) -> None:
    engine, _ = fake_engine()
    with pytest.raises(InvalidError, match=field):
        Service(engine, "users", options)  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match="service"):
        Service(engine, "", {})
    engine.close()


def test_panic_when_too_few_are_well_the_others_are_called_too(engine: Engine, client: Client, space: str) -> None:
    for name in "abcd":
        critical = (CheckRequest(ttl_ms=60_000, status="critical"),) if name != "a" else ()
        put(client, space, name, checks=critical)
    assert len(Service(engine, "users", {}).endpoints) == 4


def test_an_exception_inside_of_pick_counts_and_leaving_otherwise_does_not() -> None:
    engine, backend = fake_engine()
    service = Service(engine, "web", {"policy": "smooth_wrr"})
    backend.feed.tell(state("a", 1), state("b", 2))
    service.wait(60)

    def fail(error: BaseException) -> None:
        for _ in range(40):
            try:
                with service.pick() as endpoint:
                    if endpoint.id == "a":
                        raise error
            except type(error):
                pass

    fail(KeyboardInterrupt())
    assert len(service.endpoints) == 2
    fail(OSError())
    assert [endpoint.id for endpoint in service.endpoints] == ["b"]
    engine.close()


def test_watch_gives_the_newest_to_the_slow_with_all_the_differences() -> None:
    engine, backend = fake_engine()
    service = Service(engine, "web", {})
    backend.feed.tell(state("a"), state("b"))
    snapshots = service.watch()
    assert len(next(snapshots).added) == 2
    backend.feed.remove(state("a"))
    backend.feed.tell(state("c"))
    backend.feed.tell(state("b", 81), kind="changed", ready=False)
    poll_until(lambda: service.snapshot.revision == 4)
    newest = next(snapshots)
    told = [[found.id for found in found_in] for found_in in (newest.added, newest.removed, newest.changed)]
    assert told == [["c"], ["a"], ["b"]]
    engine.close()
    assert list(snapshots) == []


def test_watchers_in_many_threads_all_end_with_the_last_snapshot() -> None:
    engine, backend = fake_engine()
    service = Service(engine, "web", {})
    last: list[Snapshot] = []

    def watch() -> None:
        newest = None
        for newest in service.watch():
            if len(newest.instances) == 50:
                break
        assert newest is not None
        last.append(newest)

    threads = [threading.Thread(target=watch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(50):
        backend.feed.tell(state(f"i{number}"))
    for thread in threads:
        thread.join(60)
    assert len(last) == 4
    engine.close()


def test_a_handle_that_is_dropped_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, backend = fake_engine()
    service = Service(engine, "web", {})
    backend.feed.tell(state("a"))
    service.wait(60)
    followed = service.finder.followed
    woken: list[int] = []
    monkeypatch.setattr(Finder, "rebuild", lambda finder: woken.append(id(finder)))
    for _ in range(20):
        Service(engine, "web", {})
    woken.clear()
    followed.wake()
    assert woken == [id(service.finder)]
    engine.close()


def test_a_registry_that_is_not_there_is_named(space: str) -> None:
    engine = Engine(at(f"http://127.0.0.1:{free_port()}", first_wait_ms=100))
    users = Service(engine, "users", {})
    poll_until(lambda: "connection refused" in users.finder.followed.reason)
    with Stopwatch() as watch:
        with pytest.raises(NoPictureError, match="connection refused"):
            users.pick().__enter__()
        with pytest.raises(NoPictureError, match="connection refused"):
            users.wait(0.01)
    assert (users.stale, watch.seconds < 5) == (True, True)
    engine.close()


def test_only_the_first_call_waits_for_a_registry_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, _ = fake_engine(BoardSettings(snapshots="off", first_wait_ms=300))
    web = Service(engine, "web", {})
    waited, wait = [], web.finder.followed.wait

    def waits(timeout_ms: int, *, fresh: bool = False) -> Snapshot:
        waited.append(timeout_ms)
        return wait(timeout_ms, fresh=fresh)

    monkeypatch.setattr(web.finder.followed, "wait", waits)
    for _ in range(10):
        with pytest.raises(NoPictureError):
            web.pick().__enter__()
    assert waited[0] > 0
    assert waited[1:] == [0] * 9
    engine.close()


FORKING = """
import os, sys, threading
from callboard.client import Client, Registration
from callboard.client.board_settings import BoardSettings
from callboard.client.board_settings import BoardSettings
from callboard.client.engine import Engine
from callboard.client.events import Event, FeedLost
from callboard.client.finding import Finder
from callboard.client.service import Service
from callboard.client.settings import ClientSettings

settings = ClientSettings(urls=(sys.argv[1],))
engine = Engine(BoardSettings(client=settings, namespace=sys.argv[2], snapshots="off"))
client = Client(settings)
def put(name):
    client.put(Registration(service="users", id=name, namespace=sys.argv[2], address="10.0.0.1", port=80))
put("a")
users = Service(engine, "users", {})
users.wait(60)
child = os.fork()
if child:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, code
    assert {found.id for found in users.snapshot.instances} >= {"a"}
    for snapshot in users.watch():
        if "b" in {found.id for found in snapshot.instances}:
            break
    engine.close()
else:
    assert threading.active_count() == 1, "a child that asks for nothing has no threads"
    with users.pick() as endpoint:  # by what its parent knew
        assert endpoint.id == "a"
    assert threading.active_count() > 1
    put("b")
    for snapshot in users.watch():
        if "b" in {found.id for found in snapshot.instances}:
            break
    picked = set()
    while picked != {"a", "b"}:
        with users.pick() as endpoint:
            picked.add(endpoint.id)
    assert users.age_s == 0.0 and not users.stale
    engine.close()
    os._exit(0)
"""


def test_a_forked_child_goes_on_with_what_is_known_and_follows_by_itself(server: ServerProcess, space: str) -> None:
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, server.url, space], check=True, timeout=60)

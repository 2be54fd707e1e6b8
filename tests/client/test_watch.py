import threading
from pathlib import Path
from typing import Final, Self

import pytest

from callboard.client import Change, Client, ClientError, ClientSettings, InvalidRequestError, Registration, UnreachableError, Watch
from tests.client.broken import HANG, broken_server
from tests.servers import ServerProcess, free_port, running_server, start_server
from tests.support import Stopwatch, poll_until

QUICK: Final = {"CALLBOARD_TUNE_NATIVE_RETRY_MS": "50"}
"""Watchers come back at once."""


class Collector:
    """Reads a watch in a thread of its own."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.changes: list[Change] = []
        self.failure: ClientError | None = None
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self) -> None:
        try:
            self.changes.extend(self.watch)
        except ClientError as error:
            self.failure = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.watch.close()
        self.thread.join(60)
        assert not self.thread.is_alive()

    def told(self) -> list[str]:
        """Kinds and ids, in the order they came."""
        return [f"{change.kind} {change.instance.id}" if change.instance else change.kind for change in list(self.changes)]

    def until(self, *told: str) -> None:
        """Wait until these were told, in this order, and nothing else."""
        poll_until(lambda: len(self.changes) >= len(told))
        assert self.told() == list(told)


def put(client: Client, space: str, name: str, port: int = 1, service: str = "web") -> None:
    client.put(Registration(service=service, id=name, namespace=space, port=port))


def test_first_everything_then_each_change_once(client: Client, space: str) -> None:
    put(client, space, "a")
    with Collector(client.watch("web", namespace=space)) as seen:
        seen.until("added a", "ready")
        put(client, space, "b")
        put(client, space, "b", port=2)
        put(client, space, "b", port=2)
        put(client, space, "other", service="api")
        client.deregister("a", namespace=space)
        seen.until("added a", "ready", "added b", "changed b", "removed a")
        changed = seen.changes[3]
        assert changed.instance is not None
        assert changed.before is not None
        assert (changed.before.port, changed.instance.port) == (1, 2)


def test_without_services_it_tells_of_all_and_with_several_of_these(client: Client, space: str) -> None:
    everything, some = client.watch(namespace=space), client.watch("a", "b", namespace=space)
    with Collector(everything) as all_seen, Collector(some) as some_seen:
        all_seen.until("ready")
        some_seen.until("ready")
        for name in ("a", "b", "c"):
            put(client, space, name, service=name)
        all_seen.until("ready", "added a", "added b", "added c")
        some_seen.until("ready", "added a", "added b")


def test_an_instance_that_moves_to_another_service_leaves_the_old_one(client: Client, space: str) -> None:
    with Collector(client.watch("web", namespace=space)) as web, Collector(client.watch(namespace=space)) as everything:
        web.until("ready")
        everything.until("ready")
        put(client, space, "a")
        put(client, space, "a", service="api")
        web.until("ready", "added a", "removed a")
        poll_until(lambda: len(everything.changes) >= 4)
        assert [key[1] for key in everything.watch.known] == ["api"]


def test_it_resumes_where_it_was_when_the_server_comes_back(space: str, tmp_path: Path) -> None:
    address = ("--data", str(tmp_path), "--http", f"127.0.0.1:{free_port()}")
    lost: list[str] = []
    with running_server(*address, environment=QUICK) as server:
        client = Client(ClientSettings(urls=(server.url,)))
        put(client, space, "a")
        seen = Collector(client.watch("web", namespace=space, lost=lambda error: lost.append(str(error))))
        seen.until("added a", "ready")
    with seen, client, running_server(*address, environment=QUICK):
        poll_until(lambda: len(seen.changes) >= 3)
        put(client, space, "b")
        poll_until(lambda: "added b" in seen.told())
        told = seen.told()
        assert [line for line in told if line not in {"ready", "resync"}] == ["added a", "added b"]
    assert any("connects again" in line for line in lost)


def test_a_server_that_forgot_everything_tells_what_is_different(space: str) -> None:
    address = ("--dev", "--http", f"127.0.0.1:{free_port()}")
    with running_server(*address, environment=QUICK) as server:
        client = Client(ClientSettings(urls=(server.url,)))
        for name in ("a", "b", "c"):
            put(client, space, name)
        seen = Collector(client.watch("web", namespace=space))
        seen.until("added a", "added b", "added c", "ready")
    with seen, client:
        seen.changes.clear()
        with running_server(*address, environment=QUICK):
            put(client, space, "b", port=7)
            poll_until(lambda: {key[3]: found.port for key, found in dict(seen.watch.known).items()} == {"b": 7})
            told = seen.told()
            assert {"removed a", "removed c"} <= set(told)
            assert told.count("removed a") == 1


def test_it_ends_at_once_when_another_thread_closes_it(client: Client, space: str) -> None:
    with Collector(client.watch("web", namespace=space)) as seen:
        seen.until("ready")
        with Stopwatch() as watch:
            seen.watch.close()
            seen.thread.join(60)
        assert watch.seconds < 2
        assert seen.failure is None


def test_who_stops_iterating_may_go_on_later(client: Client, space: str) -> None:
    put(client, space, "a")
    with client.watch("web", namespace=space) as watch:
        assert next(iter(watch)).kind == "added"
        put(client, space, "b")
        changes = iter(watch)
        told = {change.instance.id for change in (next(changes), next(changes)) if change.instance is not None}
        assert "b" in told
        assert {key[3] for key in watch.known} == {"a", "b"}


def test_the_first_attempt_says_when_nobody_is_there_or_it_is_refused(client: Client) -> None:
    with pytest.raises(UnreachableError):
        next(iter(Client(ClientSettings(urls=(f"http://127.0.0.1:{free_port()}",))).watch()))
    with pytest.raises(InvalidRequestError, match="service"):
        next(iter(client.watch("")))


def test_another_server_takes_over(space: str) -> None:
    ports = [free_port(), free_port()]
    urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
    first = start_server("--dev", "--http", f"127.0.0.1:{ports[0]}", environment=QUICK)
    client = Client(ClientSettings(urls=urls))
    for name in ("a", "b", "c"):
        put(client, space, name)
    with Collector(client.watch("web", namespace=space)) as seen, client:
        seen.until("added a", "added b", "added c", "ready")
        first.kill()
        with running_server("--dev", "--http", f"127.0.0.1:{ports[1]}"):
            put(client, space, "d")
            poll_until(lambda: "added d" in seen.told())


def test_silence_is_taken_for_death(space: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    lost: list[str] = []
    with broken_server(HANG) as silent, broken_server(head) as ended:
        settings = ClientSettings(urls=(ended.url,), silence_max_ms=100)
        with Collector(Client(settings).watch(lost=lambda error: lost.append(str(error)))):
            poll_until(lambda: len(ended.requests) >= 3)
        quiet = ClientSettings(urls=(silent.url,), timeout_ms=100)
        with pytest.raises(UnreachableError, match="no answer in time"):
            next(iter(Client(quiet).watch()))
    assert lost


# -- as a feed


def feed(server: ServerProcess, space: str, *services: str, lost: list[str] | None = None) -> Watch:
    told = lost if lost is not None else []
    return Watch(ClientSettings(urls=(server.url,)), services, space, lambda error: told.append(str(error)), patient=True)


def test_a_service_that_is_included_comes_without_repeating_the_others(server: ServerProcess, client: Client, space: str) -> None:
    put(client, space, "a")
    put(client, space, "x", service="api")
    lost: list[str] = []
    with Collector(feed(server, space, "web", lost=lost)) as seen:
        seen.until("added a", "ready")
        seen.watch.include("api")
        seen.until("added a", "ready", "added x", "ready")
        seen.watch.include("api")
        put(client, space, "b")
        seen.until("added a", "ready", "added x", "ready", "added b")
        assert [change.services for change in seen.changes if change.kind == "ready"] == [("web",), ("web", "api")]
        assert [change.more for change in seen.changes] == [True, False, True, False, False]
    assert lost == []


def test_many_that_are_included_at_once_come_with_few_connections(server: ServerProcess, space: str) -> None:
    names = [f"s{number}" for number in range(30)]
    with Collector(feed(server, space, "web")) as seen:
        seen.until("ready")
        for name in names:
            seen.watch.include(name)
        poll_until(lambda: seen.changes[-1].services == ("web", *names))
        assert len(seen.changes) <= 5


def test_a_restart_tells_only_what_is_different(server: ServerProcess, client: Client, space: str) -> None:
    put(client, space, "a")
    with Collector(feed(server, space, "web")) as seen:
        seen.until("added a", "ready")
        seen.watch.restart()
        seen.until("added a", "ready", "ready")


def test_a_patient_one_waits_for_a_server_and_a_refusal_ends_it(space: str, client: Client) -> None:
    port = free_port()
    lost: list[str] = []
    settings = ClientSettings(urls=(f"http://127.0.0.1:{port}",))
    watch = Watch(settings, ("web",), space, lambda error: lost.append(str(error)), patient=True)
    with Collector(watch) as seen:
        poll_until(lambda: lost)
        with running_server("--dev", "--http", f"127.0.0.1:{port}"):
            seen.until("ready")
    refused = Watch(client.settings, ("",), space, lambda error: None, patient=True)
    with pytest.raises(InvalidRequestError):
        next(iter(refused))


def test_a_patient_one_takes_the_answer_of_a_proxy_for_a_failure_that_passes(space: str) -> None:
    lost: list[str] = []
    with broken_server(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n") as proxy:
        settings = ClientSettings(urls=(proxy.url,))
        with Collector(Watch(settings, ("web",), space, lambda error: lost.append(str(error)), patient=True)) as seen:
            poll_until(lambda: len(lost) >= 2)
            assert seen.failure is None
    assert "502" in lost[0]


def test_including_and_closing_from_many_threads_ends_cleanly(server: ServerProcess, space: str) -> None:
    for _ in range(5):
        watch = feed(server, space, "web")
        with Collector(watch) as seen:
            threads = [threading.Thread(target=watch.include, args=(f"s{number}",)) for number in range(5)]
            threads += [threading.Thread(target=watch.restart) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            poll_until(lambda: seen.changes and len(seen.changes[-1].services) == 6)


def test_an_instance_that_only_is_not_mentioned_any_more_is_told_so(space: str) -> None:
    address = ("--dev", "--http", f"127.0.0.1:{free_port()}")
    with running_server(*address, environment=QUICK) as server:
        client = Client(ClientSettings(urls=(server.url,)))
        put(client, space, "a")
        put(client, space, "b")
        seen = Collector(feed(server, space, "web"))
        poll_until(lambda: seen.told()[-1:] == ["ready"])
        client.deregister("b", namespace=space)
        poll_until(lambda: "removed b" in seen.told())
    with seen, client, running_server(*address, environment=QUICK):
        poll_until(lambda: "removed a" in seen.told())
        assert {change.instance.id: change.inferred for change in seen.changes if change.kind == "removed" and change.instance} == {
            "a": True, "b": False,
        }  # fmt: skip

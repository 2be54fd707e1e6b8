"""What every backend does, whichever protocol it speaks: the same tests against the same real servers."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from callboard.client.backend import Backend, ForgottenError
from callboard.client.consul.backend import ConsulBackend
from callboard.client.errors import NotFoundError, UnreachableError
from callboard.client.native_backend import NativeBackend
from callboard.client.settings import ClientSettings
from callboard.model.check import Status
from callboard.model.instance import Phase
from callboard.wire.native import Beat, CheckRequest, InstanceState, Registration, Weights, Written
from tests.client.consul.collecting import Collected
from tests.servers import ServerProcess, free_port, running_server, start_server
from tests.support import poll_until

Open = Callable[[str], Backend]
TTL = CheckRequest(ttl_ms=60_000, status="passing")
TIMEOUT_MS = 60_000


@pytest.fixture(params=["native", "consul"])
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens a backend on a URL; all are closed at the end."""
    made: list[Backend] = []
    kind = NativeBackend if request.param == "native" else ConsulBackend

    def open_backend(url: str) -> Backend:
        made.append(kind(ClientSettings(urls=(url,))))
        return made[-1]

    yield open_backend
    for backend in made:
        backend.close()


@pytest.fixture
def backend(opened: Open, server: ServerProcess) -> Backend:
    return opened(server.url)


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """A name no other test has, for Consul has no name spaces."""
    return str(request.node.name).replace("[", "-").rstrip("]").replace("_", "-")


def registration(service: str, name: str = "a", port: int = 80, *checks: CheckRequest) -> Registration:
    """Ids are unique among all tests: an agent knows its services by them alone."""
    return Registration(
        service=service, id=f"{service}-{name}", address="127.0.0.1", port=port, checks=checks or (TTL,), replace_checks=True
    )


def only(backend: Backend, service: str) -> InstanceState:
    found = backend.instances(service, "").instances
    assert len(found) == 1
    return found[0]


def follow(backend: Backend, *services: str) -> Collected:
    collected = Collected()
    return collected.read(backend.follow("", services, collected.lost.append))


# -- signing in


def test_who_signs_in_is_found_as_it_was_said(backend: Backend, service: str) -> None:
    said = Registration(
        service=service, id=f"{service}-one", address="10.1.2.3", port=8000, tags=("blue", "v2"), meta={"version": "2.1.0", "zone": "a"},
        weights=Weights(passing=7, warning=2), checks=(TTL,), replace_checks=True,
    )  # fmt: skip
    written = backend.register(said)
    found = only(backend, service)
    assert (written.id, written.service, written.node) == (f"{service}-one", service, found.node)
    assert (found.id, found.service, found.address, found.port, found.tags) == (written.id, service, "10.1.2.3", 8000, ("blue", "v2"))
    assert (found.meta, found.weights) == ({"version": "2.1.0", "zone": "a"}, Weights(passing=7, warning=2))
    assert (found.phase, found.status) == (Phase.SERVING, Status.PASSING)
    assert [check.id for check in found.checks if check.kind == "ttl"] == [f"service:{service}-one"]


def test_an_instance_without_an_id_is_named_as_its_service(backend: Backend, service: str) -> None:
    assert backend.register(Registration(service=service, port=1)).id == service
    assert only(backend, service).id == service


def test_every_kind_of_check_arrives(backend: Backend, service: str) -> None:
    checks = (
        CheckRequest(id=f"{service}-probe", tcp="127.0.0.1:1", interval_ms=60_000, timeout_ms=500),
        CheckRequest(http="http://127.0.0.1:1/health", method="POST", headers={"X-A": "b"}, interval_ms=90_000, failures_before_critical=3),
        CheckRequest(ttl_ms=90_500, status="warning", name="alive", notes="pushed", deregister_after_ms=60_000),
    )
    backend.register(registration(service, "a", 80, *checks))
    found = {check.id: check for check in only(backend, service).checks}
    assert {check.kind for check in found.values()} >= {"ttl", "http", "tcp"}
    assert found[f"{service}-probe"].kind == "tcp"
    assert found[f"service:{service}-a:2"].kind == "http"
    alive = found[f"service:{service}-a:3"]
    assert (alive.kind, alive.name, alive.notes, alive.status) == ("ttl", "alive", "pushed", Status.WARNING)


def test_checks_that_are_not_named_any_more_go(backend: Backend, service: str) -> None:
    backend.register(registration(service, "a", 80, TTL, CheckRequest(id=f"{service}-probe", tcp="127.0.0.1:1", interval_ms=60_000)))
    backend.register(registration(service, "a", 80, TTL))
    assert {check.id for check in only(backend, service).checks if check.kind in {"ttl", "tcp"}} == {f"service:{service}-a"}


def test_a_registration_may_be_sent_again(backend: Backend, service: str) -> None:
    first = backend.register(registration(service))
    with follow(backend, service) as seen:
        seen.until("ready")
        again = backend.register(registration(service))
        backend.register(registration(service, "b"))
        seen.until("added b")
        assert (again.id, again.node) == (first.id, first.node)
        assert [line for line in seen.told() if line.startswith(("removed", "changed"))] == []


def test_who_signs_in_hidden_is_never_seen_serving(backend: Backend, service: str) -> None:
    with follow(backend, service) as seen:
        seen.until("ready")
        held = backend.register(replace(registration(service), phase=Phase.DRAINING))
        poll_until(lambda: "a" in seen.known() and seen.known()["a"].phase is Phase.DRAINING)
        fit = [each.instance for each in seen.changes if each.instance and each.instance.phase is Phase.SERVING]
        assert [instance.status for instance in fit if instance.status is Status.PASSING] == []
        backend.drain(held, on=False)
        poll_until(lambda: seen.known()["a"].phase is Phase.SERVING and seen.known()["a"].status is Status.PASSING)


# -- signs of life


def test_a_heartbeat_carries_status_and_output(backend: Backend, service: str) -> None:
    held = backend.register(registration(service))
    beats: list[Beat] = [Beat(status="warning", output="is slow"), Beat(status="critical", output="is ill"), Beat(output="is well")]
    for beat in beats:
        backend.heartbeat(held, beat, TIMEOUT_MS)
        found = only(backend, service)
        assert found.status == beat.status
        assert [check.output for check in found.checks if check.kind == "ttl"] == [beat.output]


def test_a_heartbeat_renews_every_ttl_check(backend: Backend, service: str) -> None:
    checks = (CheckRequest(id=f"{service}-x", ttl_ms=60_000), CheckRequest(id=f"{service}-y", ttl_ms=60_000))
    held = backend.register(registration(service, "a", 80, *checks))
    backend.heartbeat(held, Beat(), TIMEOUT_MS)
    assert [check.status for check in only(backend, service).checks if check.kind == "ttl"] == [Status.PASSING, Status.PASSING]


def test_an_instance_that_falls_silent_is_critical_and_back_with_the_next_sign(backend: Backend, service: str) -> None:
    said = registration(service, "a", 80, CheckRequest(ttl_ms=200, status="passing"))
    held = backend.register(said)
    poll_until(lambda: only(backend, service).status is Status.CRITICAL)
    held = backend.register(said)

    def back() -> bool:
        backend.heartbeat(held, Beat(), TIMEOUT_MS)
        return only(backend, service).status is Status.PASSING

    poll_until(back)


def test_who_is_not_known_any_more_is_told_so(backend: Backend, opened: Open, server: ServerProcess, service: str) -> None:
    held = backend.register(registration(service))
    opened(server.url).deregister(held, TIMEOUT_MS)
    with pytest.raises(ForgottenError):
        backend.heartbeat(held, Beat(), TIMEOUT_MS)
    backend.register(registration(service))
    backend.heartbeat(held, Beat(), TIMEOUT_MS)


def test_who_was_never_known_is_told_so(backend: Backend, service: str) -> None:
    with pytest.raises(ForgottenError):
        backend.heartbeat(Written(id="nobody", node="", namespace="", service=service, revision=0, changed=True), Beat(), TIMEOUT_MS)


def test_who_has_nothing_to_renew_is_told_so(backend: Backend, service: str) -> None:
    held = backend.register(Registration(service=service, id=f"{service}-a"))
    with pytest.raises(ForgottenError):
        backend.heartbeat(held, Beat(), TIMEOUT_MS)


# -- leaving


def test_a_drain_hides_and_shows_again(backend: Backend, service: str) -> None:
    held = backend.register(registration(service))
    with follow(backend, service) as seen:
        backend.drain(held, on=True)
        backend.drain(held, on=True)
        poll_until(lambda: (found := seen.known().get("a")) is not None and found.phase is Phase.DRAINING)
        hidden = only(backend, service)
        assert (hidden.phase, hidden.status) == (Phase.DRAINING, Status.PASSING)
        backend.heartbeat(held, Beat(), TIMEOUT_MS)
        assert only(backend, service).phase is Phase.DRAINING
        backend.drain(held, on=False)
        poll_until(lambda: seen.known()["a"].phase is Phase.SERVING)
    assert only(backend, service).phase is Phase.SERVING


def test_a_drain_outlives_a_sign_in_that_says_nothing_about_it(backend: Backend, service: str) -> None:
    held = backend.register(registration(service))
    backend.drain(held, on=True)
    backend.register(registration(service))
    assert only(backend, service).phase is Phase.DRAINING


def test_who_is_not_there_cannot_be_drained_but_signed_out(backend: Backend, service: str) -> None:
    nobody = Written(id=f"{service}-nobody", node="", namespace="", service=service, revision=0, changed=True)
    with pytest.raises(NotFoundError):
        backend.drain(nobody, on=True)
    backend.deregister(nobody, TIMEOUT_MS)


def test_who_signs_out_is_gone(backend: Backend, service: str) -> None:
    held = backend.register(registration(service))
    backend.deregister(held, TIMEOUT_MS)
    backend.deregister(held, TIMEOUT_MS)
    assert backend.instances(service, "").instances == ()


# -- reading


def test_the_list_of_services_counts_instances(backend: Backend, service: str) -> None:
    backend.register(registration(service, "a"))
    backend.drain(backend.register(registration(service, "b")), on=True)
    backend.heartbeat(backend.register(registration(service, "c")), Beat(status="warning"), TIMEOUT_MS)
    listed = backend.services("")
    found = next(summary for summary in listed.services if summary.name == service)
    assert (found.instances, found.passing, found.warning, found.critical, found.draining) == (3, 2, 1, 0, 1)
    assert listed.revision > 0


def test_a_service_that_nobody_registered_has_no_instances(backend: Backend, service: str) -> None:
    found = backend.instances(service, "")
    assert (found.service, found.instances) == (service, ())


def test_the_way_to_the_registry_is_known(backend: Backend, opened: Open) -> None:
    assert backend.local_address() == "127.0.0.1"
    assert not backend.remote
    assert opened(f"http://127.0.0.1:{free_port()}").local_address() == "127.0.0.1", "what is on this host need not run yet"
    away = opened("http://registry.invalid:8500")
    assert away.remote
    with pytest.raises(UnreachableError, match=r"http://registry\.invalid:8500: "):
        away.local_address()


def test_a_registry_that_is_not_there_is_said_so(opened: Open, service: str) -> None:
    away = opened(f"http://127.0.0.1:{free_port()}")
    held = Written(id="one", node="", namespace="", service=service, revision=0, changed=True)
    asks: list[Callable[[], object]] = [
        lambda: away.register(registration(service)),
        lambda: away.drain(held, on=True),
        lambda: away.deregister(held, TIMEOUT_MS),
        lambda: away.services(""),
        lambda: away.instances(service, ""),
    ]
    for ask in asks:
        with pytest.raises(UnreachableError):
            ask()


def test_a_digest_is_of_the_pictures_revision_if_there_is_one(backend: Backend, service: str) -> None:
    digest = backend.digest("", (service,))
    assert digest is None or digest.instances == 0


# -- following


def test_first_everything_then_each_change(backend: Backend, service: str) -> None:
    held = backend.register(registration(service, "a"))
    with follow(backend, service) as seen:
        poll_until(lambda: len(seen.changes) >= 2)
        assert seen.told() == ["added a", "ready"]
        assert seen.changes[1].services == (service,)
        backend.register(registration(service, "b"))
        seen.until("added b")
        backend.register(registration(service, "b", port=81))
        changed = [change for change in seen.until("changed b") if change.before is not None and change.instance is not None]
        assert (changed[-1].before.port if changed[-1].before else 0) == 80
        poll_until(lambda: seen.known()["b"].port == 81)
        backend.deregister(held, TIMEOUT_MS)
        gone = seen.until("removed a")[-1]
        assert not gone.inferred
        assert seen.lost == []


def test_a_service_that_nobody_registered_is_ready_at_once(backend: Backend, service: str) -> None:
    with follow(backend, service) as seen:
        seen.until("ready")
        backend.register(registration(service, "a"))
        seen.until("added a")


def test_services_may_be_included_later(backend: Backend, service: str) -> None:
    other = f"{service}-other"
    backend.register(registration(service, "a"))
    backend.register(registration(other, "b"))
    with follow(backend, service) as seen:
        seen.until("added a", "ready")
        assert seen.feed is not None
        seen.feed.include(other)
        seen.feed.include(other)
        later = seen.until("added b", start=2)
        poll_until(lambda: any(other in change.services for change in seen.changes if change.kind == "ready"))
        assert [change for change in later if change.kind == "removed"] == []
        backend.register(registration(other, "c"))
        backend.register(registration(service, "d"))
        seen.until("added c", "added d")
        assert seen.told().count("added a") == seen.told().count("added b") == 1


def test_a_restart_tells_only_differences_and_that_it_is_done(backend: Backend, service: str) -> None:
    backend.register(registration(service, "a"))
    with follow(backend, service) as seen:
        seen.until("added a", "ready")
        assert seen.feed is not None
        before = len(seen.changes)
        seen.feed.restart()
        seen.until("ready", start=before)
        assert seen.told(before) == ["ready"]
        backend.register(registration(service, "b"))
        seen.until("added b")
        assert seen.lost == []


def test_it_ends_at_once_when_another_thread_closes_it(backend: Backend, service: str) -> None:
    before = threading.active_count()
    with follow(backend, service) as seen:
        seen.until("ready")
        assert seen.feed is not None
        seen.feed.close()
        seen.thread.join(60)
        assert not seen.thread.is_alive()
        poll_until(lambda: threading.active_count() <= before)


def test_a_feed_waits_for_a_registry_that_is_not_there_yet(opened: Open, service: str) -> None:
    port = free_port()
    backend = opened(f"http://127.0.0.1:{port}")
    with follow(backend, service) as seen:
        poll_until(lambda: seen.lost)
        assert seen.changes == []
        with running_server("--dev", "--http", f"127.0.0.1:{port}"):
            seen.until("ready")
            backend.register(registration(service, "a"))
            seen.until("added a")


def test_a_registry_that_forgot_everything_only_seems_to_say_that_all_are_gone(opened: Open, service: str) -> None:
    address = ("--dev", "--http", f"127.0.0.1:{free_port()}")
    server = start_server(*address)
    backend = opened(server.url)
    held = {name: backend.register(registration(service, name)) for name in ("a", "b", "c")}
    with follow(backend, service) as seen:
        seen.until("added a", "added b", "added c", "ready")
        server.kill()
        poll_until(lambda: seen.lost)
        before = len(seen.changes)
        with running_server(*address):
            gone = seen.until("removed a", "removed b", "removed c", "ready", start=before)
            assert all(change.inferred for change in gone if change.kind == "removed")
            with pytest.raises(ForgottenError):
                backend.heartbeat(held["a"], Beat(), TIMEOUT_MS)
            backend.register(registration(service, "a"))
            seen.until("added a", start=before)


def test_a_registry_that_comes_back_as_it_was_is_told_of_though_nothing_changed(opened: Open, service: str, tmp_path: Path) -> None:
    address = ("--data", str(tmp_path), "--http", f"127.0.0.1:{free_port()}")
    server = start_server(*address)
    backend = opened(server.url)
    held = backend.register(registration(service, "a"))
    with follow(backend, service) as seen:
        seen.until("added a", "ready")
        server.kill()
        poll_until(lambda: seen.lost)
        before = len(seen.changes)
        with running_server(*address):
            seen.until("ready", start=before)
            assert "removed a" not in seen.told(before)
            backend.heartbeat(held, Beat(), TIMEOUT_MS)

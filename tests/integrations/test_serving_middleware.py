"""What the two middlewares do with one request: count it, hand its deadline on, refuse it when nobody waits, answer probes."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from callboard.client import deadline
from callboard.client.options import ServiceOptions
from callboard.integrations.base.asgi import CallboardMiddleware
from callboard.integrations.base.serving import NO_PROBES, Handles, Probes, with_port
from callboard.integrations.base.wsgi import ENVIRON_REGISTERED, CallboardWSGIMiddleware
from callboard.model.errors import InvalidError
from tests.integrations.serving_support import Counted, Got, ask_asgi, ask_wsgi


class App:
    """An application for both interfaces, which notes what it saw."""

    def __init__(self, counted: Counted) -> None:
        self.counted = counted
        self.seen: list[tuple[int, float | None]] = []
        self.fails = False

    def note(self) -> None:
        self.seen.append((self.counted.in_flight, deadline.remaining_s()))
        if self.fails:
            raise ValueError("the application's own")

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        self.note()
        await asyncio.sleep(0)
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"done"})

    def wsgi(self, environ: Any, start_response: Any) -> list[bytes]:
        self.note()
        start_response("200 OK", [])
        return [b"done"]


class Both:
    """The same request through either middleware."""

    def __init__(self, kind: str, probes: Probes = NO_PROBES) -> None:
        self.counted = Counted()
        self.app = App(self.counted)
        self._kind = kind
        health, ready, check = probes
        self._asgi = CallboardMiddleware(self.app.asgi, health_path=health, ready_path=ready, check=check, find=lambda _: self.counted)
        self._wsgi = CallboardWSGIMiddleware(self.app.wsgi, lambda _: self.counted, probes)

    def ask(self, path: str = "/", *, method: str = "GET", deadline: str = "") -> Got:
        if self._kind == "asgi":
            return ask_asgi(self._asgi, path, method=method, deadline=deadline)
        return ask_wsgi(self._wsgi, path, method=method, deadline=deadline)


kinds = pytest.mark.parametrize("kind", ["asgi", "wsgi"])


@kinds
def test_a_request_is_counted_while_it_is_under_way(kind: str) -> None:
    both = Both(kind)
    assert both.ask().body == b"done"
    assert both.app.seen == [(1, None)]
    assert both.counted.in_flight == 0


@kinds
def test_a_request_that_fails_is_not_counted_for_ever(kind: str) -> None:
    both = Both(kind)
    both.app.fails = True
    with pytest.raises(ValueError, match="own"):
        both.ask(deadline="1000")
    assert both.counted.in_flight == 0


@kinds
def test_the_callers_deadline_holds_for_the_work(kind: str) -> None:
    both = Both(kind)
    both.ask(deadline="1500")
    [(_, left)] = both.app.seen
    assert left is not None
    assert 0 < left <= 1.5
    assert deadline.remaining_s() is None, "it leaked out of the request"


@kinds
def test_expired_work_is_not_begun(kind: str) -> None:
    both = Both(kind)
    got = both.ask(deadline="0")
    assert (got.status, got.headers["content-type"]) == (504, "application/problem+json")
    assert json.loads(got.body)["code"] == "expired"
    assert both.app.seen == []


@kinds
@pytest.mark.parametrize("said", ["soon", "-5", "1.5", ""])
def test_a_deadline_that_is_no_number_is_none(kind: str, said: str) -> None:
    both = Both(kind)
    assert both.ask(deadline=said).status == 200
    assert both.app.seen == [(1, None)]


@kinds
def test_probes_are_answered_in_front_of_the_application(kind: str) -> None:
    both = Both(kind, Probes("/health", "/ready"))
    assert [both.ask(path).status for path in ("/health", "/ready")] == [200, 200]
    assert both.ask("/health", method="HEAD").status == 200
    assert both.app.seen == []
    assert both.ask("/health", method="POST").body == b"done", "only asking is a probe"


@kinds
def test_a_process_that_leaves_is_alive_but_not_ready(kind: str) -> None:
    both = Both(kind, Probes("/health", "/ready"))
    both.counted.state = "draining"
    assert both.ask("/health").status == 200
    got = both.ask("/ready")
    assert (got.status, json.loads(got.body)) == (503, {"status": "draining"})


@kinds
def test_ready_asks_what_the_application_needs(kind: str) -> None:
    there: list[bool] = []
    both = Both(kind, Probes("", "/ready", lambda: bool(there)))
    assert both.ask("/ready").status == 503
    there.append(True)
    assert both.ask("/ready").status == 200


@kinds
def test_without_paths_probes_are_the_applications_own(kind: str) -> None:
    both = Both(kind)
    assert both.ask("/health").body == b"done"
    assert both.ask("").body == b"done"


def test_a_websocket_is_not_waited_for() -> None:
    counted = Counted()
    app = App(counted)
    ask_asgi(CallboardMiddleware(app.asgi, find=lambda _: counted), kind="websocket")
    assert app.seen == [(0, None)]


def test_a_generated_answer_is_under_way_until_it_is_closed() -> None:
    counted = Counted()
    seen: list[float | None] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _ in range(2):
            seen.append(deadline.remaining_s())
            yield b"piece"

    middleware = CallboardWSGIMiddleware(app, lambda _: counted)

    def between() -> None:
        assert counted.in_flight == 1

    assert ask_wsgi(middleware, deadline="5000", between=between).body == b"piecepiece"
    assert counted.in_flight == 0
    assert all(left is not None and left <= 5 for left in seen), "the deadline holds while the answer is generated"
    assert deadline.remaining_s() is None


def test_a_list_keeps_its_length_for_the_server() -> None:
    counted = Counted()
    app = App(counted)
    answer = CallboardWSGIMiddleware(app.wsgi, lambda _: counted)({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: lambda _: None)
    assert answer == [b"done"]
    assert counted.in_flight == 0


def test_the_application_can_find_its_registration() -> None:
    counted = Counted()
    environs: list[Any] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environs.append(environ)
        start_response("204 No Content", [])
        return []

    ask_wsgi(CallboardWSGIMiddleware(app, lambda _: counted))
    assert environs[0][ENVIRON_REGISTERED] is counted


def test_the_port_is_said_or_in_the_environment_and_never_guessed() -> None:
    assert with_port({"port": 8000}, {"PORT": "9"})["port"] == 8000
    assert with_port({"version": "1"}, {"PORT": " 8080 "}) == {"version": "1", "port": 8080}
    for wrong in ("", "http", "0", "65536", "-1", "٣"):
        with pytest.raises(InvalidError, match="PORT"):
            with_port({}, {"PORT": wrong})


def test_a_handle_is_made_once_for_the_same_wish() -> None:
    made: list[object] = []

    def make(name: str, options: ServiceOptions) -> object:
        made.append((name, options))
        return object()

    handles: Handles[object] = Handles(make)
    assert handles.get("users", {"version": "^2", "tags": ("a",)}) is handles.get("users", {"tags": ("a",), "version": "^2"})
    assert handles.get("users", {}) is not handles.get("users", {"version": "^2"})
    assert len(made) == 3

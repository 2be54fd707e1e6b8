"""The Flask extension in one process: who begins it, what configuration says, what belongs to one application."""

import gc
import socket
import threading
from typing import Any

import flask
import pytest

from callboard.client.registered import Registered
from callboard.integrations.base.lazily import KNOCK_PATH
from callboard.integrations.base.wsgi import ENVIRON_REGISTERED
from callboard.integrations.flask import Callboard
from callboard.model.errors import InvalidError
from tests.support import poll_until

NOWHERE = "http://127.0.0.1:9"


def made(extension: Callboard | None = None, **config: Any) -> tuple[flask.Flask, Callboard]:
    app = flask.Flask("orders")
    app.config.update(CALLBOARD_URL=NOWHERE, **config)
    extension = extension or Callboard(service="orders", port=1)
    extension.init_app(app)

    @app.get("/")
    def index() -> str:
        registered = extension.registered
        return f"{registered.in_flight} {registered.service}" if registered is not None else "nobody"

    return app, extension


def current(app: flask.Flask, extension: Callboard) -> Registered | None:
    with app.app_context():
        return extension.registered


def test_the_first_request_begins_it_and_is_counted() -> None:
    app, extension = made()
    assert current(app, extension) is None
    with app.test_client().get("/") as answer:
        assert answer.get_data(as_text=True) == "1 orders"
    registered = current(app, extension)
    assert registered is not None
    assert registered is extension.begin(app)
    assert registered.in_flight == 0
    registered.close()


def test_the_knock_begins_it_and_says_nothing() -> None:
    app, extension = made()
    answer = app.test_client().get(KNOCK_PATH)
    assert (answer.status_code, answer.data) == (204, b"")
    with app.app_context():
        assert extension.registered is not None
        extension.board.close()


def test_an_option_that_no_registry_takes_is_refused_at_once() -> None:
    with pytest.raises(InvalidError, match="weight"):
        made(Callboard(service="orders", port=1, weight=-1))


def test_a_request_is_served_whatever_becomes_of_the_registration(caplog: pytest.LogCaptureFixture) -> None:
    app, extension = made()
    with app.app_context():
        extension.board.close()
    assert [app.test_client().get("/").text for _ in range(2)] == ["nobody", "nobody"]
    assert [record.message for record in caplog.records if "orders is not signed in: this board was closed" in record.message] != []
    assert len(caplog.records) == 1


def test_gunicorns_registration_is_taken_where_there_is_one() -> None:
    app, extension = made()
    other, other_extension = made(Callboard(service="told", port=1))
    told = other_extension.begin(other)
    app.test_client().get("/", environ_overrides={ENVIRON_REGISTERED: told})
    with app.app_context():
        assert extension.registered is None
    with other.app_context():
        other_extension.board.close()


def test_configuration_says_what_the_program_does_not() -> None:
    app, extension = made(Callboard(), CALLBOARD_SERVICE="users", CALLBOARD_PORT="1")
    assert extension.begin(app).service == "users"
    assert extension.begin(app).port == 1
    with app.app_context():
        extension.board.close()


@pytest.mark.parametrize("config", [{"CALLBOARD_ENABLED": False}, {}], ids=["switched off", "no service"])
def test_nothing_is_signed_in_but_others_can_be_found(config: dict[str, bool]) -> None:
    app, extension = made(Callboard(service="orders" if config else "", port=1), **config)
    assert app.test_client().get("/").text == "nobody"
    with pytest.raises(InvalidError, match="service"):
        extension.begin(app)
    with app.app_context():
        assert extension.service("users", version="^2") is extension.service("users", version="^2")
        extension.board.close()


def test_what_belongs_to_one_application_stays_with_it() -> None:
    extension = Callboard(service="orders", port=1)
    one, _ = made(extension)
    other, _ = made(extension)
    with one.app_context():
        board = extension.board
    with other.app_context():
        assert extension.board is not board


def test_an_application_that_was_not_given_to_it_is_told_so() -> None:
    with flask.Flask("other").app_context(), pytest.raises(InvalidError, match="init_app"):
        _ = Callboard(service="orders", port=1).board


def test_without_a_port_it_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    with pytest.raises(InvalidError, match="port"):
        made(Callboard(service="orders"))


def test_under_gunicorn_a_port_is_not_asked_for_because_its_hooks_know_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("SERVER_SOFTWARE", "gunicorn/27.0.1")
    app, extension = made(Callboard(service="orders", ready="/ready"))
    other, other_extension = made(Callboard(service="told", port=1))
    told = other_extension.begin(other)
    assert app.test_client().get("/", environ_overrides={ENVIRON_REGISTERED: told}).text == "nobody"
    assert caplog.records == []
    assert [app.test_client().get("/").text for _ in range(2)] == ["nobody", "nobody"]
    assert [record.message for record in caplog.records if "integrations.gunicorn.hooks" in record.message] != []
    assert len(caplog.records) == 1
    with app.app_context():
        assert extension.service("users").finder.service == "users"
        extension.board.close()
    with other.app_context():
        other_extension.board.close()


def test_under_gunicorn_too_what_no_registry_takes_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("SERVER_SOFTWARE", "gunicorn/27.0.1")
    with pytest.raises(InvalidError, match="weight"):
        made(Callboard(service="orders", weight=-1))


def test_nobody_knocks_for_an_application_that_is_gone() -> None:
    app, extension = made()
    assert knocking()
    del app, extension
    gc.collect()
    poll_until(lambda: not knocking())


def test_nobody_knocks_in_gunicorns_master(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()
    poll_until(lambda: not knocking())
    monkeypatch.setenv("SERVER_SOFTWARE", "gunicorn/27.0.1")
    made()
    assert not knocking()


def knocking() -> bool:
    return any(thread.name == "callboard-knock" for thread in threading.enumerate())


def test_nobody_knocks_again_where_somebody_accepts_who_speaks_something_else() -> None:
    gc.collect()
    poll_until(lambda: not knocking())
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(10)
        app, extension = made(Callboard(service="orders", port=other.getsockname()[1]))
        for _ in range(2):  # once as HTTP, once over TLS
            other.accept()[0].close()
        poll_until(lambda: not knocking())
    assert current(app, extension) is None

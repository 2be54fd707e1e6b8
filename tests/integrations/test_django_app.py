"""The Django application in one process: what `manage.py check` finds, and what the middleware does, called and awaited."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import django
import pytest
from django.conf import settings
from django.core import checks
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings

from callboard.client import deadline
from callboard.integrations.base.serving import Handles, Probes
from callboard.integrations.base.wsgi import ENVIRON_REGISTERED
from callboard.integrations.django.conf import SETTING, options_of, read
from callboard.model.errors import InvalidError
from tests.integrations.serving_support import Counted

MIDDLEWARE = "callboard.integrations.django.middleware.CallboardMiddleware"

if not settings.configured:
    settings.configure(INSTALLED_APPS=["callboard.integrations.django"], MIDDLEWARE=[MIDDLEWARE], CALLBOARD={}, USE_TZ=True)
    django.setup()


def found(said: object, **more: Any) -> list[tuple[str, str, str]]:
    """What the checks say: id, message and hint."""
    with override_settings(**{SETTING: said, **more}):
        return [(str(one.id), one.msg, one.hint) for one in checks.run_checks() if str(one.id).startswith("callboard.")]


@pytest.fixture(autouse=True)
def no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name == "PORT" or name.startswith("CALLBOARD_")]:
        monkeypatch.delenv(name)


def test_a_good_setting_has_nothing_to_say() -> None:
    assert found({"SERVICE": "orders", "PORT": 8000, "TAGS": ["a"], "META": {"team": "blue"}}) == []
    assert found({}) == []
    assert found({"SERVICE": "orders", "ENABLED": False}, MIDDLEWARE=[]) == []


def test_a_misspelt_key_is_an_error_that_names_the_right_one() -> None:
    [(number, message, hint)] = found({"SERVCE": "orders"})
    assert number == "callboard.E001"
    assert "SERVCE" in message
    assert hint == "Did you mean 'SERVICE' instead of 'SERVCE'?"


def test_a_value_of_the_wrong_kind_is_an_error_that_names_the_key() -> None:
    [(number, message, hint)] = found({"SERVICE": "orders", "PORT": "8000"})
    assert (number, message) == ("callboard.E001", "CALLBOARD['PORT']: Expected `int | null`, got `str`")
    assert "SERVICE, URL" in hint
    [(number, message, _)] = found(["orders"])
    assert (number, message) == ("callboard.E001", "CALLBOARD: must be a dictionary, not list")


def test_a_service_without_a_port_is_an_error_that_says_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    [(number, _, hint)] = found({"SERVICE": "orders"})
    assert number == "callboard.E002"
    assert "CALLBOARD['PORT']" in hint
    assert "hooks" in hint
    monkeypatch.setenv("PORT", "8000")
    assert found({"SERVICE": "orders"}) == []


def test_a_wrong_url_is_an_error() -> None:
    [(number, _, hint)] = found({"URL": "ftp://registry"})
    assert number == "callboard.E003"
    assert "CALLBOARD['URL']" in hint


def test_an_option_that_the_registry_would_refuse_is_an_error() -> None:
    [(number, message, _)] = found({"SERVICE": "orders", "PORT": 8000, "WEIGHT": -1})
    assert number == "callboard.E004"
    assert "weight" in message


def test_a_missing_middleware_is_a_warning() -> None:
    [(number, _, hint)] = found({"SERVICE": "orders", "PORT": 8000}, MIDDLEWARE=[])
    assert number == "callboard.W001"
    assert MIDDLEWARE in hint


def test_only_what_was_said_is_told_on() -> None:
    assert options_of(read({"SERVICE": "orders", "PORT": 8000, "TAGS": ["a"]})) == {"port": 8000, "tags": ("a",)}
    with pytest.raises(InvalidError, match="PORT"):
        read({"PORT": 0.5})


class Held:
    """What the middleware finds, without a registry."""

    def __init__(self, counted: Counted) -> None:
        self.counted = counted
        self.lazily = self
        self.probes = Probes("/health", "/ready")
        self.services: Handles[object] = Handles(lambda name, options: object())
        self.times = 0

    def begun(self) -> Counted:
        self.times += 1
        return self.counted

    def knock(self) -> None:
        pass


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    from django.apps import apps

    held = Held(Counted())
    monkeypatch.setitem(apps.get_app_config("callboard").__dict__, "held", held)
    return held


def ask(view: Any, path: str = "/", *, awaited: bool, **headers: Any) -> HttpResponse:
    """One request through the middleware, as the handler around it makes it."""
    from callboard.integrations.django.middleware import CallboardMiddleware

    request = RequestFactory().get(path, **headers)
    if not awaited:
        return CallboardMiddleware(view)(request)

    async def view_awaited(request: HttpRequest) -> HttpResponse:
        return view(request)

    async def whole() -> HttpResponse:
        return await CallboardMiddleware(view_awaited)(request)

    return asyncio.run(whole())


both = pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])


@both
def test_a_request_begins_it_and_is_counted(held: Held, awaited: bool) -> None:
    seen: list[Any] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append((held.counted.in_flight, deadline.remaining_s()))
        return HttpResponse("done")

    assert ask(view, awaited=awaited).content == b"done"
    assert ask(view, awaited=awaited, HTTP_X_DEADLINE_MS="1000").content == b"done"
    assert seen[0] == (1, None)
    assert 0 < seen[1][1] <= 1
    assert (held.counted.in_flight, held.times) == (0, 2)


@both
def test_a_view_that_fails_is_not_counted_for_ever(held: Held, awaited: bool) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        raise ValueError("the view's own")

    with pytest.raises(ValueError, match="own"):
        ask(view, awaited=awaited)
    assert held.counted.in_flight == 0


@both
def test_expired_work_is_not_begun_and_probes_are_answered(held: Held, awaited: bool) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        raise AssertionError("it was begun")

    assert ask(view, awaited=awaited, HTTP_X_DEADLINE_MS="0").status_code == 504
    assert [ask(view, path, awaited=awaited).status_code for path in ("/health", "/ready", "/.well-known/callboard")] == [200, 200, 204]
    held.counted.state = "draining"
    assert [ask(view, path, awaited=awaited).status_code for path in ("/health", "/ready")] == [200, 503]


def test_gunicorns_registration_is_taken_where_there_is_one(held: Held) -> None:
    told = Counted()
    environ: dict[str, Any] = {ENVIRON_REGISTERED: told}
    ask(lambda request: HttpResponse(), awaited=False, **environ)
    assert (told.most, held.times) == (1, 0)


@pytest.mark.parametrize("read_it", [True, False], ids=["read", "left"])
def test_a_streamed_answer_is_under_way_until_it_is_closed(held: Held, read_it: bool) -> None:
    def pieces() -> Iterator[bytes]:
        assert held.counted.in_flight == 1
        yield b"piece"

    response = ask(lambda request: StreamingHttpResponse(pieces()), awaited=False)
    assert held.counted.in_flight == 1
    if read_it:
        assert b"".join(response.streaming_content) == b"piece"
    response.close()
    assert held.counted.in_flight == 0


def test_an_awaited_streamed_answer_too(held: Held) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        assert held.counted.in_flight == 1
        yield b"piece"

    response = ask(lambda request: StreamingHttpResponse(pieces()), awaited=True)

    async def whole() -> bytes:
        return b"".join([piece async for piece in response])

    assert asyncio.run(whole()) == b"piece"
    response.close()
    assert held.counted.in_flight == 0

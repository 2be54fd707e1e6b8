"""What the calling integrations share, without any library."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.integrations.base import calls
from callboard.integrations.base.calls import Handles, redirect_target, retry_after_s, shorter
from callboard.model.errors import InvalidError


class Offers:
    """A board that makes nothing but notes."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Any]] = []

    def service(self, name: str, **options: Any) -> str:
        self.made.append((name, options))
        return f"{name}-{len(self.made)}"


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/b", "svc://orders/b"),
        ("c?x=1#y", "svc://orders/a/c?x=1#y"),
        ("../b", "svc://orders/b"),
        ("?q=1", "svc://orders/a/b?q=1"),
        ("//orders/b", "svc://orders/b"),
        ("http://orders/b", "svc://orders/b"),
        ("https://orders/b", "svc://orders/b"),
        ("svc://orders/b", "svc://orders/b"),
        ("http://10.0.0.1:8000/b?x", "svc://orders/b?x"),
        ("http://10.0.0.1:9000/b", "http://10.0.0.1:9000/b"),
        ("https://elsewhere.example/b", "https://elsewhere.example/b"),
        ("svc://users/b", "svc://users/b"),
        ("http://user@orders/b", "svc://orders/b"),
    ],
)
def test_a_redirect_leads_to_the_service_again_or_away(location: str, leads_to: str) -> None:
    assert redirect_target(location, "svc://orders/a/b", "10.0.0.1:8000") == leads_to


def test_a_redirect_keeps_the_user_of_the_logical_url() -> None:
    assert redirect_target("http://orders/b", "svc://me:secret@orders/a") == "svc://me:secret@orders/b"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("12", 12.0),
        ("-1", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("\u0661", None),
    ],
)
def test_retry_after_is_read_or_ignored(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    wait_s = retry_after_s("Fri, 31 Dec 2100 23:59:59 GMT")
    assert wait_s is not None
    assert wait_s > 86_400


@given(st.text())
def test_retry_after_bears_anything(text: str) -> None:
    found = retry_after_s(text)
    assert found is None or found >= 0


def test_no_limit_is_none() -> None:
    assert shorter(None, float("inf")) is None
    assert shorter(None, 2.0) == 2.0
    assert shorter(1.0, 2.0) == 1.0
    assert shorter(1.0, float("inf")) == 1.0


def test_a_handle_is_made_once_for_each_name() -> None:
    board = Offers()
    handles: Handles[str] = Handles(board, {"Orders": {"version": "^2"}, "old": {"service": "orders", "version": "1.x"}}, zone="a")
    assert handles.of("orders") == handles.of("orders") == "Orders-1"
    assert handles.of("old") == "orders-2"
    assert handles.of("users") == "users-3"
    assert board.made == [("Orders", {"version": "^2", "zone": "a"}), ("orders", {"version": "1.x", "zone": "a"}), ("users", {"zone": "a"})]


def test_names_that_differ_in_case_only_are_refused() -> None:
    with pytest.raises(InvalidError, match="differ in case"):
        Handles(Offers(), {"Orders": {}, "orders": {}})


def test_names_that_strangers_make_up_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SERVICES_MAX_COUNT", 3)
    handles: Handles[str] = Handles(Offers())
    for number in range(3):
        handles.of(f"s{number}")
    with pytest.raises(InvalidError, match="at most 3 services"):
        handles.of("one-too-many")
    assert handles.of("s0") == "s0-1"


@pytest.mark.parametrize("wrong", [["orders"], "orders", {"orders": "^2"}, {"orders": None}, {1: {}}])
def test_services_that_could_not_be_meant_are_refused_when_said(wrong: Any) -> None:
    with pytest.raises(InvalidError, match=r'services: .*\{"orders": \{"version": "\^2"\}\}'):
        Handles(Offers(), wrong)


def test_a_misspelt_option_of_a_service_is_refused_when_the_client_is_made() -> None:
    with pytest.raises(TypeError, match=r"services\['orders'\] got an unexpected argument 'versoin'; it takes .*version"):
        Handles(Offers(), {"orders": {"versoin": "^2"}})  # type: ignore[typeddict-unknown-key]

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.wire import native
from callboard.wire.native_decoding import decode
from callboard.wire.parameters import flag, known_parameters, number
from callboard.wire.url import Query

REQUESTS = (native.Registration, native.Beat, native.Beats)
CHECKS = (native.CheckRequest(ttl_ms=10), native.CheckRequest(tcp="a:1"))
GOOD = msgspec.json.encode(native.Registration(service="web", id="ä", port=80, tags=("blue",), meta={"zone": "a"}, checks=CHECKS))
NAMES = st.sampled_from(["service", "checks", "beats", "id"]) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def refusal(body: bytes, to: type[msgspec.Struct] = native.Registration) -> tuple[str, str]:
    """Field and problem."""
    with pytest.raises(InvalidError) as caught:
        decode(body, to)
    return caught.value.field, caught.value.problem


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ('{"service": "web", "sevice": 1}', "sevice", "no such field"),
        ('{"service": "web", "checks": [{"ttl": 1}]}', "checks[0].ttl", "no such field"),
        ('{"service": "web", "checks": [{"ttl_ms": "1s"}]}', "checks[0].ttl_ms", "expected int, got str"),
        ('{"service": "web", "checks": [{"ttl_ms": -1}]}', "checks[0].ttl_ms", "expected int >= 0"),
        ('{"service": "web", "checks": [{"ttl_ms": 1e30}]}', "checks[0].ttl_ms", "expected int, got float"),
        ('{"service": "web", "checks": [{"ttl_ms": 99999999999999999999}]}', "checks[0].ttl_ms", "expected int <= 315360000000"),
        ('{"service": "web", "meta": {"a": 1}}', "meta[...]", "expected str, got int"),
        ('{"service": null}', "service", "expected str, got null"),
        ("{}", "service", "is missing"),
        ('{"service": "web", "weights": {"x": 1}}', "weights.x", "no such field"),
        ("[]", "body", "expected object, got array"),
    ],
)
def test_what_is_refused_is_refused_by_name(body: str, field: str, problem: str) -> None:
    assert refusal(body.encode()) == (field, problem)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'"\\ud800"', b'{"service":"\xff"}', b"nul", b"[" * 100_000, b"\xef\xbb\xbf{}"])
def test_what_is_no_json_is_the_bodys_fault(body: bytes) -> None:
    assert refusal(body)[0] == "body"


def test_a_hostile_field_name_is_shown_cut_and_as_it_is() -> None:
    field, _ = refusal(json.dumps({"service": "a", "` - at `$.port`" + "x" * 300: 1}).encode())
    assert len(field) <= 200


def names_something(body: bytes, to: type[msgspec.Struct]) -> bool:
    """Whether a body is taken, or refused with a field and a problem."""
    try:
        decode(body, to)
    except InvalidError as error:
        return bool(error.field and error.problem)
    return True


@given(st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_value_or_a_refusal_that_names_something(body: bytes) -> None:
    assert all(names_something(body, request) for request in REQUESTS)


@given(st.integers(0, len(GOOD)), st.binary(max_size=2))
def test_a_body_cut_or_damaged_anywhere_is_a_value_or_a_refusal(place: int, damage: bytes) -> None:
    assert names_something(GOOD[:place], native.Registration)
    assert names_something(GOOD[:place] + damage + GOOD[place + len(damage) :], native.Registration)


def test_what_is_written_is_read_back() -> None:
    for request in (
        native.Registration(service="web"), msgspec.json.decode(GOOD, type=native.Registration), native.Beat(status="warning", output=""),
        native.Beats((native.BeatTarget(id="a", namespace="b", node="c"),)),
    ):  # fmt: skip
        assert decode(msgspec.json.encode(request), type(request)) == request


def test_answers_with_fields_of_a_newer_server_are_read() -> None:
    body = b'{"services":[],"revision":3,"new":{"deep":[1]}}'
    assert msgspec.json.decode(body, type=native.ServiceList) == native.ServiceList((), 3)


# -- parameters


@pytest.mark.parametrize(
    ("raw", "value"), [("", False), ("a", True), ("a=", True), ("a=true", True), ("a=1", True), ("a=0", False), ("a=false", False)]
)
def test_a_flag_is_true_by_being_there(raw: str, value: Any) -> None:
    assert flag(Query(raw), "a") is value


@pytest.mark.parametrize(("raw", "value"), [("", None), ("a=0", 0), ("a=007", 7), ("a=" + "9" * 18, 10**18 - 1)])
def test_numbers_are_whole(raw: str, value: Any) -> None:
    assert number(Query(raw), "a") == value


@pytest.mark.parametrize("raw", ["a=", "a=-1", "a=1.0", "a=1e3", "a=%D9%A3", "a=" + "9" * 19, "a=x"])
def test_anything_else_is_no_number(raw: str) -> None:
    with pytest.raises(InvalidError, match=r"^a: "):
        number(Query(raw), "a")


def test_unknown_parameters_are_named_with_those_there_are() -> None:
    known_parameters(Query("a=1&b=2&a=3"), frozenset({"a", "b"}))
    with pytest.raises(InvalidError, match=r"^c: no such parameter here; there are: a, b$"):
        known_parameters(Query("a=1&c"), frozenset({"b", "a"}))
    with pytest.raises(InvalidError, match="none"):
        known_parameters(Query("c"), frozenset())

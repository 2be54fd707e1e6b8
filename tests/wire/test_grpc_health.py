"""The health question of gRPC as bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.model.errors import InvalidError
from callboard.wire.grpc_health import error_text, request, serving_status, status_name


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize(
    ("service", "data"),
    [("", b"\0\0\0\0\0"), ("web", b"\0\0\0\0\x05\x0a\x03web"), ("x" * 300, b"\0\0\0\x01\x2f\x0a\xac\x02" + b"x" * 300)],
)
def test_the_question_names_the_service(service: str, data: bytes) -> None:
    assert request(service) == data


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"", 0), (b"\x08\x01", 1), (b"\x08\x02", 2), (b"\x08\x01\x08\x03", 3), (b"\x12\x02ab\x08\x01", 1), (b"\x18\x96\x01\x08\x01", 1),
        (b"\x25abcd\x08\x02", 2), (b"\x21abcdefgh\x08\x02", 2),
    ],
)  # fmt: skip
def test_the_answer_is_found_among_fields_that_are_not_known(message: bytes, status: int) -> None:
    assert serving_status(framed(message)) == status


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0\0\0", b"\0\0\0\0\x02\x08", b"\x01\0\0\0\x02\x08\x01", framed(b"\x08"), framed(b"\x08" + b"\xff" * 20),
        framed(b"\x12\x05a"), framed(b"\x0b"), framed(b"\x08\x01") * 2, framed(b"\x25a"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(InvalidError):
        serving_status(data)


@given(st.binary(max_size=40))
def test_nothing_a_peer_sends_does_any_other_harm(message: bytes) -> None:
    with contextlib.suppress(InvalidError):
        assert serving_status(framed(message)) >= 0


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_peer_says_went_wrong_can_be_told(code: str, message: str) -> None:
    assert error_text(code, message).startswith("rpc error: code = ")


def test_errors_and_statuses_have_gos_names() -> None:
    assert error_text("5", "unknown service%21") == "rpc error: code = NotFound desc = unknown service!"
    assert error_text("99", "x") == "rpc error: code = 99 desc = x"
    assert [status_name(status) for status in (0, 1, 2, 3, 9)] == ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN", "9"]

"""Consul says what is wrong in plain text: it is told on, and what programs must tell apart is told apart."""

import pytest

from callboard.client.consul.refusals import error_of, is_forgotten, is_gone
from callboard.client.errors import (
    AmbiguousError,
    ClientError,
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    ProblemError,
    ProtocolError,
    UnavailableError,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequestError), (401, DeniedError), (403, DeniedError), (404, NotFoundError), (405, InvalidRequestError),
        (409, AmbiguousError), (413, InvalidRequestError), (429, UnavailableError), (500, UnavailableError), (503, UnavailableError),
        (301, ProtocolError),
    ],
)  # fmt: skip
def test_a_status_is_an_error_of_its_own(status: int, kind: type[ClientError]) -> None:
    error = error_of(status, b"it is so\n", "http://h:1")
    assert type(error) is kind
    if isinstance(error, ProblemError):
        assert (str(error), error.status, error.problem_code) == ("it is so", status, f"consul_{status}")


def test_what_is_no_consul_is_said_so() -> None:
    for body in (b"Invalid URL path: not a recognized HTTP API endpoint\n", b"<html>no</html>"):
        assert isinstance(error_of(404, body, "http://h:1"), ProtocolError)


def test_texts_are_short_and_never_empty() -> None:
    assert str(error_of(500, b"", "u")) == "status 500"
    assert len(str(error_of(500, b"\xff" * 10_000, "u"))) <= 200


def test_a_page_for_people_is_told_on_as_one_short_line() -> None:
    page = b"<!DOCTYPE html>\n<html>\r\n  <head>\t\x1b[31m\n" + b"<p>nothing</p>\n" * 1_000 + b"</html>\n"
    for status in (401, 404, 405, 500, 501):
        message = str(error_of(status, page, "http://h:1"))
        assert message.isprintable()
        assert "<!DOCTYPE html> <html> <head>" in message
        assert len(message) < 400
    assert str(error_of(405, page, "u")).endswith("</html>")


@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("", 0), ("soon", 0), ("-1", 0)])
def test_a_wish_to_be_left_alone_is_told_on(said: str, seconds: int) -> None:
    error = error_of(503, b"later", "u", said)
    assert isinstance(error, UnavailableError)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize(
    ("status", "text", "forgotten", "gone"),
    [
        (404, 'Unknown check ID "service:a". Ensure that the check ID is passed, not the check name.', True, True),
        (500, 'Unknown check ID "service:a"', True, False),
        (500, 'CheckID "service:a" does not have associated TTL', True, False),
        (500, 'Unknown service "a"', False, True),
        (500, "No cluster leader", False, False),
        (403, "Permission denied", False, False),
    ],
)
def test_every_way_to_say_that_it_is_not_there(status: int, text: str, forgotten: bool, gone: bool) -> None:
    error = error_of(status, text.encode(), "u")
    assert isinstance(error, ProblemError)
    assert (is_forgotten(error), is_gone(error)) == (forgotten, gone)


def test_an_id_of_the_greatest_length_hides_nothing_that_tells_what_it_was() -> None:
    error = error_of(500, f'CheckID "service:{"a" * 255}" does not have associated TTL'.encode(), "u")
    assert isinstance(error, ProblemError)
    assert is_forgotten(error)

import pytest

from callboard.client.settings import DEFAULT_URL, ClientSettings, from_environment, parse_base
from callboard.model.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("http://127.0.0.1:8500", "http://127.0.0.1:8500"),
        ("127.0.0.1:8500", "http://127.0.0.1:8500"),
        ("localhost", "http://localhost:8500"),
        ("http://board.example", "http://board.example:80"),
        ("http://[::1]:7/x/", "http://[::1]:7/x"),
    ],
)
def test_urls_as_people_write_them(text: str, base: str) -> None:
    assert str(parse_base(text)) == base


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftps://board.example", "http://HOST:PORT"),
        ("ftp://board.example", "http://HOST:PORT"),
        ("http://", "http://HOST:PORT"),
        ("http://host:port", "http://HOST:PORT"),
        ("http://host:99999", "http://HOST:PORT"),
        ("http://user@host", "token goes into CALLBOARD_TOKEN"),
        ("http://host/?x=1", "query"),
        ("http://ho st", "space"),
        ("http://h\x7f", "http://HOST:PORT"),
    ],
)
def test_what_is_no_url_is_refused_with_the_next_step(text: str, why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        ClientSettings(urls=(text,))


def test_callboard_url_comes_before_consul_http_addr_and_the_argument_before_both() -> None:
    both = {"CALLBOARD_URL": "http://a:1, b:2,", "CONSUL_HTTP_ADDR": "c:3", "CALLBOARD_TOKEN": "t"}
    assert from_environment({}).urls == (DEFAULT_URL,)
    assert from_environment({"CONSUL_HTTP_ADDR": "c:3"}).urls == ("c:3",)
    assert from_environment(both).urls == ("http://a:1", "b:2")
    assert from_environment(both, urls=("d:4",)).urls == ("d:4",)
    assert from_environment(both).token == "t"
    assert from_environment(both, timeout_ms=7).timeout_ms == 7
    assert from_environment({"CALLBOARD_URL": ""}).urls == (DEFAULT_URL,)


@pytest.mark.parametrize(
    "values", [{"urls": ()}, {"token": "a\nb"}, {"token": "ä"}, {"timeout_ms": 0}, {"silence_max_ms": 0}, {"idle_max_count": -1}]
)
def test_limits_are_named(values: dict[str, object]) -> None:
    with pytest.raises(InvalidError):
        ClientSettings(**values)  # type: ignore[arg-type]  # wrong on purpose

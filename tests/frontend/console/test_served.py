"""The page over real sockets, and the way to it from `/`."""

import gzip
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import NamedTuple

import pytest

from callboard.frontend.console.assets import load
from callboard.frontend.console.plugin import STATIC
from tests.servers import ServerProcess, running_server

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class Got(NamedTuple):
    status: int
    fields: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server("--dev") as process:
        yield process


def get(server: ServerProcess, path: str, **headers: str) -> Got:
    with closing(HTTPConnection(*server.http, timeout=60)) as connection:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def test_a_browser_is_led_to_the_page_and_a_program_is_told_what_there_is(server: ServerProcess) -> None:
    found = get(server, "/", accept=BROWSER)
    assert (found.status, found.fields["location"]) == (302, "/ui")
    for fields in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
        listed = get(server, "/", **fields)
        assert listed.status == 200
        assert b"/ui" in listed.body
    assert get(server, "/ui", accept=BROWSER).fields["content-type"] == "text/html; charset=utf-8"


def test_files_are_sent_compressed_to_who_takes_that(server: ServerProcess) -> None:
    assets = load()
    for path in ("app.js", "style.css", "vendor/preact.js"):
        plain = get(server, f"{STATIC}{assets.digest}/{path}")
        packed = get(server, f"{STATIC}{assets.digest}/{path}", accept_encoding="gzip")
        assert plain.body == assets.files[path].body
        assert gzip.decompress(packed.body) == plain.body
        assert len(packed.body) < len(plain.body)
        assert packed.fields["etag"] == plain.fields["etag"]
        assert packed.fields["etag"].startswith("W/")


def test_what_a_browser_has_is_not_sent_again(server: ServerProcess) -> None:
    first = get(server, "/ui")
    again = get(server, "/ui", if_none_match=first.fields["etag"])
    assert (again.status, again.body) == (304, b"")

"""The relay that notes what foreign clients ask changes nothing, counts every answer once, and knows each path's line on the page."""

import http.server
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from callboard.net import threads
from tests.interop.exercised import lines_of
from tests.interop.programs import Witness
from tests.interop.recording import Noted, recorded

BODY = bytes(range(256)) * 1000


class Answers(http.server.BaseHTTPRequestHandler):
    """The path says with what: in chunks, with nothing, or with what was sent."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for part in (BODY[:1000], BODY[1000:]):
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threads.start(server.serve_forever, name="answers")
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


def test_what_passes_is_unchanged_and_counted(address: tuple[str, int]) -> None:
    with recorded(*address) as recorder:
        connection = HTTPConnection("127.0.0.1", recorder.port, timeout=60)
        for method, path, status in (
            ("PUT", "/v1/a%20b?x=1", 200),
            ("GET", "/v1/chunks", 200),
            ("PUT", "/v1/missing", 404),
            ("PUT", "/v1/a%20b", 200),
        ):
            connection.request(method, path, BODY if method == "PUT" else None)
            response = connection.getresponse()
            assert (response.status, response.read()) == (status, BODY)
        connection.close()
    assert recorder.noted == {Noted("PUT", "/v1/a b", 200): 2, Noted("GET", "/v1/chunks", 200): 1, Noted("PUT", "/v1/missing", 404): 1}


def asked(connection: HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    return connection.getresponse().status


def test_a_server_that_is_gone_ends_the_connection(address: tuple[str, int]) -> None:
    host, _ = address
    with recorded(host, 1) as recorder:
        connection = HTTPConnection("127.0.0.1", recorder.port, timeout=60)
        with pytest.raises(OSError, match=r"closed|reset|aborted"):
            asked(connection, "/")
        connection.close()


def test_every_path_has_its_line() -> None:
    noted = Counter({
        Noted("GET", "/v1/agent/service/web1", 200): 2, Noted("GET", "/v1/agent/service/none", 404): 1,
        Noted("GET", "/v1/agent/check/pass/web", 200): 3, Noted("GET", "/v1/agent/service/deregister/a/b", 200): 1,
        Noted("GET", "/ui", 200): 1,
    })  # fmt: skip
    assert [(line.method, line.route, line.status_counts) for line in lines_of("old", "1", noted)] == [
        ("PUT", "/v1/agent/check/pass/:id", {"200": 3}),
        ("GET", "/v1/agent/service/:id", {"200": 2, "404": 1}),
        ("PUT", "/v1/agent/service/deregister/:id", {"200": 1}),
    ]
    with pytest.raises(AssertionError, match=r"/v1/nothing, which"):
        lines_of("old", "1", Counter({Noted("GET", "/v1/nothing", 404): 1}))


def test_a_program_whose_story_failed_once_is_not_told_of() -> None:
    witness = Witness()
    for test, held in (
        ("test_dig_finds_all", True),
        ("test_dig_finds_all", False),
        ("test_dig_finds_all", True),
        ("test_kdig_asks", True),
        ("test_we_ask", True),
    ):
        witness.saw(test, held=held)
    assert witness.held == {"dig": {"finds all": False}, "kdig": {"asks": True}}

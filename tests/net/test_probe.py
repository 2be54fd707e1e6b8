"""Probes against real sockets."""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

import pytest

from callboard.core.health import ProbeResult
from callboard.model.check import HttpCheck, Status, TcpCheck
from callboard.model.time import SECOND
from callboard.net.client import Incoming, Outgoing, RequestError, _redirected
from callboard.net.probe import probe_http, probe_tcp
from tests.net.running import Run
from tests.support import PATIENCE_S, repeated_if_stopped

P, W, C = Status.PASSING, Status.WARNING, Status.CRITICAL


class Server:
    """Listens on a free port, answers one connection after the other, and keeps the requests. Blocking sockets, in a thread."""

    def __init__(self, handle: "Handler", host: str = "127.0.0.1") -> None:
        self.requests: list[bytes] = []
        self.over = threading.Event()
        self._handle = handle
        self._listening = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                self._one(connection)

    def _one(self, connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (data := connection.recv(65_536)):
                return
            request += data
        head, _, body = request.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), 0)
        while len(body) < length:
            body += connection.recv(65_536)
        self.requests.append(head + b"\r\n\r\n" + body)
        self._handle(self, head, connection)


Handler = Callable[[Server, bytes, socket.socket], None]


def answering(*pieces: bytes, stay: bool = False) -> Handler:
    """Writes these, one after the other, and closes, or stays until the end."""

    def handle(server: Server, _head: bytes, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            server.over.wait(0.002)
        if stay:
            server.over.wait(5)

    return handle


def http(port: int, **more: Any) -> HttpCheck:
    """A check of the server on `port`."""
    path = more.pop("path", "/health")
    return HttpCheck(f"http://127.0.0.1:{port}{path}", SECOND, **more)


def asked(run: Run, handle: Handler, timeout_s: float = PATIENCE_S, **more: Any) -> ProbeResult:
    """What a probe of a server with this handler finds."""
    with Server(handle) as server:
        return run(probe_http(http(server.port, **more), timeout_s))


def output(result: ProbeResult) -> str:
    """The output after the first line."""
    return result.output.partition(" Output: ")[2]


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"


@pytest.mark.parametrize(
    ("first_line", "status"),
    [
        (b"200 OK", P), (b"204 No Content", P), (b"299 Odd", P), (b"429 Too Many Requests", W),
        (b"301 Moved", C), (b"404 Not Found", C), (b"500 Oops", C), (b"503 Service Unavailable", C),
    ],
)  # fmt: skip
def test_the_status_of_the_answer_decides(run: Run, first_line: bytes, status: Status) -> None:
    result = asked(run, answering(b"HTTP/1.1 " + first_line + b"\r\nContent-Length: 0\r\n\r\n"))
    assert result.status is status
    assert f"/health: {first_line.decode()} Output: " in result.output
    assert result.output.startswith("HTTP GET http://127.0.0.1:")


@pytest.mark.parametrize(
    "pieces",
    [
        (OK,),
        tuple(OK[place : place + 1] for place in range(len(OK))),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", OK),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\n", b"ne\r\n0\r\n\r\n"),
        (b"HTTP/1.0 200 OK\r\n\r\n", b"fi", b"ne"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfine",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n", b"no chunk"),
    ],
    ids=["whole", "bytes", "1xx", "chunked", "until the end", "cut off", "bad chunk"],
)
def test_answers_of_every_framing_are_read(run: Run, pieces: tuple[bytes, ...]) -> None:
    result = asked(run, answering(*pieces))
    assert (result.status, output(result)) == (P, "fine")


def test_a_request_says_what_the_check_says_and_closes_its_connection(run: Run) -> None:
    own = (("X-Token", "secret"), ("X-Token", "again"), ("User-Agent", "mine"), ("Host", "shop.example"), ("Connection", "keep-alive"))
    with Server(answering(OK)) as server:
        assert run(probe_http(http(server.port, method="PUT", headers=own, body="ping", path="/a b?q=ü#part"), PATIENCE_S)).status is P
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "PUT /a%20b?q=%C3%BC HTTP/1.1"
    assert {"X-Token: secret", "X-Token: again", "User-Agent: mine", "Host: shop.example", "Connection: close", "Content-Length: 4"} <= set(
        lines
    )
    assert sum(line.startswith("User-Agent") for line in lines) == 1
    assert "Connection: keep-alive" not in lines
    assert body == b"ping"


def test_the_address_is_overridden_and_the_host_of_the_url_is_kept(run: Run) -> None:
    with Server(answering(OK)) as server:
        elsewhere = HttpCheck(f"http://user:pass@nowhere.invalid:{server.port}/", SECOND, connect="127.0.0.1")
        assert run(probe_http(elsewhere, PATIENCE_S)).status is P
        assert run(probe_tcp(TcpCheck("nowhere.invalid", server.port, SECOND, connect="127.0.0.1"), PATIENCE_S)).status is P
    head = server.requests[0].decode()
    assert f"Host: nowhere.invalid:{server.port}\r\n" in head
    assert "Authorization: Basic dXNlcjpwYXNz\r\n" in head


def test_of_a_head_request_no_body_is_waited_for(run: Run) -> None:
    result = asked(run, answering(b"HTTP/1.1 200 OK\r\n", b"Content-Length: 1000\r\n\r\n", stay=True), method="HEAD")
    assert (result.status, output(result)) == (P, "")


def test_only_so_much_of_a_body_is_read_and_it_is_said(run: Run) -> None:
    def endless(server: Server, _head: bytes, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.over.is_set():
            connection.sendall(b"x" * 10_000)

    result = asked(run, endless)
    assert result.status is P
    assert output(result) == "x" * 65_536 + " ... (more than 65536 bytes)"


def test_an_answer_whose_body_never_ends_in_time_is_judged_by_its_status(run: Run) -> None:
    def judged() -> None:
        result = asked(run, answering(b"HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n", stay=True), timeout_s=0.2)
        assert (result.status, output(result)) == (P, "data: 1\n\n")

    repeated_if_stopped(judged)


@pytest.mark.parametrize(
    ("handle", "words"),
    [
        (answering(b"", stay=True), "no answer within 0.2 s"),
        (answering(b"HTTP/1.1 200 OK\r\nX: ", stay=True), "no answer within 0.2 s"),
        (answering(b"HTTP/1.1 100 Continue\r\n\r\n", stay=True), "no answer within 0.2 s"),
        (answering(), "the connection was closed without an answer (EOF)"),
        (answering(b"HTTP/1.1 200 OK\r\nX:"), "the connection was closed without an answer (EOF)"),
        (answering(b"SSH-2.0-OpenSSH_9\r\n"), "malformed HTTP response: Expected HTTP/"),
        (answering(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000), "the head of the answer is larger than 65536 bytes"),
    ],
    ids=["silent", "half a head", "only 1xx", "closed", "cut off", "another protocol", "endless head"],
)
def test_what_is_no_answer_is_critical_and_says_why(run: Run, handle: Handler, words: str) -> None:
    result = asked(run, handle, timeout_s=0.2 if "within" in words else PATIENCE_S)
    assert result.status is C
    assert result.output.startswith('Get "http://127.0.0.1:')
    assert f'/health": {words}' in result.output


def test_who_does_not_listen_is_critical_in_plain_words(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    refused = f"dial tcp 127.0.0.1:{port}: connection refused"
    assert run(probe_http(http(port, method="POST"), PATIENCE_S)) == (C, f'Post "http://127.0.0.1:{port}/health": {refused}')
    assert run(probe_tcp(TcpCheck("127.0.0.1", port, SECOND), PATIENCE_S)) == (C, refused)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", "x" * 80 + ".invalid"])
def test_a_name_that_does_not_exist_is_critical_in_plain_words(run: Run, host: str) -> None:
    result = run(probe_tcp(TcpCheck(host, 80, SECOND), PATIENCE_S))
    assert result.status is C
    assert result.output.startswith(f"dial tcp: lookup {host}: ")


@pytest.mark.parametrize(("host", "listening"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "::1")])
def test_a_probe_connects_by_name_and_address(run: Run, host: str, listening: str) -> None:
    with Server(answering(OK), listening) as server:
        shown = f"[{host}]:{server.port}" if ":" in host else f"{host}:{server.port}"
        assert run(probe_tcp(TcpCheck(host, server.port, SECOND), PATIENCE_S)) == (P, f"TCP connect {shown}: Success")
        assert run(probe_http(HttpCheck(f"http://{shown}/", SECOND), PATIENCE_S)).status is P


def test_a_full_backlog_is_a_timeout(run: Run) -> None:
    with socket.socket() as silent, contextlib.ExitStack() as others:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(3):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(silent.getsockname())
        port = silent.getsockname()[1]
        assert run(probe_tcp(TcpCheck("127.0.0.1", port, SECOND), 0.2)) == (C, f"dial tcp 127.0.0.1:{port}: timeout")
        assert run(probe_http(http(port), 0.2)).output.endswith(f"dial tcp 127.0.0.1:{port}: timeout")


def test_lack_of_files_on_this_machine_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "create_connection", fail)
    with pytest.raises(OSError, match="Too many open files"):
        asyncio.run(probe_tcp(TcpCheck("127.0.0.1", 1, SECOND), PATIENCE_S))


# -- redirects


def redirecting(*codes: int) -> Handler:
    """Answers with these redirects, each to the next number, then with 200."""

    def handle(_server: Server, head: bytes, connection: socket.socket) -> None:
        number = int(head.split(b" ")[1].rpartition(b"/")[2] or b"0")
        if number < len(codes):
            connection.sendall(b"HTTP/1.1 %d Go\r\nLocation: /%d\r\nContent-Length: 0\r\n\r\n" % (codes[number], number + 1))
        else:
            connection.sendall(OK)

    return handle


def sending_to(location: str) -> Handler:
    """Redirects to one place."""
    return answering(b"HTTP/1.1 302 Go\r\nContent-Length: 0\r\nLocation: " + location.encode() + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("code", "method", "body"),
    [(301, b"GET", b""), (302, b"GET", b""), (303, b"GET", b""), (307, b"POST", b"ping"), (308, b"POST", b"ping")],
)
def test_redirects_are_followed_with_the_method_they_ask_for(run: Run, code: int, method: bytes, body: bytes) -> None:
    with Server(redirecting(code)) as server:
        result = run(probe_http(http(server.port, path="/", method="POST", body="ping"), PATIENCE_S))
    assert (result.status, output(result)) == (P, "fine")
    assert server.requests[-1].startswith(method + b" /1 ")
    assert server.requests[-1].rpartition(b"\r\n\r\n")[2] == body


def test_redirects_are_not_followed_when_the_check_says_so_nor_for_ever(run: Run) -> None:
    with Server(redirecting(*[302] * 20)) as server:
        result = run(probe_http(http(server.port, path="/", follow_redirects=False), PATIENCE_S))
        assert result.status is C
        assert ": 302 Go Output: " in result.output
        assert run(probe_http(http(server.port, path="/"), PATIENCE_S)).output.endswith('/": stopped after 10 redirects')
    assert len(server.requests) == 12


@pytest.mark.parametrize(("host", "status"), [("localhost", P), ("app.invalid", P), ("other.invalid", C)])
def test_a_redirect_keeps_the_callers_address_for_its_own_host_and_loopback_only(run: Run, host: str, status: Status) -> None:
    with Server(answering(OK)) as end, Server(sending_to(f"http://{host}:{end.port}/")) as start:
        assert run(probe_http(HttpCheck(f"http://app.invalid:{start.port}/", SECOND, connect="127.0.0.1"), PATIENCE_S)).status is status


def test_a_redirect_leads_nobody_to_this_servers_own_loopback() -> None:
    """Said of the step itself: a machine whose name is not loopback cannot be had in a test."""
    with pytest.raises(RequestError, match="this server itself"):
        _redirected(Outgoing("GET", "http://app.example/"), Incoming(302, location="http://localhost:8500/v1/agent/self"))


def test_a_redirect_tells_no_other_host_who_asks(run: Run) -> None:
    own = (("Authorization", "me"), ("Cookie", "mine"), ("X-Kept", "yes"), ("Host", "shop.example"))
    with Server(answering(OK)) as end, Server(sending_to(f"http://127.0.0.1:{end.port}/")) as start:
        assert run(probe_http(http(start.port, headers=own), PATIENCE_S)).status is P
    assert b"X-Kept: yes" in end.requests[0]
    assert not [word for word in (b"Authorization", b"Cookie", b"shop.example") if word in end.requests[0]]


# -- what cannot be asked


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://127.0.0.1:1/", "connection refused"), ("http://h:99999/", "not a URL"), ("ftp://h/", "only http:// and https://"),
        ("http://[::1/", "not a URL"), ("http://h:0/", "names no host"),
    ],
)  # fmt: skip
def test_a_redirect_that_cannot_be_followed_is_critical(run: Run, url: str, words: str) -> None:
    result = asked(run, sending_to(url))
    assert result.status is C
    assert words in result.output


@pytest.mark.parametrize("more", [{"method": "GET / HTTP/1.1\r\nX:"}, {"headers": (("X", "a\r\nY: b"),)}, {"headers": (("X\r\nY", "a"),)}])
def test_nothing_of_a_check_can_add_lines_to_the_request(run: Run, more: dict[str, Any]) -> None:
    with Server(answering(OK)) as server:
        result = run(probe_http(http(server.port, **more), PATIENCE_S))
    assert result.status is C
    assert "line breaks" in result.output
    assert server.requests == []

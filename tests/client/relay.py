"""A registry behind a relay that spoils what it is told to: an answer that is lost, an event left out, an answer given instead."""

import contextlib
import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

_HOP: Final = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


class Relay(ThreadingHTTPServer):
    """In front of the server at `upstream`, and what is done to requests that pass. `METHOD target` says which."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.passed: list[str] = []
        self.loses: Callable[[str], bool] = lambda _: False
        """It is done, and its answer is lost."""
        self.refuses: Callable[[str], bytes | None] = lambda _: None
        """The whole answer given instead."""
        self.drops: Callable[[bytes], bool] = lambda _: False
        """By the event of a stream: it is left out."""


@contextlib.contextmanager
def relay(upstream: str) -> Iterator[Relay]:
    with Relay(upstream) as there:
        thread = threading.Thread(target=there.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield there
        finally:
            there.shutdown()
            thread.join(60)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Relay

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the name is the library's
        """Nothing is said."""

    def _pass(self) -> None:
        what = f"{self.command} {self.path}"
        self.server.passed.append(what)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.close_connection = True
        if (instead := self.server.refuses(what)) is not None:
            self.wfile.write(instead)
            return
        line = http.client.HTTPConnection(self.server.upstream, timeout=90)
        with contextlib.closing(line), contextlib.suppress(OSError):  # one of the two is gone
            line.request(self.command, self.path, body, dict(self.headers))
            response = line.getresponse()
            if self.server.loses(what):
                response.read()
            else:
                self._answer(response)

    def _answer(self, response: http.client.HTTPResponse) -> None:
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        event = b""
        while line := response.readline():
            event += line
            if line == b"\n":
                self._send(event)
                event = b""
        self._send(event)

    def _send(self, event: bytes) -> None:
        if event and not self.server.drops(event):
            self.wfile.write(event)

    do_GET = do_PUT = do_DELETE = _pass  # noqa: N815  # the library's names

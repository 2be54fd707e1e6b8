"""A server that answers blocking queries as a test wrote: each request takes the next step, the last one for ever."""

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Step:
    """One answer. `index` None: without the header. `hang`: none at all. `close`: with `Connection: close`. `cut`: half of it."""

    index: int | None = 1
    names: Sequence[str] = ()
    status: int = 200
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    close: bool = False
    cut: bool = False
    wait: bool = False
    """Only when the test says so."""


@dataclass
class Asked:
    """A request as it came."""

    path: str
    query: dict[str, list[str]]
    token: str
    connection: int

    @property
    def index(self) -> str:
        return self.query.get("index", [""])[0]


class Scripted:
    """Its URL, and what it was asked."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = list(steps)
        self.asked: list[Asked] = []
        self.released = threading.Event()
        self.url = ""
        self._lock = threading.Lock()

    def next(self, asked: Asked) -> Step:
        with self._lock:
            self.asked.append(asked)
            return self.steps[min(len(self.asked), len(self.steps)) - 1]

    def indexes(self) -> list[str]:
        """The index of each request; empty for none."""
        return [asked.index for asked in list(self.asked)]


def entry(name: str, port: int = 80) -> dict[str, Any]:
    """One instance as health answers show it."""
    return {
        "Node": {"Node": "n1", "Address": "10.0.0.1"},
        "Service": {"ID": name, "Service": "web", "Port": port, "Tags": None, "Meta": None},
        "Checks": [{"CheckID": f"service:{name}", "Status": "passing", "ServiceID": name, "Type": "ttl"}],
    }


@contextlib.contextmanager
def scripted(*steps: Step) -> Iterator[Scripted]:
    """Serve until the end."""
    script = Scripted(steps)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(
                parts.path, parse_qs(parts.query, keep_blank_values=True), self.headers.get("X-Consul-Token", ""), self.client_address[1]
            )
            step = script.next(asked)
            if step.hang:
                script.released.wait(30)
                self.close_connection = True
                return
            if step.wait:
                script.released.wait(30)
            body = step.text.encode() or json.dumps([entry(name) for name in step.names]).encode()
            self.send_response(step.status)
            headers = {"Content-Length": str(len(body)), **step.headers}
            if step.index is not None:
                headers["X-Consul-Index"] = str(step.index)
            if step.close:
                headers["Connection"] = "close"
                self.close_connection = True
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if step.cut else body)
            if step.cut:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # the client broke off, as it should

    server = Server(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.released.set()
        server.shutdown()
        thread.join(60)
        server.server_close()

"""A service to call: real HTTP servers in threads of the test, signed in at a real registry. A test says how each of them behaves."""

import asyncio
import contextlib
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from callboard.client.board_settings import BoardSettings
from tests.servers import ServerProcess, running_server
from tests.support import PATIENCE_S


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    instance: "Instance"

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, ValueError, OSError):
            super().handle()

    def answer(self) -> None:
        body = (
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if "chunked" not in self.headers.get("Transfer-Encoding", "")
            else b""
        )
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        instance = self.instance
        headers = {name.lower(): value for name, value in self.headers.items()}
        instance.asked.append(Asked(self.command, self.path, headers, body))
        kind, _, rest = (instance.mode if self.path != "/ok" else "ok").partition(" ")
        getattr(self, f"_{kind}")(rest)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = answer  # noqa: N815  # as http.server calls them

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        pass

    def _ok(self, _rest: str) -> None:
        self._send(200, json.dumps({"id": self.instance.id}).encode())

    def _status(self, rest: str) -> None:
        code, _, retry_after = rest.partition(" ")
        self._send(int(code), b"no", {"Retry-After": retry_after} if retry_after else {})

    def _redirect(self, rest: str) -> None:
        self._send(302, b"", {"Location": rest})

    def _hang(self, _rest: str) -> None:
        self.instance.free.wait(100)
        self.close_connection = True

    def _break(self, _rest: str) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _stream(self, rest: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(3):
            if number:
                self.instance.free.wait(float(rest))
            self.wfile.write(b"5\r\npart%d\r\n" % number)
        if self.instance.cut:
            self._break("")
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _send(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, instance: "Instance") -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), type("OneHandler", (Handler,), {"instance": instance}))

    def process_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        self.connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Instance:
    """One copy of the service."""

    def __init__(self, id: str) -> None:  # noqa: A002
        self.id = id
        self.mode = "ok"
        self.cut = False
        self.asked: list[Asked] = []
        self.free = threading.Event()
        self._server = Server(self)
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(0.02), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def kill(self) -> None:
        """As if its process was killed: nobody listens any more, and what is connected breaks."""
        self.free.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)


class Service:
    """Its instances, under a name of their own for each test."""

    def __init__(self, registry: str, name: str) -> None:
        self.registry = registry
        self.name = name
        self.instances: list[Instance] = []

    def add(self, version: str = "", **meta: str) -> Instance:
        """One more, signed in."""
        instance = Instance(f"{self.name}-{len(self.instances) + 1}")
        self.instances.append(instance)
        self.sign_in(instance.id, instance.port, {**({"version": version} if version else {}), **meta})
        return instance

    def sign_in(self, id: str, port: int, meta: dict[str, str] | None = None) -> None:  # noqa: A002
        body = {"Name": self.name, "ID": id, "Address": "127.0.0.1", "Port": port, "Meta": meta or {}}
        self._put("/v1/agent/service/register", json.dumps(body).encode())

    def sign_out(self, id: str) -> None:  # noqa: A002
        self._put(f"/v1/agent/service/deregister/{id}", b"")

    def counts(self) -> list[int]:
        """How many requests each has got."""
        return [len(instance.asked) for instance in self.instances]

    def _put(self, path: str, body: bytes) -> None:
        request = urllib.request.Request(f"{self.registry}{path}", data=body, method="PUT")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200


@pytest.fixture(scope="module")
def registry() -> Iterator[ServerProcess]:
    with running_server("--dev") as server:
        yield server


@pytest.fixture
def orders(registry: ServerProcess, request: pytest.FixtureRequest) -> Iterator[Service]:
    """A service without instances."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())[:60].strip("-")
    service = Service(registry.url, name)
    try:
        yield service
    finally:
        for instance in service.instances:
            instance.kill()
            service.sign_out(instance.id)


def settings(**changes: object) -> BoardSettings:
    """A board for tests: nothing on disk."""
    return BoardSettings(snapshots="off", **changes)  # type: ignore[arg-type]


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port where connecting takes for ever: its queue is full."""
    with socket.socket() as listening, contextlib.ExitStack() as stack:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


async def until(so: Callable[[], object], deadline_s: float = PATIENCE_S) -> None:
    """Let the loop turn until it is so."""
    end = time.monotonic() + deadline_s
    while not so():
        assert time.monotonic() < end, "it never became so"
        await asyncio.sleep(0.002)

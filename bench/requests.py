"""What is asked and written, as clients of Consul do it, and the filling of servers and peers with it."""

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from bench.lab import Process, Target
from bench.load import CHUNKED, LAST_CHUNK, HttpLoad, body_length, numbered, request
from bench.peer import Peer
from bench.plan import Plan

HEALTH: Final = "/v1/health/service/web?passing"
REGISTER: Final = "/v1/agent/service/register"
CONNECTIONS: Final = 32
IN_FLIGHT: Final = 64
READ_BYTES: Final = 262_144
REGION: Final = "eu-1"
PASSING: Final = {"TTL": "1h", "Status": "passing"}
WAIT_MAX_S: Final = 60
_OURS: Final = re.compile(r"(web|s\d+)-\d+")


def register_body(number: int, service: str = "web", check: dict[str, str] | None = None) -> bytes:
    """A registration as Consul clients send it."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    body: dict[str, object] = {"Name": service, "ID": f"{service}-{number}", "Address": address, "Port": 8080}
    body.update(Tags=["v1", "primary"], Meta={"version": "1.4.2", "region": REGION})
    if check is not None:
        body["Check"] = check
    return json.dumps(body).encode()


def register(number: int, service: str = "web", check: dict[str, str] | None = None) -> bytes:
    """The whole request of a registration."""
    return request("PUT", REGISTER, register_body(number, service, check))


def web(_: int) -> str:
    """The service that most figures read."""
    return "web"


def fill(target: Target, count: int, *, service: Callable[[int], str] = web, check: dict[str, str] | None = None, first: int = 0) -> None:
    """Register `count` instances, with a TTL check that passes unless another is said."""
    send(target, numbered(lambda n: register(n, service(n), PASSING if check is None else check), first), count)


def send(target: Target, requests: Iterator[bytes], count: int) -> None:
    """Send so many requests; all must succeed."""
    load = HttpLoad(target.http, min(count, IN_FLIGHT))
    counted = load.run(requests, count=count)
    load.close()
    if counted.statuses != {b"200": count}:
        raise RuntimeError(f"requests were refused: {counted.statuses}")


@contextlib.contextmanager
def guest(plan: Plan, count: int, *, service: Callable[[int], str] = web) -> Iterator[Peer | None]:
    """The peer, with so many instances as `fill` makes; afterwards, all is taken from it that was registered meanwhile."""
    peer = plan.peer
    if peer is None:
        yield None
        return
    before = _ids(peer)
    try:
        if count:
            fill(peer, count, service=service)
        yield peer
    finally:
        ids = sorted(name for name in _ids(peer) - before if _OURS.fullmatch(name))
        if ids:
            send(peer, (request("PUT", f"/v1/agent/service/deregister/{name}") for name in ids), len(ids))


def _ids(peer: Peer) -> set[str]:
    return set(json.loads(body_of(fetch(peer.http, request("GET", "/v1/agent/services")))))


def fetch(address: tuple[str, int], message: bytes) -> bytes:
    """The whole answer to one request, head and body, as it came."""
    with socket.create_connection(address, WAIT_MAX_S) as sock:
        return exchange(sock, message)


def exchange(sock: socket.socket, message: bytes) -> bytes:
    """One request and its whole answer over an open connection."""
    sock.sendall(message)
    data = bytearray()
    whole = 0
    while True:
        part = sock.recv(READ_BYTES)
        if not part:
            raise ConnectionError("the server closed a connection")
        data += part
        if not whole:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                continue
            length = body_length(bytes(data[:end]))
            whole = CHUNKED if length == CHUNKED else end + 4 + length
        if data.endswith(LAST_CHUNK) if whole == CHUNKED else len(data) >= whole:
            return bytes(data)


def body_of(answer: bytes) -> bytes:
    """The body, without the marks of its chunks."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if body_length(head) != CHUNKED:
        return body
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        parts.append(body[:length])
        body = body[length + 2 :]
    return b"".join(parts)


def field_of(answer: bytes, name: bytes) -> bytes:
    """The value of a header field; `name` in lower case."""
    head = answer.partition(b"\r\n\r\n")[0]
    return next(line.split(b":", 1)[1].strip() for line in head.split(b"\r\n") if line.lower().startswith(name + b":"))


def ask(target: Target, path: str) -> Any:  # noqa: ANN401  # JSON
    """The decoded body of a GET."""
    return json.loads(body_of(fetch(target.http, request("GET", path))))


def index_of(target: Target, path: str) -> int:
    """Where a blocking query of this path would wait from."""
    return int(field_of(fetch(target.http, request("GET", path)), b"x-consul-index"))


def metric(process: Process, name: bytes) -> float:
    """One value of the metrics page, summed over its labels."""
    page = body_of(fetch(process.http, request("GET", "/metrics"))).splitlines()
    values = [float(line.rsplit(b" ", 1)[1]) for line in page if line.startswith((name + b" ", name + b"{"))]
    if not values:
        raise RuntimeError(f"no metric {name.decode()}")
    return sum(values)


def until_metric(process: Process, name: bytes, least: float) -> None:
    """Wait until a metric has come to a value."""
    until = time.monotonic() + WAIT_MAX_S
    while metric(process, name) < least:
        if time.monotonic() > until:
            raise RuntimeError(f"{name.decode()} did not come to {least} within {WAIT_MAX_S} s")
        time.sleep(0.05)


def settings_of(peer: Peer) -> dict[str, object]:
    """What is written into a result about the peer."""
    try:
        config = ask(peer, "/v1/agent/self").get("Config", {})
    except OSError as error:
        raise SystemExit(f"nobody answers at PEER=http://{peer.http[0]}:{peer.http[1]} ({error})") from error
    return {"name": peer.name, "http": f"{peer.http[0]}:{peer.http[1]}", "cpu_known": bool(peer.pid), "version": config.get("Version", "")}

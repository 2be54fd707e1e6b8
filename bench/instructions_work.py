"""The fixed work whose instructions are counted: a whole server and its client in one process, which runs under callgrind.

The server is the one users run, over the memory store, on its own event loop, asked over real sockets on loopback; the client is a few
sockets without a parser. Both are counted: what the client costs is the same in every run. What the kernel does is not seen.

Each kind of request is served in slices. `os.getppid`, which nobody else calls, stands at both ends of what counts: whoever runs this
has callgrind write down what it has counted each time that function is entered. Which of these parts hold what, is printed.

Nothing here is about time, so a slow or busy machine changes nothing. What the server does some times a second falls into slices by
chance, and into more of them on a slow machine: slices are short and many, and the least of them is the one that it did not fall into.
The garbage collector rests while something is counted.
"""

import asyncio
import gc
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import uvloop

from bench.load import request
from callboard.server.assemble import Server
from callboard.server.settings import load

CONNECTIONS_COUNT: Final = 16
"""Requests that are under way together, one on each connection: a turn of the loop serves several, as it does under load."""
PARKED_COUNT: Final = 64
WARM_SLICES_COUNT: Final = 3
"""Not counted: caches fill, and Python specialises what runs often."""
SLICES_COUNT: Final = 15
BEATS_COUNT: Final = 1_000
_DELIVERY_S: Final = 0.003
_TURNS_COUNT: Final = 6
"""Of the loop, until writes are answered too."""
_READ_BYTES: Final = 1 << 20
_LATENESS_MAX_MS: Final = 3_600_000
"""Under callgrind everything is so slow that the server would take it for pauses, and move every deadline each time."""
_TTL: Final = {"TTL": "24h", "Status": "passing"}

Messages = list[bytes]


class Work(NamedTuple):
    """One kind of request. The functions are told the number of the slice."""

    name: str
    what: str
    rounds: Callable[[int], list[Messages]]
    """What is counted: each round is sent at once, one message on each connection, and answered before the next."""
    before: Callable[[int], Messages] = lambda _: []
    """Requests that are not counted, before a slice."""
    each: int = 1
    """Pieces of work in a message."""
    ask: str = "http"


class Line:
    """A connection of the client, or a socket for questions of DNS."""

    def __init__(self, sock: socket.socket) -> None:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _READ_BYTES)
        sock.setblocking(False)
        self.sock = sock
        self._loop = asyncio.get_running_loop()

    def send(self, message: bytes) -> None:
        """All of it, or it fails: the buffer is large enough."""
        if self.sock.send(message) != len(message):
            raise RuntimeError("a message was not sent whole")

    async def receive(self) -> bytes:
        """What has come; waits only when nothing has."""
        try:
            return self.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return await self._loop.sock_recv(self.sock, _READ_BYTES)

    async def answer(self) -> bytes:
        """A whole response, which must tell of success."""
        data = await self.receive()
        end = data.find(b"\r\n\r\n") + 4
        if end == 3 or not data.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"not a good answer: {data[:500]!r}")
        at = data.find(b"\r\ncontent-length: ", 0, end) + 18
        whole = end + int(data[at : data.find(b"\r\n", at)])
        while len(data) < whole:
            data += await self.receive()
        if len(data) > whole:
            raise RuntimeError("more than one answer came")
        return data


class Bench:
    """The server, the client's sockets, and which part of what callgrind writes down is what."""

    def __init__(self, server: Server, http: tuple[str, int], dns: tuple[str, int]) -> None:
        self.server = server
        self.lines = [Line(socket.create_connection(http)) for _ in range(PARKED_COUNT)]
        self.extra = Line(socket.create_connection(http))
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(dns)
        self.datagrams = Line(sock)
        self._parts = 0

    def close(self) -> None:
        """Close every socket."""
        for line in (*self.lines, self.extra, self.datagrams):
            line.sock.close()

    @contextmanager
    def counted(self, name: str, count: int, slice_number: int) -> Iterator[None]:
        """What happens inside is `count` pieces of work; nothing is counted in warm slices."""
        if slice_number < WARM_SLICES_COUNT:
            yield
            return
        gc.collect()
        gc.disable()
        os.getppid()
        yield
        os.getppid()
        gc.enable()
        self._parts += 2
        print(json.dumps({"work": name, "part": self._parts, "count": count}), flush=True)

    async def http(self, messages: Messages) -> list[bytes]:
        """Send each on a connection of its own; the answers, in the same order."""
        lines = self.lines[: len(messages)]
        for line, message in zip(lines, messages, strict=True):
            line.send(message)
        await _turns()
        return [await line.answer() for line in lines]

    async def dns(self, messages: Messages) -> list[bytes]:
        """Ask; the answers, in the order in which they come."""
        for message in messages:
            self.datagrams.send(message)
        await _turns()
        answers = [await self.datagrams.receive() for _ in messages]
        if any(answer[3] & 15 or answer[6:8] == b"\0\0" for answer in answers):
            raise RuntimeError("a question of DNS was not answered")
        return answers

    async def run(self, work: Work) -> None:
        """Every slice of one kind of request."""
        ask = self.http if work.ask == "http" else self.dns
        for number in range(WARM_SLICES_COUNT + SLICES_COUNT):
            for message in work.before(number):
                await self.http([message])
            rounds = work.rounds(number)
            with self.counted(work.name, sum(map(len, rounds)) * work.each, number):
                for messages in rounds:
                    await ask(messages)

    async def run_parked(self, name: str) -> None:
        """Blocked queries that are parked and then woken by one change, which is counted too."""
        for number in range(WARM_SLICES_COUNT + SLICES_COUNT):
            (seen,) = await self.http([_HEALTH])
            fields = dict(line.lower().split(b": ", 1) for line in seen.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:])
            blocked = request("GET", f"/v1/health/service/web?passing&index={int(fields[b'x-consul-index'])}&wait=10m")
            with self.counted(name, PARKED_COUNT, number):
                for line in self.lines:
                    line.send(blocked)
                await _turns()
                while self.server.http.stats.parked_now < PARKED_COUNT:
                    await _turns()
                self.extra.send(_register("web", 0, 1 + number))
                await _turns()
                await self.extra.answer()
                for line in self.lines:
                    await line.answer()


async def _turns() -> None:
    """What was sent arrives, the loop serves it, and what it answers arrives: on a busy machine the kernel does not deliver at once.

    Whoever looks too early has to wait in another way, which costs more. Being asleep costs nothing.
    """
    time.sleep(_DELIVERY_S)  # noqa: ASYNC251  # the loop must not look yet
    for _ in range(_TURNS_COUNT):
        await asyncio.sleep(0)
    time.sleep(_DELIVERY_S)  # noqa: ASYNC251  # the same


def _register(service: str, number: int, version: int = 0) -> bytes:
    body = {
        "Name": service, "ID": f"{service}-{number}", "Address": f"10.0.{number >> 8}.{number & 255}", "Port": 8080,
        "Tags": ["v1", "primary"], "Meta": {"version": f"1.4.{version}", "region": "eu-1"}, "Check": _TTL,
    }  # fmt: skip
    return request("PUT", "/v1/agent/service/register", json.dumps(body).encode())


def _health(service: str, headers: str = "") -> bytes:
    return request("GET", f"/v1/health/service/{service}?passing", headers=headers)


def _srv(service: str) -> bytes:
    name = b"".join(bytes([len(label)]) + label for label in (service.encode(), b"service", b"consul", b""))
    return b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01" + name + b"\0\x21\0\x01" + b"\0\0\x29\x10\0\0\0\0\0\0\0"


_HEALTH: Final = _health("web")
_TRACED: Final = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-{:016x}-01\r\n"
_COLD: Final = [f"cold-{number}" for number in range(CONNECTIONS_COUNT)]
_WIDE: Final = [f"wide-{number}" for number in range(2)]


def _repeated(messages: Messages, rounds_count: int = 3) -> Callable[[int], list[Messages]]:
    return lambda _: [messages] * rounds_count


def _numbered(make: Callable[[int], bytes], rounds_count: int = 2) -> Callable[[int], list[Messages]]:
    """Messages with numbers that come only once."""

    def rounds(number: int) -> list[Messages]:
        first = number * rounds_count * CONNECTIONS_COUNT
        return [
            [make(first + round_number * CONNECTIONS_COUNT + place) for place in range(CONNECTIONS_COUNT)]
            for round_number in range(rounds_count)
        ]

    return rounds


def _changed(services: Sequence[str]) -> Callable[[int], Messages]:
    """A change of every service, another one for each slice."""
    return lambda number: [_register(service, 0, 1 + number) for service in services]


def _beat(number: int) -> bytes:
    return request("PUT", f"/v1/agent/check/pass/service:beat-{number % BEATS_COUNT}")


def _each(services: Sequence[str], make: Callable[[str], bytes]) -> Callable[[int], list[Messages]]:
    """One message for each service, all at once."""
    return lambda _: [[make(service) for service in services]]


def _reads() -> list[Work]:
    zipped, resolve = _health("web", "Accept-Encoding: gzip\r\n"), request("GET", "/api/v1/resolve/web")
    all_lines = CONNECTIONS_COUNT
    return [
        Work("hot_health_read", "health of 10 instances, kept answer", _repeated([_HEALTH] * all_lines)),
        Work("unique_header", "the same with a traceparent of its own per request", _numbered(lambda n: _health("web", _TRACED.format(n)))),
        Work("gzip_hit", "the same, gzip", _repeated([zipped] * all_lines)),
        Work("native_resolve", "resolve of 10 instances, kept answer", _repeated([resolve] * all_lines)),
        Work("cold_render_10", "health of 10 instances right after a change", _each(_COLD, _health), _changed(_COLD)),
        Work("cold_render_100", "health of 100 instances right after a change", _each(_WIDE, _health), _changed(_WIDE)),
        Work("dns_srv_hot", "SRV of 10 instances, kept answer", _repeated([_srv("web")] * all_lines), ask="dns"),
        Work("dns_srv_cold", "SRV of 10 instances right after a change", _each(_COLD, _srv), _changed(_COLD), ask="dns"),
    ]


def _writes() -> list[Work]:
    beats = json.dumps({"beats": [{"id": f"beat-{number}"} for number in range(BEATS_COUNT)]}).encode()
    batch = request("POST", "/api/v1/heartbeats", beats)
    leave = "/v1/agent/service/deregister/new-{}-0"
    return [
        Work("single_heartbeat", f"agent/check/pass, {BEATS_COUNT} checks", _numbered(_beat, 1)),
        Work("batched_heartbeat", f"one beat of {BEATS_COUNT} in a batch", _repeated([batch], 1), each=BEATS_COUNT),
        Work("register", f"agent/service/register with a TTL check, {CONNECTIONS_COUNT} at once", _numbered(_new, 1)),
        Work("deregister", "agent/service/deregister of the same", _numbered(lambda n: request("PUT", leave.format(n)), 1)),
    ]


def _new(number: int) -> bytes:
    return _register(f"new-{number}", 0)


async def _fill(bench: Bench) -> None:
    sizes = {"web": 10, **dict.fromkeys(_COLD, 10), **dict.fromkeys(_WIDE, 100), "beat": BEATS_COUNT}
    messages = [_register(service, number) for service, count in sizes.items() for number in range(count)]
    for at in range(0, len(messages), PARKED_COUNT):
        await bench.http(messages[at : at + PARKED_COUNT])


async def main(names: Sequence[str]) -> None:
    flags = {"http": ("127.0.0.1:0",), "dns": "127.0.0.1:0", "dev": True, "log_level": "warning"}
    server = Server(load(flags, {"CALLBOARD_TUNE_REGISTRY_LATENESS_MAX_MS": str(_LATENESS_MAX_MS)}))
    ready = await server.start()
    host, _, port = ready.http[0].removeprefix("http://").rpartition(":")
    dns_host, _, dns_port = ready.dns.rpartition(":")
    bench = Bench(server, (host, int(port)), (dns_host, int(dns_port)))
    try:
        await _fill(bench)
        for work in WORKS:
            if not names or work.name in names:
                await bench.run(work)
        if not names or PARKED in names:
            await bench.run_parked(PARKED)
    finally:
        bench.close()
        await server.stop()


PARKED: Final = "parked_and_woken"
WORKS: Final = (*_reads(), *_writes())
WHAT: Final = {**{work.name: work.what for work in WORKS}, PARKED: f"a blocked query parked and woken, {PARKED_COUNT} by one change"}

if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))

"""Watches: thousands of blocked queries and one change, a large service that flaps, and connections that do nothing."""

import contextlib
import math
import select
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.lab import Process, durable_server, many_files
from bench.load import READ_BYTES, body_length, connect, request
from bench.pairs import OURS, PEER, Figure, Goal, Sample, median, rounded
from bench.peer import Peer
from bench.plan import Plan
from bench.probe import Probe
from bench.requests import HEALTH, PASSING, fetch, fill, guest, index_of, register, until_metric, web

PARKED = b"callboard_http_parked_now"
SMALL = "/v1/status/leader"
"""What the probe asks."""

FILES_SHARE, FILES_SPARE = 0.75, 700
"""Of the files that a process may have open, a server takes no more for connections."""

PEER_PARKS_S = 3.0
"""A peer does not say how many queries it has parked: it gets this time."""
PAUSE_OVER_S = 1.0
"""The figure is of one change: what the round before cost may hold back later ones for a while (`wake_pause_us_per_waiter`)."""

FLAPS_PER_S = 100
TURNS_APART = 1_000
"""Between the instances of two rounds."""

WATCHERS = 4
"""Each takes the whole list with every change: some megabytes. With more of them, the load would be what is measured."""

HEAD_BYTES = 4_096
STUCK_S = 30


@dataclass
class Crowd:
    """Connections that wait for the same answer."""

    sockets: dict[int, socket.socket]
    poll: select.epoll

    def ask(self, message: bytes) -> None:
        """The same request on each."""
        for sock in self.sockets.values():
            sock.send(message)

    def gather(self, begin: float) -> tuple[float, float]:
        """Read a whole answer on each; seconds from `begin` to the last byte of the first and of the last."""
        missing: dict[int, int] = {}
        left, first = len(self.sockets), 0.0
        while left:
            ready = self.poll.poll(STUCK_S)
            if not ready:
                raise RuntimeError(f"{left} of {len(self.sockets)} connections have no answer after {STUCK_S} s")
            for fd, _ in ready:
                data = self.sockets[fd].recv(READ_BYTES)
                if fd not in missing:
                    head = data.partition(b"\r\n\r\n")[0]
                    length = body_length(head)
                    missing[fd] = len(head) + 4 + length if length >= 0 else 0
                missing[fd] -= len(data)
                # of a body in chunks, the length is not known before its end
                if missing[fd] == 0 or (missing[fd] < 0 and data.endswith(b"0\r\n\r\n")):
                    first = first or time.perf_counter() - begin
                    left -= 1
        return first, time.perf_counter() - begin


@contextlib.contextmanager
def crowd(address: tuple[str, int], count: int) -> Iterator[Crowd]:
    """So many connections."""
    sockets = [connect(address) for _ in range(count)]
    poll = select.epoll()
    try:
        for sock in sockets:
            poll.register(sock.fileno(), select.EPOLLIN)
        yield Crowd({sock.fileno(): sock for sock in sockets}, poll)
    finally:
        poll.close()
        for sock in sockets:
            sock.close()


def parked_queries(plan: Plan) -> Figure:
    """One change to many blocked queries of one service: when the last answer was there, and what each costs in memory."""
    with durable_server() as process, guest(plan, 10) as peer:
        fill(process, 10)
        samples = {OURS: _woken(process, plan)}
        if peer is not None:
            samples[PEER] = _woken(peer, plan)
    values = {}
    for side, taken in samples.items():
        prefix = "" if side == OURS else side + "_"
        for key in taken[0]:
            values[prefix + key] = rounded(median([sample[key] for sample in taken]))
            if key != "kib_each":
                values[f"{prefix}{key}_most"] = rounded(max(sample[key] for sample in taken))
    values = {key: value for key, value in values.items() if not math.isnan(value)}
    figure = Figure(
        "parked_queries", f"one change to {plan.parked} blocked health queries of a 10-instance service", values, samples,
        shown="last_byte_s", unit="s from sending the change to the last byte of the last answer",
    )  # fmt: skip
    if plan.parked >= 10_000:
        figure.goals += [Goal("last_byte_s", most=0.2), Goal("kib_each", most=4.0)]
    return figure


def _woken(target: Process | Peer, plan: Plan) -> list[Sample]:
    taken: list[Sample] = []
    empty = target.rss_kib()
    with crowd(target.http, plan.parked) as waiting, Probe(target, SMALL) as probe:
        for number in range(plan.pairs + 1):
            waiting.ask(request("GET", f"{HEALTH}&index={index_of(target, HEALTH)}&wait=5m"))
            if isinstance(target, Process):
                until_metric(target, PARKED, plan.parked)
                time.sleep(PAUSE_OVER_S)
            else:
                time.sleep(PEER_PARKS_S)
            each = (target.rss_kib() - empty) / plan.parked
            probe.longest_ms()
            before, begin = target.cpu_s(), time.perf_counter()
            with socket.create_connection(target.http) as writer:
                writer.sendall(register(50_000 + number, "web", PASSING))
                first, last = waiting.gather(begin)
            sample = {"last_byte_s": last, "first_byte_s": first, "stop_ms": probe.longest_ms()}
            cpu_us = 1e6 * (target.cpu_s() - before) / plan.parked
            taken.append(_without_nan({**sample, "cpu_us": cpu_us, "kib_each": each}))
    return taken[1:]  # the first round makes the connections' first answers


def _without_nan(sample: Mapping[str, float]) -> Sample:
    return {name: round(value, 4) for name, value in sample.items() if not math.isnan(value)}


def connections_20k(plan: Plan) -> Figure:
    """Connections that stay open: what an idle one costs, and that all are answered."""
    count = min(plan.connections, int((many_files() - FILES_SPARE) * FILES_SHARE))
    read = request("GET", HEALTH)
    with durable_server() as process:
        fill(process, 10)
        fetch(process.http, read)
        empty = process.rss_kib()
        with crowd(process.http, count) as idle:
            until_metric(process, b"callboard_http_connections_now", count)
            silent = (process.rss_kib() - empty) / count
            samples: list[Sample] = []
            for _ in range(plan.rounds):
                before, begin = process.cpu_s(), time.perf_counter()
                idle.ask(read)
                _, last = idle.gather(begin)
                cpu_us = 1e6 * (process.cpu_s() - before) / count
                samples.append(
                    {"all_answered_s": round(last, 4), "cpu_us": round(cpu_us, 2), "kib_each": (process.rss_kib() - empty) / count}
                )
    values = {key: rounded(median([sample[key] for sample in samples])) for key in samples[0]}
    values |= {"connections": count, "kib_silent": rounded(silent)}
    what = f"{count} open connections: memory of one that never asked and of one that did; all ask for 10 instances at once"
    return Figure("connections_20k", what, values, {OURS: samples}, shown="all_answered_s", unit="s until all were answered")


def flapping_5k(plan: Plan) -> Figure:
    """A large service of which an instance turns a hundred times a second, while a few clients follow the whole list."""
    turns = [
        request("PUT", f"/v1/agent/check/{turn}/service:{web(0)}-{number}") for number in range(plan.flapping) for turn in ("fail", "pass")
    ]
    samples: list[Sample] = []
    with durable_server() as process:
        fill(process, plan.flapping)
        for number in range(plan.rounds):
            with crowd(process.http, WATCHERS) as watchers, Probe(process, SMALL) as probe, connect(process.http) as writer:
                probe.longest_ms()
                samples.append(_flapped(process, watchers, writer, (turns[number * TURNS_APART :], plan.flapping_s)))
                samples[-1]["stop_ms"] = probe.longest_ms()
    values = {key: rounded(median([sample[key] for sample in samples])) for key in samples[0]}
    what = f"a service of {plan.flapping} instances, {FLAPS_PER_S} durable turns a second, {WATCHERS} clients following the whole list"
    return Figure("flapping_5k", what, values, {OURS: samples}, shown="core_percent", unit="% of a core")


def _flapped(process: Process, watchers: Crowd, writer: socket.socket, turning: tuple[list[bytes], float]) -> Sample:
    """Turn instances at a steady rate; each watcher asks again, with the index it got, when it has an answer."""
    turns, seconds = turning
    followers = {fd: Follower(sock) for fd, sock in watchers.sockets.items()}
    watchers.ask(request("GET", HEALTH))
    watchers.poll.register(writer.fileno(), select.EPOLLIN)
    sent = answered = 0
    before, begin = process.cpu_s(), time.perf_counter()
    while (now := time.perf_counter() - begin) < seconds:
        if sent == answered and sent < now * FLAPS_PER_S:
            writer.send(turns[sent % len(turns)])
            sent += 1
        for fd, _ in watchers.poll.poll(max(0.001, sent / FLAPS_PER_S - now)):
            if fd == writer.fileno():
                answered += writer.recv(READ_BYTES).count(b"HTTP/1.1 200")
            else:
                followers[fd].read()
    spent, took = process.cpu_s() - before, time.perf_counter() - begin
    answers = sum(follower.answers for follower in followers.values())
    return {
        "turns_per_second": round(answered / took, 2),
        "answers_per_second": round(answers / took, 2),
        "core_percent": round(100 * spent / took, 2),
        "answer_kib": max(follower.length for follower in followers.values()) // 1024,
    }


class Follower:
    """A client that asks again with the index it got. Answers are large: what came is counted, not kept."""

    def __init__(self, sock: socket.socket) -> None:
        self.answers = 0
        self.length = 0
        self._sock = sock
        self._missing = 0
        self._index = b""
        self._buffer = memoryview(bytearray(READ_BYTES))

    def read(self) -> None:
        """Take what is there."""
        size = self._sock.recv_into(self._buffer)
        if not self._missing:
            head = bytes(self._buffer[:HEAD_BYTES]).partition(b"\r\n\r\n")[0]
            self._missing = self.length = len(head) + 4 + body_length(head)
            self._index = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"x-consul-index")).split(b":")[1].strip()
        self._missing -= size
        if not self._missing:
            self.answers += 1
            self._sock.send(request("GET", f"{HEALTH}&index={self._index.decode()}&wait=5m"))


FIGURES = (parked_queries, connections_20k, flapping_5k)

"""Reads over HTTP: from the answer cache in its several forms, and just after a change, when the answer has to be made anew."""

import itertools
import socket
import time
from collections.abc import Iterator

from bench.lab import Process, durable_server
from bench.load import connect, numbered, repeat, request
from bench.pairs import Figure, Goal, Sample, median, rounded
from bench.plan import Plan
from bench.requests import HEALTH, PASSING, exchange, fill, guest, register, web
from bench.sides import Sent, http_pairs

SMALL_COUNT = 3
"""Instances whose answer has about 4 KB."""

TOKEN = "X-Consul-Token: 5f2b1c1e-0f53-4b8f-9f0e-2d1f6a5f6c11\r\n"
WHOLE_LIST = "/v1/catalog/services"


def _hot(name: str, what: str, plan: Plan, headers: str, goal: float, count: int = 10) -> Figure:
    with durable_server() as process, guest(plan, count) as peer:
        fill(process, count)
        read = request("GET", HEALTH, headers=headers)
        figure = http_pairs(name, f"GET {HEALTH}, {count} instances{what}", plan, process, Sent(read, repeat(read)), peer)
    figure.goals.append(Goal("of_bare", least=goal))
    return figure


def hot_health_read(plan: Plan) -> Figure:
    """Ten instances, as clients of Consul ask for them all day."""
    return _hot("hot_health_read", "", plan, "", 0.85)


def hot_health_read_4k(plan: Plan) -> Figure:
    """An answer of a third of the length."""
    return _hot("hot_health_read_4k", "", plan, "", 0.85, SMALL_COUNT)


def hot_read_token(plan: Plan) -> Figure:
    """A client that always sends the same token."""
    return _hot("hot_read_token", ", with a token", plan, TOKEN, 0.8)


def hot_read_gzip(plan: Plan) -> Figure:
    """A client that takes gzip."""
    return _hot("hot_read_gzip", ", gzip", plan, "Accept-Encoding: gzip\r\n", 0.8)


def hot_read_unique(plan: Plan) -> Figure:
    """A client that is being traced: a header block that was never seen before, in every request."""

    def traced(number: int) -> bytes:
        return request("GET", HEALTH, headers=f"traceparent: 00-{number:032x}-{number:016x}-01\r\n")

    with durable_server() as process, guest(plan, 10) as peer:
        fill(process, 10)
        sent = Sent(traced(1), numbered(traced, 2))
        figure = http_pairs("hot_read_unique", f"GET {HEALTH}, 10 instances, a new traceparent every time", plan, process, sent, peer)
    figure.goals.append(Goal("of_bare", least=0.5))
    return figure


def list_10k(plan: Plan) -> Figure:
    """The list of all services: from the cache, and after a change of it."""
    with durable_server() as process:
        fill(process, plan.services, service=lambda n: f"s{n}")
        read = request("GET", WHOLE_LIST)
        figure = http_pairs(
            "list_10k", f"GET {WHOLE_LIST}, {plan.services} services", plan, process, Sent(read, repeat(read), connections=4)
        )
        cold = []
        with connect(process.http) as sock:
            for number in range(plan.pairs * 2):
                exchange(sock, register(plan.services + number, f"s{plan.services + number}", PASSING))
                cold.append(_timed(process, sock, read))
    figure.values["cold_read_ms"] = rounded(median([sample["read_ms"] for sample in cold]))
    figure.values["cold_read_cpu_ms"] = rounded(median([sample["cpu_ms"] for sample in cold]))
    return figure


def cold_render(plan: Plan) -> Figure:
    """A health read just after a change of one of its instances: no answer is there, it is made."""
    samples: dict[str, list[Sample]] = {}
    for count in plan.rendered:
        with durable_server() as process:
            fill(process, count)
            samples[f"{count} instances"] = [_cold_run(process, plan.changes) for _ in range(plan.pairs)]
    values: dict[str, float] = {}
    for name, taken in samples.items():
        short = name.split()[0]
        values |= {f"{key}_{short}": rounded(median([sample[key] for sample in taken])) for key in taken[0]}
    figure = Figure(
        "cold_render", f"GET {HEALTH} just after every change of one of its instances (durable), one connection", values, samples,
        shown="cpu_ms", unit="ms of server CPU for the read",
    )  # fmt: skip
    if 1_000 in plan.rendered:
        figure.goals.append(Goal("cpu_ms_1000", most=3.0))
    return figure


def _cold_run(process: Process, changes: int) -> Sample:
    """Medians of so many reads, each after a turn of one instance that makes it vanish or come back; then it is read again, not cold."""
    read = request("GET", HEALTH)
    taken = []
    with connect(process.http) as sock:
        for turn in itertools.islice(_turns(), changes):
            exchange(sock, turn)
            taken.append(_timed(process, sock, read))
            taken[-1]["again_cpu_ms"] = _timed(process, sock, read)["cpu_ms"]
    return {key: rounded(median([sample[key] for sample in taken])) for key in taken[0]}


def _turns() -> Iterator[bytes]:
    return itertools.cycle(request("PUT", f"/v1/agent/check/{turn}/service:{web(0)}-0") for turn in ("fail", "pass"))


def _timed(process: Process, sock: socket.socket, read: bytes) -> Sample:
    before = process.cpu_s()
    begin = time.perf_counter()
    answer = exchange(sock, read)
    return {"read_ms": (time.perf_counter() - begin) * 1e3, "cpu_ms": (process.cpu_s() - before) * 1e3, "answer_bytes": len(answer)}


FIGURES = (hot_health_read, hot_health_read_4k, hot_read_unique, hot_read_token, hot_read_gzip, cold_render, list_10k)

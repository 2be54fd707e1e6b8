"""The figures, each a function that sets up what it measures and takes it away again. `__main__` runs them."""

import json
import select
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.lab import Process, bare, callboard, durable_server
from bench.load import DnsLoad, HttpLoad, Requests, numbered, repeat, request
from bench.pairs import Figure, compare, median
from bench.picks import pick_figure

HEALTH = "/v1/health/service/web?passing"
CONNECTIONS = 32
IN_FLIGHT = 64


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    pairs: int = 5
    seconds: float = 2.0
    parked: int = 10_000
    instances: int = 100_000
    restart_instances: int = 50_000
    heartbeat_checks: int = 50_000


def register_body(number: int, service: str = "web", check: dict[str, str] | None = None) -> bytes:
    """A registration as Consul clients send it."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    body: dict[str, object] = {"Name": service, "ID": f"{service}-{number}", "Address": address, "Port": 8080}
    body.update(Tags=["v1", "primary"], Meta={"version": "1.4.2", "region": "eu-1"})
    if check is not None:
        body["Check"] = check
    return json.dumps(body).encode()


def fill(process: Process, count: int, *, service: Callable[[int], str], check: dict[str, str] | None = None) -> None:
    """Register `count` instances."""
    load = HttpLoad(process.http, IN_FLIGHT)
    requests = numbered(lambda n: request("PUT", "/v1/agent/service/register", register_body(n, service(n), check)))
    counted = load.run(requests, count=count)
    load.close()
    if counted.statuses != {b"200": count}:
        raise RuntimeError(f"registrations were refused: {counted.statuses}")


def fetch(address: tuple[str, int], message: bytes) -> bytes:
    """The whole answer to one request, head and body."""
    with socket.create_connection(address) as sock:
        sock.sendall(message)
        data = b""
        while True:
            data += sock.recv(65_536)
            head, found, body = data.partition(b"\r\n\r\n")
            if found:
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
                if len(body) >= int(fields[b"content-length"]):
                    return data


def http_pair(name: str, what: str, process: Process, plan: Plan, sent: tuple[bytes, Requests, int]) -> Figure:
    """Requests against a bare loop that answers with the same bytes. `sent`: a first request, those that are counted, connections."""
    first, requests, connections = sent
    answer = fetch(process.http, first)
    with bare("http", answer) as yard:
        ours, theirs = HttpLoad(process.http, connections), HttpLoad(yard.http, connections)
        try:
            return compare(
                name,
                f"{what}; answer {len(answer)} bytes",
                (process, lambda: ours.run(requests, seconds=plan.seconds)),
                (yard, lambda: theirs.run(requests, seconds=plan.seconds)),
                plan.pairs,
            )
        finally:
            ours.close()
            theirs.close()


def hot_health_read(plan: Plan) -> Figure:
    """health/service?passing of ten instances, from the answer cache."""
    with durable_server() as process:
        fill(process, 10, service=lambda _: "web", check={"TTL": "1h", "Status": "passing"})
        read = request("GET", HEALTH)
        return http_pair("hot_health_read", "GET " + HEALTH + ", 10 instances", process, plan, (read, repeat(read), CONNECTIONS))


def dns_srv(plan: Plan) -> Figure:
    """SRV of ten instances."""
    with durable_server() as process:
        fill(process, 10, service=lambda _: "web", check={"TTL": "1h", "Status": "passing"})
        question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03web\x07service\x06consul\0\0\x21\0\x01" + b"\0\0\x29\x10\0\0\0\0\0\0\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(process.dns)
            sock.send(question)
            answer = sock.recv(65_535)
        with bare("dns", answer) as yard:
            ours, theirs = DnsLoad(process.dns, 16), DnsLoad(yard.dns, 16)
            try:
                return compare(
                    "dns_srv",
                    f"UDP SRV web.service.consul with EDNS, 10 instances; answer {len(answer)} bytes",
                    (process, lambda: ours.run(question, plan.seconds)),
                    (yard, lambda: theirs.run(question, plan.seconds)),
                    plan.pairs,
                )
            finally:
                ours.close()
                theirs.close()


def durable_register(plan: Plan) -> Figure:
    """New instances, 64 in flight, each acknowledged only when SQLite has synced it."""
    what = f"PUT agent/service/register of new instances with a TTL check, {IN_FLIGHT} in flight, SQLite synchronous=FULL"
    with durable_server() as process:
        requests = numbered(lambda n: request("PUT", "/v1/agent/service/register", register_body(n, f"s{n % 100}", {"TTL": "1h"})))
        first = request("PUT", "/v1/agent/service/register", register_body(9_999_999))
        return http_pair("durable_register", what, process, plan, (first, requests, IN_FLIGHT))


def ttl_heartbeat(plan: Plan) -> Figure:
    """One PUT per beat, over many checks."""
    checks = plan.heartbeat_checks
    messages = [request("PUT", f"/v1/agent/check/pass/service:s{n % 100}-{n}") for n in range(checks)]
    with durable_server() as process:
        fill(process, checks, service=lambda n: f"s{n % 100}", check={"TTL": "1h", "Status": "passing"})
        beats = numbered(lambda n: messages[n % checks])
        return http_pair("ttl_heartbeat", f"PUT agent/check/pass over {checks} checks", process, plan, (messages[0], beats, CONNECTIONS))


def parked_queries(plan: Plan) -> Figure:
    """One change to many blocked queries of one service: when the last answer was there, and what each costs in memory."""
    with durable_server() as process:
        fill(process, 10, service=lambda _: "web", check={"TTL": "1h", "Status": "passing"})
        empty = process.rss_kib()
        lasts: list[float] = []
        sockets = [socket.create_connection(process.http) for _ in range(plan.parked)]
        poll = select.epoll()
        try:
            for sock in sockets:
                poll.register(sock.fileno(), select.EPOLLIN)
            each_kib = 0.0
            for round_number in range(plan.pairs):
                index = _index(process)
                blocked = request("GET", f"{HEALTH}&index={index}&wait=5m")
                for sock in sockets:
                    sock.send(blocked)
                _until_parked(process, plan.parked)
                each_kib = each_kib or (process.rss_kib() - empty) / plan.parked
                lasts.append(_change_and_wait(process, {sock.fileno(): sock for sock in sockets}, poll, round_number))
        finally:
            poll.close()
            for sock in sockets:
                sock.close()
        return Figure(
            "parked_queries",
            f"one change to {plan.parked} blocked health queries of a 10-instance service",
            {"last_byte_s": round(median(lasts), 3), "last_byte_most_s": round(max(lasts), 3), "kib_each": round(each_kib, 2)},
            {"ours": [{"last_byte_s": last} for last in lasts]},
        )


def _index(process: Process) -> int:
    head = fetch(process.http, request("GET", HEALTH)).partition(b"\r\n\r\n")[0].lower()
    return int(next(line for line in head.split(b"\r\n") if line.startswith(b"x-consul-index")).split(b":")[1])


def _metric(process: Process, name: bytes) -> float:
    for line in fetch(process.http, request("GET", "/metrics")).splitlines():
        if line.startswith(name + b" "):
            return float(line.split()[1])
    raise RuntimeError(f"no metric {name.decode()}")


def _until_parked(process: Process, count: int) -> None:
    until = time.monotonic() + 60
    while _metric(process, b"callboard_http_parked_now") < count:
        if time.monotonic() > until:
            raise RuntimeError("the queries were not parked within 60 s")
        time.sleep(0.05)


def _change_and_wait(process: Process, sockets: dict[int, socket.socket], poll: select.epoll, round_number: int) -> float:
    """Seconds from sending the change to the last byte of the last answer."""
    needed: dict[int, int] = {}
    got = dict.fromkeys(sockets, 0)
    left = len(sockets)
    begin = time.perf_counter()
    with socket.create_connection(process.http) as writer:
        writer.sendall(
            request("PUT", "/v1/agent/service/register", register_body(50_000 + round_number, check={"TTL": "1h", "Status": "passing"}))
        )
        while left:
            for fd, _ in poll.poll(10):
                data = sockets[fd].recv(262_144)
                if fd not in needed:
                    head, _, _ = data.partition(b"\r\n\r\n")
                    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
                    needed[fd] = len(head) + 4 + length
                got[fd] += len(data)
                if got[fd] == needed[fd]:
                    left -= 1
    return time.perf_counter() - begin


def memory_per_instance(plan: Plan) -> Figure:
    """Resident memory, after a restart, of instances with one TTL check each."""
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as directory:
        process = callboard("--data", directory)
        empty_kib = process.rss_kib()
        fill(process, plan.instances, service=lambda n: f"s{n % 1000}", check={"TTL": "1h", "Status": "passing"})
        grown = (process.rss_kib() - empty_kib) / plan.instances
        process.stop()
        process = callboard("--data", directory)
        loaded = (process.rss_kib() - empty_kib) / plan.instances
        process.stop()
    return Figure(
        "memory_per_instance",
        f"{plan.instances} instances in 1,000 services, two tags, two meta pairs, one TTL check each; RSS",
        {"kib_after_restart": round(loaded, 2), "kib_as_registered": round(grown, 2)},
        {},
    )


def restart(plan: Plan) -> Figure:
    """From exec to the ready line, with the catalog loaded."""
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as directory:
        process = callboard("--data", directory)
        fill(process, plan.restart_instances, service=lambda n: f"s{n % 1000}", check={"TTL": "1h", "Status": "passing"})
        process.stop()
        times: list[float] = []
        for _ in range(plan.pairs):
            begin = time.perf_counter()
            process = callboard("--data", directory)
            times.append(time.perf_counter() - begin)
            process.stop()
    return Figure(
        "restart",
        f"start until ready with {plan.restart_instances} instances, one TTL check each",
        {"ready_s": round(median(times), 2), "ready_most_s": round(max(times), 2)},
        {"ours": [{"ready_s": t} for t in times]},
    )


def picks(plan: Plan) -> Figure:
    """What the balancing policies of the SDK cost; no server is needed."""
    return pick_figure(plan.pairs)


FIGURES: dict[str, Callable[[Plan], Figure]] = {
    figure.__name__: figure
    for figure in (hot_health_read, dns_srv, durable_register, ttl_heartbeat, parked_queries, memory_per_instance, restart, picks)
}

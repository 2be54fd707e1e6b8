"""Many instances in one member: what each takes of memory, and how long the server needs to start with them."""

import json
import tempfile
import time
from pathlib import Path

from bench.lab import Process, callboard
from bench.load import connect, numbered, request
from bench.pairs import OURS, Figure, Goal, Sample, median, rounded
from bench.plan import Plan
from bench.probe import Probe
from bench.requests import READ_BYTES, exchange, fill, send
from bench.rows import SERVICES, fill_directory, host_of

MILLION = 1_000_000
BEATS_BATCH = 1_000
BEATS_PER_S = 33_000
BEATS_S = 5.0
SMALL = "/v1/status/leader"
PICTURE_BYTES = 1 << 20
"""Of the first picture of a watch that are read before the reader goes."""
ELSEWHERE = 1_000
"""Instances that are looked for from a node they are not on."""


def _service(number: int) -> str:
    return f"s{number % SERVICES}"


def memory_per_instance(plan: Plan) -> Figure:
    """Resident memory of instances with one TTL check each: as they were registered, and after a restart."""
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as directory:
        process = callboard("--data", directory)
        empty_kib = process.rss_kib()
        fill(process, plan.instances, service=_service)
        grown = (process.rss_kib() - empty_kib) / plan.instances
        process.stop()
        process = callboard("--data", directory)
        loaded = (process.rss_kib() - empty_kib) / plan.instances
        process.stop()
    figure = Figure(
        "memory_per_instance",
        f"{plan.instances} instances in {SERVICES} services, two tags, two meta pairs, one TTL check each; over the RSS of an empty server",
        {"kib_after_restart": rounded(loaded), "kib_as_registered": rounded(grown)},
        {"after a restart": [{"kib_each": round(loaded, 3)}], "as registered": [{"kib_each": round(grown, 3)}]},
        shown="kib_each", unit="KiB for an instance",
    )  # fmt: skip
    figure.goals.append(Goal("kib_after_restart", most=1.2))
    return figure


def restart(plan: Plan) -> Figure:
    """From exec to the ready line, with the catalog loaded."""
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as directory:
        fill_directory(directory, plan.restart_instances)
        _started(Path(directory))  # reads the file from the disk
        samples = [_started(Path(directory)) for _ in range(plan.pairs)]
    what = f"start until ready with {plan.restart_instances} instances, one TTL check each"
    figure = Figure("restart", what, _ready(samples), {OURS: samples}, shown="ready_s", unit="s until ready")
    if plan.restart_instances >= 50_000:
        figure.goals.append(Goal("ready_s", most=1.2))
    return figure


def _ready(samples: list[Sample]) -> dict[str, float]:
    return {
        "ready_s": rounded(median([sample["ready_s"] for sample in samples])),
        "ready_most_s": rounded(max(sample["ready_s"] for sample in samples)),
        "cpu_s": rounded(median([sample["cpu_s"] for sample in samples])),
    }


def _started(directory: Path) -> Sample:
    begin = time.perf_counter()
    process = callboard("--data", str(directory))
    sample = {"ready_s": round(time.perf_counter() - begin, 3), "cpu_s": round(process.cpu_s(), 3)}
    process.stop()
    return sample


def scale_1m(plan: Plan) -> Figure:
    """A million instances: memory, start, 33,000 heartbeats a second, and the longest time for which the server stands still."""
    count = MILLION if plan.instances > SERVICES else plan.instances
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as directory:
        empty = callboard("--data", str(Path(directory) / "empty"))
        empty_kib = empty.rss_kib()
        empty.stop()
        folder = Path(directory) / "full"
        fill_directory(folder, count)
        samples = [_started(folder) for _ in range(plan.rounds)]
        process = callboard("--data", str(folder))
        try:
            values: dict[str, float] = _ready(samples) | {"kib_each": rounded((process.rss_kib() - empty_kib) / count)}
            values |= _idle(process) | _first_reads(process, count) | _beating(process, count)
        finally:
            process.stop()
    what = f"one member with {count} instances in {SERVICES} services, one TTL check each"
    figure = Figure("scale_1m", what, values, {OURS: samples}, shown="ready_s", unit="s until ready")
    if count == MILLION:
        figure.goals += [Goal("kib_each", most=1.2), Goal("ready_s", most=15.0), Goal("beats_per_second", least=BEATS_PER_S * 0.95)]
    return figure


def _idle(process: Process) -> dict[str, float]:
    """What it does when nobody asks, and while its metrics are read."""
    with Probe(process, SMALL) as probe:
        probe.longest_ms()
        before = process.cpu_s()
        time.sleep(BEATS_S)
        values = {"idle_core_percent": rounded(100 * (process.cpu_s() - before) / BEATS_S), "idle_stop_ms": probe.longest_ms()}
        send(process, numbered(lambda _: request("GET", "/metrics")), 1)
        return values | {"metrics_stop_ms": probe.longest_ms()}


def _first_reads(process: Process, count: int) -> dict[str, float]:
    """Questions about the whole catalog that nobody has asked before: its services in two protocols, everything to watch, and instances
    that are somewhere."""
    values: dict[str, float] = {}
    with Probe(process, SMALL) as probe:
        for name, path in (("services_stop_ms", "/v1/catalog/services"), ("summaries_stop_ms", "/api/v1/services")):
            probe.longest_ms()
            send(process, numbered(lambda _, path=path: request("GET", path)), 1)  # type: ignore[misc]  # its default
            values[name] = probe.longest_ms()
        with connect(process.http) as sock:
            sock.sendall(request("GET", "/api/v1/watch"))
            told = b""
            while len(told) < PICTURE_BYTES and b"event: ready" not in told:
                told += sock.recv(READ_BYTES)
        values["watch_stop_ms"] = probe.longest_ms()
        with connect(process.http) as sock:
            for number in range(ELSEWHERE):
                exchange(sock, request("GET", f"/v1/agent/service/{_service(number)}-{number}?node=elsewhere"))
        return values | {"elsewhere_stop_ms": probe.longest_ms()}


def _beating(process: Process, count: int) -> dict[str, float]:
    """A steady rate of heartbeats in batches over all checks."""
    size = min(BEATS_BATCH, count)
    batches = max(1, int(BEATS_PER_S * BEATS_S / size))
    messages = []
    for number in range(batches):
        numbers = [(number * size + offset) * 7919 % count for offset in range(size)]  # a prime: all over the memory
        beats = [{"id": f"{_service(each)}-{each}", "node": host_of(each)} for each in numbers]
        messages.append(request("POST", "/api/v1/heartbeats", json.dumps({"beats": beats}).encode()))
    with Probe(process, SMALL) as probe, connect(process.http) as sock:
        probe.longest_ms()
        before, begin = process.cpu_s(), time.perf_counter()
        for number, message in enumerate(messages):
            exchange(sock, message)
            time.sleep(max(0.0, begin + (number + 1) * size / BEATS_PER_S - time.perf_counter()))
        took = time.perf_counter() - begin
        return {
            "beats_per_second": rounded(batches * size / took), "beats_core_percent": rounded(100 * (process.cpu_s() - before) / took),
            "beats_stop_ms": probe.longest_ms(),
        }  # fmt: skip


FIGURES = (memory_per_instance, restart)
LARGE = (scale_1m,)

"""What an operation costs as the catalog grows: it should not cost more in a large one than in a small one."""

import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.dns import NAME, SRV, question
from bench.lab import Process, callboard
from bench.load import DnsLoad, connect, request
from bench.pairs import Figure, Goal, Sample, median, rounded
from bench.plan import Plan
from bench.requests import IN_FLIGHT, PASSING, exchange, fill, register, send
from bench.rows import fill_directory

PER_SERVICE = 10
REGISTERED = 400
DNS_S = 0.3
LARGEST = (1_000_000,)


def cost_curve(plan: Plan) -> Figure:
    """Services of ten instances each, more and more of them."""
    return _curve("cost_curve", plan.curve, plan)


def cost_curve_1m(plan: Plan) -> Figure:
    """The same up to a million."""
    return _curve("cost_curve_1m", (*plan.curve, *LARGEST) if max(plan.curve) >= 100_000 else plan.curve, plan)


def _curve(name: str, sizes: Sequence[int], plan: Plan) -> Figure:
    samples: dict[str, list[Sample]] = {}
    for count in sizes:
        with tempfile.TemporaryDirectory(prefix="callboard-bench-") as directory:
            fill_directory(directory, count, max(1, count // PER_SERVICE))
            before = time.perf_counter()
            process = callboard("--data", str(Path(directory)))
            ready_s = time.perf_counter() - before
            try:
                samples[str(count)] = _measured(process, plan, count, ready_s)
            finally:
                process.stop()
    values: dict[str, float] = {}
    curves = [key for key in next(iter(samples.values()))[0] if key != "instances"]
    for key in curves:
        by_size = {size: median([sample[key] for sample in taken]) for size, taken in samples.items()}
        values |= {f"{key}_{size}": rounded(value) for size, value in by_size.items()}
        values[f"{key}_growth"] = rounded(by_size[str(max(sizes))] / max(by_size[str(min(sizes))], 1e-9))
    figure = Figure(name, f"services of {PER_SERVICE} instances, {min(sizes)} to {max(sizes)} instances in all", values, samples,
                    unit="µs of server CPU", across="instances", curves=[key for key in curves if key != "start_us_each"])  # fmt: skip
    figure.goals += [Goal(f"{key}_growth", most=2.0) for key in figure.curves]
    return figure


def _measured(process: Process, plan: Plan, count: int, ready_s: float) -> list[Sample]:
    fill(process, PER_SERVICE)
    _registering(process, count * 3)  # what is new is paid before it is counted
    _changes(process, plan.changes)
    taken = []
    for number in range(plan.rounds):
        change = _changes(process, plan.changes)
        taken.append({
            "instances": count,
            "change_us": change,
            "change_and_read_us": _changes(process, plan.changes, read=True),
            "register_us": _registering(process, count * 3 + REGISTERED * (number + 1)),
            "dns_us": _dns(process),
            "start_us_each": 1e6 * ready_s / count,
        })  # fmt: skip
    return taken


def _cpu_us(process: Process, act: Callable[[], object], count: int) -> float:
    before = process.cpu_s()
    act()
    return round(1e6 * (process.cpu_s() - before) / count, 2)


def _changes(process: Process, count: int, *, read: bool = False) -> float:
    """A durable turn of one instance of ten, with or without a read of its service after it."""
    target = "/v1/agent/check/{}/service:web-0"
    turns = itertools.cycle(request("PUT", target.format(turn)) for turn in ("fail", "pass"))
    message = request("GET", "/v1/health/service/web?passing")
    with connect(process.http) as sock:

        def act() -> None:
            for turn in itertools.islice(turns, count):
                exchange(sock, turn)
                if read:
                    exchange(sock, message)

        return _cpu_us(process, act, count)


def _registering(process: Process, first: int) -> float:
    """New instances of services of their own, 64 in flight."""
    messages = [register(first + number, f"s{first + number % IN_FLIGHT}", PASSING) for number in range(REGISTERED)]
    return _cpu_us(process, lambda: send(process, iter(messages), REGISTERED), REGISTERED)


def _dns(process: Process) -> float:
    """The same question again and again."""
    load = DnsLoad(process.dns, 4)
    message = question(SRV, name=NAME)
    before = process.cpu_s()
    counted = load.run(itertools.repeat(message), DNS_S)
    load.close()
    return round(1e6 * (process.cpu_s() - before) / max(1, counted.answers), 3)


FIGURES = (cost_curve,)
LARGE = (cost_curve_1m,)

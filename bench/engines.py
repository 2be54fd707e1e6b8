"""Callboard beside etcd and ZooKeeper: `python -m bench.engines [--quick] [--out FILE]`. One server of each, durable, on the same disk.

Each is asked in the way of its own clients, by clients in Python, which limit the rates: what a server used for an operation is what can be
compared. All servers are up at once on the server's core and are measured in turn, one at a time; the first round is not counted.
"""

import argparse
import contextlib
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import report
from bench.engine import READ_INSTANCES, Engine, Watched
from bench.engine_callboard import callboard_engine
from bench.engine_etcd import etcd_engine
from bench.engine_zookeeper import zookeeper_engine
from bench.lab import machine, take_over
from bench.pairs import Figure, Sample, median, rounded
from bench.report_parts import RESULTS

OUT = RESULTS / "engines.json"


@dataclass(frozen=True)
class Amount:
    """How much of everything."""

    rounds: int = 5
    registrations: int = 2_000
    reads: int = 4_000
    watchers: int = 1_000


QUICK = Amount(rounds=1, registrations=128, reads=128, watchers=50)


def counted(engine: Engine, work: str, amount: Amount, number: int) -> Sample:
    """One turn of one engine."""
    before, begin = engine.cpu_s(), time.perf_counter()
    watched: Watched | None = None
    if work == "register":
        operations = amount.registrations
        engine.register(number * operations, operations)
    elif work == "read":
        operations = amount.reads
        engine.read(operations)
    else:
        operations = amount.watchers
        watched = engine.watch(operations, number)
    seconds = time.perf_counter() - begin
    sample = {"cpu_us": round(1e6 * (engine.cpu_s() - before) / operations, 2)}
    if watched is None:
        return sample | {"per_second": round(operations / seconds)}
    return sample | {"told_s": round(watched.told_s, 4), "read_s": round(watched.read_s, 4)}


def compare(engines: list[Engine], amount: Amount) -> list[Figure]:
    """Every work, by every engine in turn."""
    whats = {
        "register": f"{amount.registrations} new instances, 64 in flight",
        "read": f"all {READ_INSTANCES} instances of a service, 32 clients",
        "watch": f"one change to a service with {amount.watchers} watchers; CPU for a watcher, with the making of its connection and watch",
    }
    figures = []
    for work, what in whats.items():
        samples: dict[str, list[Sample]] = {engine.name: [] for engine in engines}
        for number in range(amount.rounds + 1):
            for engine in engines:
                samples[engine.name].append(counted(engine, work, amount, number))
        samples = {name: taken[1:] for name, taken in samples.items()}
        values = {f"{key}_{name}": rounded(median([one[key] for one in taken])) for name, taken in samples.items() for key in taken[0]}
        figures.append(Figure(f"engines_{work}", what, values, samples, shown="cpu_us", unit="µs of server CPU for each"))
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.engines", description="Callboard beside etcd and ZooKeeper.")
    parser.add_argument("--quick", action="store_true", help="small and short: to see that it runs, not to quote")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    amount = QUICK if given.quick else Amount()
    take_over()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callboard-bench-")))
        engines: list[Engine] = [
            stack.enter_context(callboard_engine(READ_INSTANCES)),
            stack.enter_context(etcd_engine(folder / "etcd", READ_INSTANCES)),
            stack.enter_context(zookeeper_engine(folder / "zookeeper", READ_INSTANCES)),
        ]
        figures = compare(engines, amount)
        ways = {engine.name: {"register": engine.register_way, "read": engine.read_way, "watch": engine.watch_way} for engine in engines}
    for figure in figures:
        print(f"{figure.name}: {figure.what}")
        print("   " + "  ".join(f"{key} {value}" for key, value in figure.values.items()))
    document = {
        "machine": machine(),
        "plan": asdict(amount),
        "quick": given.quick,
        "ways": ways,
        "figures": [asdict(each) for each in figures],
    }
    target = given.out or (None if given.quick else OUT)
    if target is not None:
        target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        print(f"written to {target}")
    if target == OUT:
        report.write()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Figures of the cluster: `python -m bench.cluster [--quick] [--out FILE]`. Three etcd nodes, three members and the load share the machine.

Beside what goes through members stands what the engine takes by itself, in groups of the same rows, committed one after the other as the
leader does. The engine is the one that `tools/install-etcd` built.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from bench.lab import Process, machine, start
from bench.load import request
from bench.pairs import Figure, median
from bench.requests import fetch, register_body
from bench.rows import PER_NODE, rows_of
from callboard.model.rows import Group, Revision
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.store import EtcdStore
from callboard.testing.etcd import Etcd

OUT = Path(__file__).parent / "results" / "cluster.json"
MEMBERS = 3
ROWS_PER_INSTANCE = 2
QUOTA_BYTES = 8 << 30
FLAGS = (f"--quota-backend-bytes={QUOTA_BYTES}", "--auto-compaction-mode=periodic", "--auto-compaction-retention=5m")
ENGINE_GROUPS = (100, 1_000)
BATCH = 1_000
CONNECTIONS = 256
"""A request in flight on each: with few of them, the milliseconds for which a member gathers would be what is measured."""

BATCH_CONNECTIONS = 32
"""With a batch in flight on each, fewer heartbeats wait at a member than it lets wait (`batch_beats_max_count`)."""


@dataclass(frozen=True)
class Plan:
    """How much and how often."""

    rounds: int = 3
    registrations: int = 6_000
    beats: int = 30_000
    beating: int = 20_000
    batches: int = 300
    engine_rows: int = 20_000
    views: Sequence[int] = (100_000, 1_000_000)


QUICK = Plan(rounds=1, registrations=600, beats=2_000, beating=2_000, batches=20, engine_rows=2_000, views=(5_000,))


@contextlib.contextmanager
def members(etcd: Etcd, count: int, prefix: str) -> Iterator[list[Process]]:
    """So many servers over one etcd, none bound to a core."""
    started: list[Process] = []
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        try:
            while len(started) < count:
                started.append(member(etcd, f"m{len(started)}", prefix, Path(folder) / str(len(started))))
            yield started
        finally:
            for process in started:
                process.stop()


def member(etcd: Etcd, name: str, prefix: str, folder: Path) -> Process:
    """One server."""
    words = ["-m", "callboard", "serve", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--log-level", "warning", "--member", name]
    environment = {"CALLBOARD_TUNE_ETCD_DATABASE_MAX_BYTES": str(QUOTA_BYTES)}
    return start([*words, "--data", str(folder), "--store", etcd.url(prefix)], core=None, environment=environment)


def spread(processes: Sequence[Process], requests: Sequence[Sequence[bytes]], connections: int = CONNECTIONS) -> float:
    """Each server's share of the requests, all at once, each from a load of its own; answers how many a second. All must succeed."""
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        loads = []
        for number, (process, share) in enumerate(zip(processes, requests, strict=True)):
            file = Path(folder) / str(number)
            file.write_bytes(msgspec.msgpack.encode(share))
            words = [sys.executable, "-m", "bench.cluster_share", *map(str, process.http), str(file), str(connections // len(processes))]
            loads.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        for load in loads:
            _line(load)
        begin = time.perf_counter()
        for load in loads:
            assert load.stdin is not None
            load.stdin.write("go\n")
            load.stdin.flush()
        told = [json.loads(_line(load)) for load in loads]
        seconds = time.perf_counter() - begin
        for load in loads:
            load.communicate(timeout=30)
    if any(set(each) != {"200"} for each in told):
        raise RuntimeError(f"requests were refused: {told}")
    return sum(map(len, requests)) / seconds


def _line(load: "subprocess.Popen[str]") -> str:
    assert load.stdout is not None
    line = load.stdout.readline()
    if not line:
        raise RuntimeError("a load ended before its time")
    return line


def shares(messages: Sequence[bytes], count: int) -> list[list[bytes]]:
    """Dealt out."""
    return [list(messages[number::count]) for number in range(count)]


def registrations(first: int, count: int) -> list[bytes]:
    """New instances, as Consul clients sign them in, on hosts of fifty each."""
    return [
        request(
            "PUT", "/v1/agent/service/register", register_body(number, f"s{number % 100}", {"TTL": "1h", "Status": "passing"}),
            f"X-Callboard-Node: host-{number // PER_NODE}\r\n",
        )
        for number in range(first, first + count)
    ]  # fmt: skip


def throughput(etcd: Etcd, plan: Plan) -> list[Figure]:
    """Registrations and heartbeats through one member and through three, in alternating rounds."""
    taken: dict[str, list[float]] = {}
    for round_number in range(plan.rounds):
        for count in (1, MEMBERS):
            with members(etcd, count, f"throughput-{round_number}-{count}") as processes:
                signing_in = registrations(0, plan.registrations)
                taken.setdefault(f"registrations_{count}", []).append(spread(processes, shares(signing_in, count)))
                beats = [
                    request("PUT", f"/api/v1/heartbeat/s{number % 100}-{number}?node=host-{number // PER_NODE}")
                    for number in itertools.islice(itertools.cycle(range(plan.registrations)), plan.beats)
                ]
                taken.setdefault(f"heartbeats_{count}", []).append(spread(processes, shares(beats, count)))
    engine = asyncio.run(_engine(etcd, plan))
    figures = []
    for what, text in (("registrations", "new instances with a TTL check, two tags, two meta pairs"), ("heartbeats", "one PUT per beat")):
        values: dict[str, float] = {
            f"through_{count}": round(median(taken[f"{what}_{count}"])) for count in (1, MEMBERS)
        }  # fmt: skip
        if what == "registrations":
            values |= {f"engine_rows_groups_of_{size}": round(rate) for size, rate in engine.items()}
        samples = {name: [{"per_second": one} for one in each] for name, each in taken.items() if name.startswith(what)}
        figures.append(Figure(f"cluster_{what}", f"{what}/s over three etcd nodes, {CONNECTIONS} in flight: {text}", dict(values), samples))
    return figures


async def _engine(etcd: Etcd, plan: Plan) -> dict[int, float]:
    """Rows a second that the engine takes in groups of a size, one after the other."""
    rates = {}
    for size in ENGINE_GROUPS:
        store = _store(etcd, f"engine-{size}")
        await store.open()
        leadership = await store.campaign("bench")
        position = await store.head()
        rows = rows_of(range(plan.engine_rows // ROWS_PER_INSTANCE))
        begin = time.perf_counter()
        for start_row in range(0, len(rows), size):
            part = rows[start_row : start_row + size]
            last = Revision(position.revision + 1)
            position = await store.commit(
                Group(position, last, last, SystemEntropy().nonce().encode(), {row.key: row for row in part}), leadership
            )
        rates[size] = len(rows) / (time.perf_counter() - begin)
        await leadership.resign()
        await store.close()
    return rates


def _store(etcd: Etcd, prefix: str) -> EtcdStore:
    settings = EtcdSettings(endpoints=etcd.endpoints, prefix=prefix, database_max_bytes=QUOTA_BYTES)
    return EtcdStore(settings, SystemClock().now, SystemEntropy().nonce)


def batches(etcd: Etcd, plan: Plan) -> Figure:
    """Heartbeats in batches, entering through the members that do not lead: what one leader sustains."""
    with members(etcd, MEMBERS, "batches") as processes:
        spread(processes, shares(registrations(0, plan.beating), MEMBERS))
        leader = leading(processes)
        targets = [{"id": f"s{number % 100}-{number}", "node": f"host-{number // PER_NODE}"} for number in range(plan.beating)]
        bodies = [msgspec.json.encode({"beats": targets[begin : begin + BATCH]}) for begin in range(0, plan.beating, BATCH)]
        messages = [request("POST", "/api/v1/heartbeats", body) for body in itertools.islice(itertools.cycle(bodies), plan.batches)]
        doors = [process for process in processes if process is not leader]
        samples = []
        for _ in range(plan.rounds):
            before = leader.cpu_s()
            rate = spread(doors, shares(messages, len(doors)), BATCH_CONNECTIONS) * BATCH
            samples.append({"per_second": round(rate), "leader_cpu_us": (leader.cpu_s() - before) * 1e6 / (len(messages) * BATCH)})
    cpu_us = median([sample["leader_cpu_us"] for sample in samples])
    return Figure(
        "cluster_batches",
        f"heartbeats/s in batches of {BATCH} through the two members that do not lead, {plan.beating} instances",
        {
            "per_second": round(median([sample["per_second"] for sample in samples])),
            "leader_cpu_us": round(cpu_us, 2),
            "leader_could_per_second": round(1e6 / max(cpu_us, 0.01)),
        },
        {"ours": samples},
    )


def leading(processes: Sequence[Process]) -> Process:
    """The one that leads."""
    for process in processes:
        status = json.loads(fetch(process.http, request("GET", "/api/v1/status")).partition(b"\r\n\r\n")[2])
        if status["member"] == status["leader"]:
            return process
    raise RuntimeError("nobody leads")


def views(folder: Path, plan: Plan) -> Figure:
    """How long a member takes until it serves a catalog of this size from the engine, and what it then holds."""
    values: dict[str, float] = {}
    samples: dict[str, list[dict[str, float]]] = {}
    for count in plan.views:
        with Etcd.running(folder / f"view-{count}", nodes=1, flags=FLAGS, sound=True) as etcd:
            asyncio.run(_fill(etcd, count))
            empty = _member_once(etcd, folder, "empty")[1]
            taken = [_member_once(etcd, folder, "view") for _ in range(plan.rounds)]
        ready, resident = median([one[0] for one in taken]), median([one[1] for one in taken])
        values |= {
            f"ready_s_{count}": round(ready, 1),
            f"rss_mib_{count}": round(resident / 1024),
            f"kib_each_{count}": round((resident - empty) / count, 2),
        }
        samples[str(count)] = [{"ready_s": one[0], "rss_kib": one[1]} for one in taken]
    return Figure(
        "cluster_views", "start of a member until it serves, with a TTL check each, from one etcd node on the same machine", values, samples
    )


def _member_once(etcd: Etcd, folder: Path, prefix: str) -> tuple[float, float]:
    begin = time.perf_counter()
    process = member(etcd, "m", prefix, folder / "data")
    seconds = time.perf_counter() - begin
    resident = process.rss_kib()
    process.stop()
    return seconds, resident


async def _fill(etcd: Etcd, count: int) -> None:
    store = _store(etcd, "view")
    await store.open()
    leadership = await store.campaign("bench")
    position = await store.head()
    step = 20_000
    for first in range(0, count, step):
        last = Revision(position.revision + 1)
        rows = {row.key: row for row in rows_of(range(first, min(count, first + step)), last)}
        position = await store.commit(Group(position, last, last, SystemEntropy().nonce().encode(), rows), leadership)
    await leadership.resign()
    await store.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.cluster", description="Figures of the cluster over etcd.")
    parser.add_argument("--quick", action="store_true", help="small and short: to see that it runs, not to quote")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    plan = QUICK if arguments.quick else Plan()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as name:
        folder = Path(name)
        with Etcd.running(folder / "etcd", nodes=3, flags=FLAGS, sound=True) as etcd:
            figures += throughput(etcd, plan)
            figures.append(batches(etcd, plan))
        figures.append(views(folder, plan))
    for figure in figures:
        print(f"{figure.name}: {figure.what}")
        print("   " + "  ".join(f"{key} {value}" for key, value in figure.values.items()))
    document = {"machine": machine(), "plan": asdict(plan), "quick": arguments.quick, "figures": [asdict(figure) for figure in figures]}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1]))
    raise SystemExit(main())

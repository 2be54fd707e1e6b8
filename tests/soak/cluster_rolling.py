"""Every member is restarted in turn, under half of the load that was the most it took just before, with a thousand watchers.

Ordinary clients: an operation that gets no answer, or a 503, is made again at another member; it has failed when that does not help
within `PATIENCE_S`, or when it is answered with an error.
"""

import asyncio
import itertools
import random
import resource
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from callboard.testing.cluster import Cluster
from tests.soak.cluster_check_watch import watches
from tests.soak.cluster_history import History, now
from tests.soak.cluster_http import CallError, Choice, Http
from tests.soak.cluster_owner import Shared
from tests.soak.cluster_run import SETTINGS
from tests.soak.cluster_watchers import Watcher

SERVICES, WATCHERS, INSTANCES = 200, 1_000, 1_000
PEAK_WORKERS, PEAK_S = 48, 10.0
PATIENCE_S, ATTEMPT_S = 15.0, 3.0
BEFORE_S, BETWEEN_S, AFTER_S = 5.0, 5.0, 5.0
CAUGHT_UP_MAX_S = 20.0
WRITES, READS = 0.2, 0.2
"""Shares of registrations and of reads; the rest are heartbeats."""


class Told(NamedTuple):
    """What came of it."""

    peak_per_second: float
    rate_per_second: float
    seconds: float
    operations: int
    failed: int
    tried_again: int
    longest_s: float
    p99_s: float
    left_s: list[float]
    """How long each member took to leave."""
    watchers: int
    resumed: int
    began_anew: dict[str, int]
    violations: dict[str, int]
    failures: list[str]


class Operations:
    """One operation after the other, and how each went."""

    def __init__(self, ports: list[int], http: Http, seed: int) -> None:
        self._ports = ports
        self._http = http
        self._chance = random.Random(seed)
        self._numbers = itertools.count()
        self.took: list[float] = []
        self.failures: list[str] = []
        self.tried_again = 0

    async def register_all(self) -> None:
        """Everything that heartbeats speak of."""
        numbers = iter(range(INSTANCES))

        async def work() -> None:
            choice = Choice(self._ports, self._chance)
            for number in numbers:
                await self._made(choice, *registration(number, "first"))

        await asyncio.gather(*(work() for _ in range(PEAK_WORKERS)))

    async def one(self, choice: Choice) -> None:
        """An operation by chance."""
        what, number = self._chance.random(), self._chance.randrange(INSTANCES)
        if what < WRITES:
            request = registration(number, str(next(self._numbers)))
        elif what < WRITES + READS:
            request = ("GET", f"/v1/health/service/svc-{number % SERVICES}?passing", b"")
        else:
            request = ("PUT", f"/api/v1/heartbeat/i-{number}?node=node-{number % 50}", b"")
        await self._made(choice, *request)

    async def _made(self, choice: Choice, method: str, target: str, body: bytes) -> None:
        begin, why = now(), ""
        while now() < begin + PATIENCE_S:
            try:
                answer = await self._http.call(choice.port, method, target, body, timeout_s=ATTEMPT_S)
            except CallError as error:
                why = str(error)
            else:
                if answer.status == 200:
                    choice.answered()
                    self.took.append(now() - begin)
                    return
                why = f"{answer.status} {answer.body[:100]!r}"
                if answer.verdict == "failed":
                    break
            self.tried_again += 1
            await choice.another()
        self.failures.append(f"{method} {target}: {why}")


def registration(number: int, token: str) -> tuple[str, str, bytes]:
    """A request that signs an instance in."""
    told = {"service": f"svc-{number % SERVICES}", "id": f"i-{number}", "node": f"node-{number % 50}", "address": "10.0.0.1", "port": 80}
    check = {"ttl_ms": 60_000, "status": "passing"}
    return "PUT", "/api/v1/instances", msgspec.json.encode({**told, "meta": {"token": token}, "checks": [check]})


def rolling(folder: Path, *, seed: int) -> Told:
    """Measure the most, then restart each member under half of it."""
    import uvloop

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    settings = {**SETTINGS, "CALLBOARD_TUNE_NATIVE_WATCHERS_MAX_COUNT": "2000"}
    with Cluster.running(folder, settings=settings, direct=True) as cluster, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_rolling(cluster, seed))


async def _rolling(cluster: Cluster, seed: int) -> Told:
    ports, http, history, chance = [member.port for member in cluster.members], Http(), History(), random.Random(seed)
    shared = Shared(ports, http, history, asyncio.Event(), itertools.count(1))
    await Operations(ports, http, seed).register_all()
    watching = [
        asyncio.create_task(Watcher(shared, number, chance.getrandbits(32), f"svc-{number % SERVICES}").watch())
        for number in range(WATCHERS)
    ]
    while len({mark.watcher for mark in history.marks}) < WATCHERS:  # noqa: ASYNC110  # they write histories and ring no bells
        await asyncio.sleep(0.1)
    peak = await _peak(Operations(ports, http, seed + 1), ports, chance)
    operations = Operations(ports, http, seed + 2)
    begin = now()
    feeding = asyncio.create_task(_feed(operations, ports, peak / 2, chance))
    left = await _restart_all(cluster)
    seconds = now() - begin
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    lagging = await _caught_up(history)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    http.close()
    violations = Counter(violation.rule for violation in watches(history))
    if lagging:
        violations["Reliable"] += lagging
    took = sorted(operations.took)
    return Told(
        peak_per_second=round(peak), rate_per_second=round(peak / 2), seconds=round(seconds, 1), operations=len(took),
        failed=len(operations.failures), tried_again=operations.tried_again, longest_s=round(took[-1], 2),
        p99_s=round(took[len(took) * 99 // 100], 3), left_s=[round(one, 2) for one in left], watchers=WATCHERS,
        resumed=len({(event.watcher, event.member) for event in history.events if event.resumed}) - WATCHERS,
        began_anew=dict(Counter(mark.reset for mark in history.marks if mark.reset not in {"", "began"})),
        violations=dict(violations), failures=operations.failures[:5],
    )  # fmt: skip


async def _peak(operations: Operations, ports: list[int], chance: random.Random) -> float:
    until = now() + PEAK_S

    async def work() -> None:
        choice = Choice(ports, chance)
        while now() < until:
            await operations.one(choice)

    begin = now()
    await asyncio.gather(*(work() for _ in range(PEAK_WORKERS)))
    return len(operations.took) / (now() - begin)


async def _feed(operations: Operations, ports: list[int], rate: float, chance: random.Random) -> None:
    """Operations begin when they are due, whether those before have ended or not."""
    running: set[asyncio.Task[None]] = set()
    choices = [Choice(ports, chance) for _ in range(PEAK_WORKERS)]
    due = time.monotonic()
    try:
        for number in itertools.count():
            task = asyncio.create_task(operations.one(choices[number % len(choices)]))
            running.add(task)
            task.add_done_callback(running.discard)
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    finally:
        await asyncio.gather(*running)


async def _restart_all(cluster: Cluster) -> list[float]:
    await asyncio.sleep(BEFORE_S)
    left = []
    for member in cluster.members:
        left.append(await asyncio.to_thread(member.stop))
        await asyncio.to_thread(member.start)
        await asyncio.sleep(BETWEEN_S)
    await asyncio.sleep(AFTER_S)
    return left


async def _caught_up(history: History) -> int:
    """How many watchers do not know what the others of their service know, when nothing is written any more."""
    until = now() + CAUGHT_UP_MAX_S
    while True:
        last = {mark.watcher: mark for mark in history.marks}
        by_scope: dict[str, set[str]] = {}
        for mark in last.values():
            by_scope.setdefault(mark.scope, set()).add(mark.digest)
        lagging = sum(len(digests) - 1 for digests in by_scope.values())
        if not lagging or now() > until:
            return lagging
        await asyncio.sleep(0.5)

"""Everybody who uses the cluster while it is broken: owners, watchers, readers and probes. One event loop carries them all."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import msgspec

from callboard.wire.native import ServiceInstances, ServiceList
from tests.soak.cluster_agents import Agent
from tests.soak.cluster_history import Final, History, Life, Seen, Stall, now
from tests.soak.cluster_http import CallError, Choice, Http
from tests.soak.cluster_owner import Owner, Shared
from tests.soak.cluster_watchers import Blocked, Watcher, shown

STALL_MIN_S = 0.1
LOOK_EVERY_S = 0.05
PROBE_WRITE_EVERY_S, PROBE_READ_EVERY_S, WATCH_EVERY_S = 0.1, 0.05, 0.5
READ_MAX_S, LOOK_MAX_S, FINAL_MAX_S = 0.5, 3.0, 30.0
PROBE_SERVICE = "probe"


class Plan(NamedTuple):
    """How many of each."""

    steady: int = 220
    hasty: int = 20
    """Steady ones with a short time limit."""
    churning: int = 8
    services: int = 24
    nodes: int = 12
    watchers: int = 9
    blocked: int = 12
    readers: int = 6
    agents: int = 0
    """Each speaks for a hundred instances."""
    ttl_s: float = 15.0
    hasty_ttl_s: float = 5.0


class Load:
    """Starts with `start`; `kill` is the death of some instances, `hold` a moment without writes."""

    def __init__(self, ports: Sequence[int], names: Sequence[str], plan: Plan, seed: int) -> None:
        self.history = History()
        self.plan = plan
        self._names = names
        self._chance = random.Random(seed)
        self._numbers = itertools.count(1)
        self.shared = Shared(ports, Http(), self.history, asyncio.Event(), itertools.count(1))
        self.shared.writing.set()
        self._steady: dict[Owner, asyncio.Task[None]] = {}
        self._agents: list[Agent] = []
        self._others: list[asyncio.Task[None]] = []
        self.failed: list[BaseException] = []

    async def start(self) -> None:
        """All of it; answers when the steady instances are signed in."""
        plan, shared = self.plan, self.shared
        for number in range(plan.steady + plan.hasty):
            self._add_steady(plan.ttl_s if number < plan.steady else plan.hasty_ttl_s)
        for number in range(plan.agents):
            self._agents.append(Agent(shared, number, plan.services, plan.ttl_s, self._seed()))
            self._run(self._agents[-1].live())
        for number in range(plan.watchers):
            self._run(Watcher(shared, number, self._seed()).watch())
        for number in range(plan.blocked):
            self._run(Blocked(shared, f"blocked-{number}", self._service(number), self._seed()).watch())
        for _ in range(plan.churning):
            self._run(self._churn())
        for number in range(plan.readers):
            self._run(self._read(f"reader-{number}", random.Random(self._seed())))
        for place, name in enumerate(self._names):
            self._run(self._watch_over(place, name))
        for work in (self._probe_writes(), self._probe_reads(), self._stalls()):
            self._run(work)
        owners = [*self._steady, *(owner for agent in self._agents for owner in agent.owners)]
        while not all(owner.key in self.history.lives for owner in owners):
            self.check()
            await asyncio.sleep(0.1)

    def check(self) -> None:
        """Raise what a client failed with: a mistake of the suite."""
        if self.failed:
            raise self.failed[0]

    def kill(self, count: int, *, hasty: bool = False) -> list[Life]:
        """So many steady instances die without a word; as many others take their place. Answers those that died."""
        ttl_s = self.plan.hasty_ttl_s if hasty else self.plan.ttl_s
        alive = [owner for owner in self._steady if owner.ttl_s == ttl_s and owner.key in self.history.lives]
        victims = self._chance.sample(alive, min(count, len(alive)))
        for owner in victims:
            self._steady.pop(owner).cancel()
            owner.end("killed")
            self._add_steady(owner.ttl_s)
        return [self.history.lives[owner.key] for owner in victims]

    def hold(self) -> None:
        """From now on nobody begins to change anything."""
        self.shared.writing.clear()

    def go_on(self) -> None:
        """They do again."""
        self.shared.writing.set()

    async def stop(self) -> None:
        """End all of it."""
        tasks = [*self._steady.values(), *self._others]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.shared.http.close()
        self.check()

    # -- clients

    def _seed(self) -> int:
        return self._chance.getrandbits(32)

    def _service(self, number: int) -> str:
        return f"svc-{number % self.plan.services}"

    def _owner(self, ttl_s: float, kind: str) -> Owner:
        number = next(self._numbers)
        key = f"node-{number % self.plan.nodes}/{kind}-{number}"
        return Owner(self.shared, key, self._service(self._chance.randrange(self.plan.services)), ttl_s, self._seed())

    def _add_steady(self, ttl_s: float) -> None:
        owner = self._owner(ttl_s, "steady")
        self._steady[owner] = self._task(owner.live())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._others.append(self._task(work))

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed.append(error)

    async def _churn(self) -> None:
        while True:
            await self.shared.writing.wait()
            await self._owner(self.plan.ttl_s, "brief").come_and_go(self._chance.uniform(1.0, 5.0))
            await asyncio.sleep(self._chance.uniform(0.0, 1.0))

    async def _probe_writes(self) -> None:
        owner = Owner(self.shared, "node-0/probe", PROBE_SERVICE, 0.0, self._seed())
        while True:
            await self.shared.writing.wait()
            await owner.register()
            self.history.writes.append(now())
            await asyncio.sleep(PROBE_WRITE_EVERY_S)

    async def _probe_reads(self) -> None:
        choice = Choice(self.shared.ports, random.Random(self._seed()))
        while True:
            try:
                answer = await self.shared.http.call(choice.port, "GET", "/v1/health/service/svc-0?passing", timeout_s=READ_MAX_S)
            except CallError:
                await choice.another()
                continue
            if answer.status == 200:
                choice.answered()
                self.history.reads.append(now())
                await asyncio.sleep(PROBE_READ_EVERY_S)
            else:
                await choice.another()

    async def _watch_over(self, place: int, name: str) -> None:
        told = self.history.watched.setdefault(name, [])
        while True:
            begin, answered = now(), False
            try:
                answer = await self.shared.http.call(self.shared.ports[place], "GET", "/v1/health/service/svc-1", timeout_s=LOOK_MAX_S)
                answered = answer.status == 200
            except CallError:
                pass
            told.append((begin, answered, now() - begin))
            await asyncio.sleep(WATCH_EVERY_S)

    async def _read(self, name: str, chance: random.Random) -> None:
        choice = Choice(self.shared.ports, chance)
        while True:
            mode = chance.choice(("default", "stale", "consistent", "consistent"))
            await self._read_once(name, mode, self._service(chance.randrange(self.plan.services)), choice)
            await asyncio.sleep(chance.uniform(0.1, 0.5))

    async def _read_once(self, name: str, mode: Any, service: str, choice: Choice) -> None:
        target = f"/v1/health/service/{service}" + ("" if mode == "default" else f"?{mode}")
        begin, place = now(), choice.place
        try:
            answer = await self.shared.http.call(choice.port, "GET", target, timeout_s=LOOK_MAX_S)
        except CallError:
            await choice.another()
            return
        if answer.status != 200:
            await choice.another()
            return
        choice.answered()
        told = shown(answer.body)
        index = int(answer.headers["x-consul-index"])
        tokens = told.tokens if mode == "consistent" else None
        self.history.seen.append(Seen(name, place, mode, service, begin, now(), index, 0, told.digest, tokens))
        if chance_to_switch(begin):
            await choice.another()

    async def _stalls(self) -> None:
        while True:
            begin = now()
            await asyncio.sleep(LOOK_EVERY_S)
            late = now() - begin - LOOK_EVERY_S
            if late > STALL_MIN_S:
                self.history.stalls.append(Stall(begin, late))


def chance_to_switch(begin: float) -> bool:
    """Readers go from member to member without a reason, too: by the clock, for they carry no place with them."""
    return int(begin * 1000) % 5 == 0


async def final_of(http: Http, port: int, name: str) -> Final:
    """All that a member shows."""
    tokens: dict[str, str] = {}
    statuses: dict[str, str] = {}

    async def get(target: str) -> bytes:
        return (await http.call(port, "GET", target, timeout_s=FINAL_MAX_S)).body

    reading: Callable[[str], Awaitable[bytes]] = get
    for service in msgspec.json.decode(await reading("/api/v1/services"), type=ServiceList).services:
        for instance in msgspec.json.decode(await reading(f"/api/v1/services/{service.name}"), type=ServiceInstances).instances:
            key = f"{instance.node}/{instance.id}"
            tokens[key] = instance.meta.get("token", "")
            statuses[key] = f"{instance.status.value}/{instance.phase.value}"
    return Final(name, tokens, statuses)

"""Clients that register, beat, report and leave at random while the store fails at random; what they were told is held against what is.

Each client owns one instance. What it may rely on, and what `Client` asserts: an acknowledged registration stays until the client itself
removes it or a deadline runs out that began after it; no TTL check runs out earlier than its span after an acknowledged sign of life;
an outcome is told only when its group's commit returned.
"""

import asyncio
import random
from dataclasses import dataclass, field

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.changes import Changes
from callboard.model.check import CheckSpec, Status
from callboard.model.instance import InstanceSpec
from callboard.model.rows import Outcome
from callboard.model.time import SECOND, Instant, seconds
from callboard.net.tasks import spawn
from callboard.store.memory.engine import MemoryEngine
from callboard.testing.clock import VirtualClock
from callboard.testing.digest import digest
from callboard.testing.faults import Fault, by_seed
from tests.registry.stage import NODE, Stage, on_stage, outcome_of, ttl

TTL_S, DEREGISTER_S = 2.0, 3.0
WEIGHTS = {
    Fault.NONE: 12, Fault.SLOW: 2, Fault.UNAVAILABLE: 3, Fault.FULL: 1, Fault.LOST: 2, Fault.LANDED: 2, Fault.LATE: 2,
}  # fmt: skip
_NOT_APPLIED = {"unavailable", "full", "overloaded", "deposed"}
_OPEN = {"unknown_outcome"}


@dataclass
class Client:
    """One instance and what its owner knows of it."""

    stage: Stage
    name: str
    chance: random.Random
    registered: Instant | None = None
    """When the last acknowledged registration was sent; None when it is removed, or nobody knows."""
    heard: Instant | None = None
    """When the last acknowledged sign of life was sent."""
    leaving: bool = False
    number: int = 0
    log: list[str] = field(default_factory=list)

    @property
    def target(self) -> cmd.Target:
        return cmd.Target("n1", self.name)

    async def live(self, until: Instant) -> None:
        """Do something, wait a little, and so on."""
        while self.stage.clock.now() < until and self.stage.registry.ready:
            await asyncio.sleep(self.chance.choice([0, 0.01, 0.3, 1, 2.2, 4]))
            await self.chance.choice([self.register, self.register, self.beat, self.beat, self.report, self.leave])()

    async def register(self) -> None:
        """The same registration every time."""
        self.number += 1
        check = CheckSpec(id=self.name, definition=ttl(TTL_S, DEREGISTER_S), status=Status.CRITICAL)
        command = cmd.Register(
            nonce=f"{self.name} {self.number}", node=NODE, instance=InstanceSpec(service="web", id=self.name),
            checks=(cmd.Attached(self.name, check),),
        )  # fmt: skip
        outcome, sent = await self._send(command)
        if outcome.refusal is None:
            self.registered = self.heard = sent

    async def beat(self) -> None:
        """A heartbeat: the quick way, or as a report."""
        if self.stage.registry.beat("public", "n1", self.name, Status.PASSING, ""):
            self.heard = self.stage.clock.now()
        else:
            await self.report()

    async def report(self) -> None:
        """Say that it is well."""
        outcome, sent = await self._send(cmd.ReportCheck(target=self.target, status=Status.PASSING, output=""))
        if outcome.refusal is None:
            self.heard = sent

    async def leave(self) -> None:
        """Deregister."""
        self.leaving = True
        outcome, _ = await self._send(cmd.DeregisterInstance(self.target))
        self.leaving = False
        if outcome.refusal is None or outcome.refusal.reason in _OPEN:
            self.registered = None

    async def _send(self, command: cmd.Command) -> tuple[Outcome, Instant]:
        sent = self.stage.clock.now()
        outcome = await outcome_of(self.stage.registry.submit(command))
        reason = outcome.refusal.reason if outcome.refusal is not None else "done"
        self.log.append(f"{self.stage.elapsed_s:.2f} {type(command).__name__} of {(sent - self.stage.started) / SECOND:.2f}: {reason}")
        told = outcome.command in self.stage.store.acknowledged
        assert told or reason in _NOT_APPLIED | _OPEN, f"told {reason} before its group was durable\n{self}"
        if self.registered is not None and self.there:
            assert reason not in {"unknown_instance", "unknown_check"}, f"{reason}, but it is there\n{self}"
        return outcome, sent

    @property
    def there(self) -> bool:
        """Whether the view has it."""
        return self.stage.registry.view.placed("public", "n1", self.name) is not None

    def see(self, changes: Changes) -> None:
        """Judge what the view says of it."""
        now = self.stage.clock.now()
        for change in changes.instances:
            if change.before is not None and change.before.id == self.name and change.after is None and self.registered is not None:
                assert self.leaving or now >= self.registered + seconds(DEREGISTER_S), f"lost at {self.stage.elapsed_s:.2f}\n{self}"
        for turn in changes.checks:
            expired = turn.after is not None and turn.after.id == self.name and turn.after.output.startswith("TTL expired")
            if expired and turn.before is not None and turn.before.status is not Status.CRITICAL and self.heard is not None:
                assert now >= self.heard + seconds(TTL_S), f"ran out early at {self.stage.elapsed_s:.2f}\n{self}"

    def __str__(self) -> str:
        return "\n".join([f"client {self.name}", *self.log])


async def live_through(clock: VirtualClock, seed: int, span_s: float = 60, count: int = 4) -> None:
    """Clients on a failing store, then a restart: everything acknowledged is there."""
    engine = MemoryEngine()
    chance = random.Random(seed)
    async with on_stage(clock, engine, choose=by_seed(seed, WEIGHTS), seed=seed) as stage:
        clients = [Client(stage, f"i{number}", random.Random(chance.random())) for number in range(count)]
        for client in clients:
            stage.registry.subscribe(client.see)
        lives = [spawn(client.live(Instant(clock.now() + seconds(span_s))), name=client.name) for client in clients]
        for life in lives:
            await life
        if not stage.registry.ready:
            assert not (await stage.registry.failed()).startswith("error in the program")
    view, settled = stage.registry.view, {outcome.command for outcome in stage.store.sent[-1].outcomes} <= stage.store.acknowledged
    async with on_stage(clock, engine, seed=seed + 1) as again:
        assert again.registry.revision > view.revision
        if settled:
            assert digest(again.registry.view) == digest(view), "a restart changes nothing"
        for client in clients:
            if client.registered is not None and client.there and settled:
                assert again.registry.view.placed("public", "n1", client.name) is not None, client

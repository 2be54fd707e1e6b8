"""Providers: each owns one instance, signs it in, keeps it alive through whatever member answers, and changes its mind now and then.

A provider lives for a run, or until it dies, when it is told to: then nothing is heard of it any more.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Final

from callboard.core.catalog import commands as cmd
from callboard.model.check import CheckSpec, Status, TtlCheck
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.rows import Outcome
from callboard.model.time import seconds
from callboard.registry.submission import Submission
from callboard.testing.simulation.judge import Judge
from callboard.testing.simulation.process import Process
from callboard.testing.simulation.signs import Signs
from callboard.testing.simulation.truth import VERSION
from callboard.testing.simulation.wires import Answer, Line, Reply
from callboard.testing.simulation.wishes import Wish

SERVICES: Final = ("web", "api")
_OK: Final = "ok"
_AGAIN_S: Final = 0.25


class Provider:
    """One instance's owner."""

    def __init__(  # noqa: PLR0917  # what it is made of, each once
        self, name: str, line: Line[str], judge: Judge, chance: random.Random, members: Sequence[str], ttl_s: float, timeout_s: float,
        reap_s: float,
    ) -> None:  # fmt: skip
        self.name = name
        self.dead_since_s: float | None = None
        self.calm = False
        """Whether it only keeps alive what it has."""
        self.wants = True
        """Whether its instance is to be there."""
        self.ttl_s = ttl_s
        self._node = f"n{chance.randrange(3)}"
        self._line = line
        self._judge = judge
        self._chance = chance
        self._members = list(members)
        self._at = chance.randrange(len(members))
        self._timeout_s = timeout_s
        self._reap_s = reap_s
        self._version = 0
        self._service = chance.choice(SERVICES)
        self._last: cmd.Register | None = None
        self._registered = False
        self.identity = self._wish("", "", _NOBODY)
        """What names its rows."""
        judge.ends.signs[self.identity.check] = Signs(ttl_s, reap_s)

    def _wish(self, kind: str, version: str, process: Process) -> Wish:
        judge = self._judge
        return Wish(kind, self._node, self.name, version, process, judge.now_s, judge.truth.acknowledged)

    # -- life

    async def live(self) -> None:
        """For ever, until it dies."""
        chance = self._chance
        await asyncio.sleep(chance.uniform(0, 0.5))
        await self._until_done(self._register)
        while not self._dead():
            await asyncio.sleep(self.ttl_s / 3 * chance.uniform(0.8, 1.0))
            if self._dead():
                return
            if not self._registered:
                await self._until_done(self._register)
            elif self.calm or chance.random() < 0.75:
                await self._until_done(self._beat)
            else:
                await chance.choice([self._change, self._again, self._twice, self._turn, self._leave])()

    def _dead(self) -> bool:
        return self.dead_since_s is not None

    def die(self) -> None:
        """Nothing is heard of it any more."""
        self.dead_since_s = self._judge.now_s

    async def _until_done(self, work: Callable[[], object]) -> None:
        """Ordinary retries, at the next member each time."""
        while not self._dead():
            if await work():  # type: ignore[misc]
                return
            self._at = (self._at + 1) % len(self._members)
            await asyncio.sleep(self._chance.uniform(0, _AGAIN_S))

    # -- what it asks for

    async def _change(self) -> None:
        """Be another version, perhaps of another service."""
        self._last = None
        if self._chance.random() < 0.5:
            self._service = self._chance.choice(SERVICES)
        await self._until_done(self._register)

    async def _again(self) -> None:
        """The same once more."""
        await self._register()

    async def _twice(self) -> None:
        """Two requests under way at once, as after an impatient timeout."""
        patient, self._timeout_s = self._timeout_s, 0.002
        self._last = None
        await self._register()
        self._timeout_s = patient
        self._at = (self._at + 1) % len(self._members)
        await self._until_done(self._register)

    async def _turn(self) -> None:
        """Feel unwell, and well again."""
        await self._report(self._chance.choice([Status.WARNING, Status.CRITICAL]))
        await asyncio.sleep(self._chance.uniform(0, self.ttl_s / 2))
        await self._until_done(self._beat)

    async def _leave(self) -> None:
        """Sign out, and perhaps in again."""
        self.wants = False
        await self._until_done(self._deregister)
        self._registered = False
        await asyncio.sleep(self._chance.uniform(0, 1))
        self.wants = True
        self._last = None
        await self._until_done(self._register)

    async def _register(self) -> bool:
        command = self._last or self._registration()
        self._last = command
        assert command.instance is not None
        version = command.instance.meta[VERSION]
        told = await self._send("register", version, lambda _: command)
        self._registered = self._registered or told == _OK
        return told == _OK

    def _registration(self) -> cmd.Register:
        self._version += 1
        check = CheckSpec(
            id=self.name, definition=TtlCheck(seconds(self.ttl_s), deregister_after=seconds(self._reap_s)), status=Status.PASSING
        )
        return cmd.Register(
            nonce=f"{self.name}.{self._version}", node=NodeSpec(name=self._node, address="10.0.0.1"),
            instance=InstanceSpec(service=self._service, id=self.name, meta={VERSION: f"{self.name}.{self._version}"}),
            checks=(cmd.Attached(self.name, check),), set_status=True,
        )  # fmt: skip

    async def _deregister(self) -> bool:
        return await self._send("deregister", "", lambda _: cmd.DeregisterInstance(self._target)) in {_OK, "unknown_instance"}

    async def _report(self, status: Status) -> bool:
        return await self._send("report", status, lambda _: self._reporting(status)) == _OK

    @property
    def _target(self) -> cmd.Target:
        return cmd.Target(self._node, self.name)

    def _reporting(self, status: Status) -> cmd.ReportCheck:
        return cmd.ReportCheck(target=self._target, status=status, output="")

    async def _send(self, kind: str, version: str, make: Callable[[Process], cmd.Command]) -> str:
        reply = await self._ask(lambda process, answer: self._submit(self._wish(kind, version, process), make(process), answer))
        return reply.value or ""

    def _submit(self, wish: Wish, command: cmd.Command, answer: Answer[str]) -> None:
        registry, judge = wish.process.registry, self._judge
        assert registry is not None
        if isinstance(command, cmd.Register) or (isinstance(command, cmd.ReportCheck) and command.status is not Status.CRITICAL):
            judge.heard(wish)
        submission = registry.submit(command)
        self._await(wish, submission, answer)

    def _await(self, wish: Wish, submission: Submission, answer: Answer[str]) -> None:
        self._judge.enters(wish, submission)

        def told(outcome: Outcome) -> None:
            self._judge.tells(wish, outcome)
            answer(outcome.refusal.reason if outcome.refusal is not None else _OK)

        submission.then(told)

    async def _beat(self) -> bool:
        reply = await self._ask(self._beaten)
        told = reply.value or ""
        if told in {"unknown_check", "unknown_instance"}:
            self._registered = False
            self._last = None
            return True
        return told == _OK

    def _beaten(self, process: Process, answer: Answer[str]) -> None:
        """As the doors do it: a heartbeat, the short way where that is enough, or the report that it is if it is more."""
        registry, judge = process.registry, self._judge
        assert registry is not None
        wish = self._wish("beat", "", process)
        judge.heard(wish)
        short = registry.renew(("public", self._node, self.name), Status.PASSING, "")
        noted = short or registry.beat("public", self._node, self.name, Status.PASSING, "")
        if noted is True:
            judge.acknowledges_beat(wish, leading_unconfirmed=process.unconfirmed)
            answer(_OK)
        elif noted is False:
            wish.kind, wish.version = "report", Status.PASSING
            self._await(wish, registry.submit(self._reporting(Status.PASSING)), answer)
        else:
            self._await(wish, noted, answer)

    async def _ask(self, work: Callable[[Process, Answer[str]], None]) -> Reply[str]:
        return await self._line.ask(self._members[self._at], work, self._timeout_s)


_NOBODY: Final = Process("", 0, None)  # type: ignore[arg-type]

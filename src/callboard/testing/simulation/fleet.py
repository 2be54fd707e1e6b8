"""A fleet: instances that are asked how they are, instead of saying so. Who asks is a member; a blind one finds nobody well.

A fleet lives for a run. It is signed in once; what becomes of its checks afterwards is the members' work alone.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from callboard.core.catalog import commands as cmd
from callboard.core.health import ProbeResult
from callboard.model.check import CheckSpec, HttpCheck, ProbeDefinition, Status
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.rows import Key, check_key
from callboard.model.time import SECOND, Duration
from callboard.registry.prober import Ask
from callboard.testing.simulation.process import Process
from callboard.testing.simulation.wires import Answer, Line

NODE: Final = "fleet"
INTERVAL_S: Final = 2
_PROBE_S: Final = (0.002, 0.05)
_HOST: Final = "http://10.0.0.9/"


class Fleet:
    """So many instances on one node."""

    def __init__(self, size: int, line: Line[str], chance: random.Random, members: Sequence[str]) -> None:
        self.names = [f"f{number}" for number in range(size)]
        self.blind: set[str] = set()
        """Hosts from which nobody can be reached."""
        self.dead: set[str] = set()
        self.dead_since_s = 0.0
        self._line = line
        self._chance = chance
        self._members = members

    def key(self, name: str) -> Key:
        """Of an instance's check."""
        return check_key("public", NODE, name)

    def lives(self, key: Key) -> bool | None:
        """Whether the instance of a check is well; None for a check that is not of this fleet."""
        name = key.rsplit("/", 1)[1]
        return None if not key.startswith(f"c/public/{NODE}/") else name not in self.dead

    async def sign_in(self) -> None:
        """All of them, with ordinary retries."""
        for name in self.names:
            work, told = self._registering(name), ""
            while told != "ok":
                told = (await self._line.ask(self._chance.choice(list(self._members)), work, 2.0)).value or ""

    def _registering(self, name: str) -> "Working":
        definition = HttpCheck(_HOST + name, Duration(INTERVAL_S * SECOND), Duration(SECOND))
        command = cmd.Register(
            nonce=f"{name} signs in", node=NodeSpec(name=NODE, address="10.0.0.9"), instance=InstanceSpec(service="fleet", id=name),
            checks=(cmd.Attached(name, CheckSpec(id=name, definition=definition, status=Status.PASSING)),),
        )  # fmt: skip
        return Working(command)

    def asking(self, host: str) -> Ask:
        """How a member on that host asks."""

        async def ask(definition: ProbeDefinition) -> ProbeResult:
            await asyncio.sleep(self._chance.uniform(*_PROBE_S))
            assert isinstance(definition, HttpCheck)
            if host in self.blind or definition.url.removeprefix(_HOST) in self.dead:
                return ProbeResult(Status.CRITICAL, "no answer")
            return ProbeResult(Status.PASSING, "fine")

        return ask


class Working:
    """A command to be done at a door."""

    def __init__(self, command: cmd.Command) -> None:
        self._command = command

    def __call__(self, process: Process, answer: Answer[str]) -> None:
        """Submit it."""
        registry = process.registry
        assert registry is not None
        registry.submit(self._command).then(lambda outcome: answer("ok" if outcome.refusal is None else outcome.refusal.reason))

"""A meddler: a client that does all the rest there is to do, and has no care for it afterwards.

Events, coordinates, proxies with sidecars, aliases that look at what providers have, and now and then a restore of what a member showed a
while ago. It lives for a run.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.aliasing import say
from callboard.core.catalog.codec import encode
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.overlay import Overlay
from callboard.core.catalog.restoring import pack, values_of
from callboard.core.catalog.view import View
from callboard.model.check import AliasCheck, CheckSpec
from callboard.model.coordinate import Place
from callboard.model.event import EventSpec
from callboard.model.instance import InstanceSpec, NodeSpec, Phase
from callboard.model.rows import ZERO, Key, Outcome, Row
from callboard.registry.itself import CHECK, SERVICE
from callboard.testing.simulation.judge import Judge
from callboard.testing.simulation.process import Process
from callboard.testing.simulation.truth import State, read
from callboard.testing.simulation.wires import Answer, Line
from callboard.testing.simulation.wishes import Wish

HOME: Final = "callboard"
_PATIENCE_S: Final = 2.0
_NODES: Final = ("n0", "n1", "n2")
_MESH: Final = ("x0", "x1")
Make = Callable[[], cmd.Command]


class Meddler:
    """Everything but registrations of providers."""

    def __init__(self, judge: Judge, chance: random.Random, line: Line[str], members: Sequence[str], *, restores: bool) -> None:
        self.calm = False
        """Whether it has stopped."""
        self._judge = judge
        self._chance = chance
        self._line = line
        self._members = members
        self._restores = restores
        self._saved: list[Row] = []
        self._count = 0

    async def live(self) -> None:
        """Until it is told to be calm."""
        chance = self._chance
        while not self.calm:
            await asyncio.sleep(chance.uniform(0.1, 1.2))
            if self._restores and chance.random() < 0.08:
                await self._restore()
            else:
                await self._do(chance.choice([self._event, self._coordinate, self._proxy, self._proxy, self._aliases, self._removal]))

    # -- one command

    async def _do(self, make: Make) -> None:
        command = make()

        def work(process: Process, answer: Answer[str]) -> None:
            registry = process.registry
            assert registry is not None
            registry.submit(command).then(lambda outcome: answer(_told(outcome)))

        await self._line.ask(self._chance.choice(list(self._members)), work, _PATIENCE_S)

    def _nonce(self) -> str:
        self._count += 1
        return f"x.{self._count}"

    def _node(self) -> NodeSpec:
        return NodeSpec(name=self._chance.choice(_NODES), address="10.0.0.1")

    def _event(self) -> cmd.Command:
        return cmd.FireEvent(self._nonce(), EventSpec(name=self._chance.choice("ab")))

    def _coordinate(self) -> cmd.Command:
        return cmd.SetCoordinate(self._chance.choice(_NODES), Place(height=self._chance.random()))

    def _proxy(self) -> cmd.Command:
        """Now with a sidecar, now without; or a proxy in front of what a provider has."""
        name, chance = self._chance.choice(_MESH), self._chance
        beside = InstanceSpec(service=f"{name}-proxy", id=f"{name}-sidecar-proxy", kind="connect-proxy", destination="web")
        sidecar = cmd.Sidecar(instance=beside, listens_at="10.0.0.1", checks=(_alias(f"of {name}", "", name),))
        spec = InstanceSpec(service="web", id=name, phase=chance.choice([None, Phase.DRAINING]))
        return cmd.Register(nonce=self._nonce(), node=self._node(), instance=spec, sidecar=chance.choice([sidecar, None]))

    def _aliases(self) -> cmd.Command:
        chance = self._chance
        checks = tuple(
            cmd.Attached("", _alias(f"alias {number}", chance.choice(_NODES), chance.choice(["", "p0", "p1", "p2", *_MESH])))
            for number in range(chance.randrange(1, 4))
        )
        return cmd.Register(nonce=self._nonce(), node=NodeSpec(name="aliases", address="10.0.0.2"), checks=checks)

    def _removal(self) -> cmd.Command:
        chance = self._chance
        if chance.random() < 0.3:
            return cmd.DeregisterNode("aliases")
        return cmd.DeregisterInstance(cmd.Target(chance.choice(_NODES), chance.choice(_MESH)))

    # -- a restore

    async def _restore(self) -> None:
        """What a member shows, restored a while later through another."""
        saved = await self._line.ask(self._chance.choice(list(self._members)), self._save, _PATIENCE_S)
        if not saved.value:
            return
        await asyncio.sleep(self._chance.choice([0.0, 0.5, 2.0]))
        await self._line.ask(self._chance.choice(list(self._members)), self._load, _PATIENCE_S)

    def _save(self, process: Process, answer: Answer[str]) -> None:
        registry = process.registry
        assert registry is not None
        self._saved = [Row(key, encode(value), ZERO) for key, value in values_of(registry.view).items()] if process.ready else []
        answer("ok" if self._saved else "")

    def _load(self, process: Process, answer: Answer[str]) -> None:
        registry, judge = process.registry, self._judge
        assert registry is not None
        rows: Mapping[Key, State] = {row.key: read(row.key, row) for row in self._saved if row.key[:2] in {"i/", "c/"}}
        wish = Wish("restore", "", "", "", process, judge.now_s, judge.truth.acknowledged, rows=rows)
        submission = registry.submit(cmd.Restore(pack(self._saved), HOME, SERVICE, CHECK))
        judge.enters(wish, submission)

        def told(outcome: Outcome) -> None:
            judge.tells(wish, outcome)
            answer(_told(outcome))

        submission.then(told)


def _told(outcome: Outcome) -> str:
    return outcome.refusal.reason if outcome.refusal is not None else "ok"


def _alias(name: str, node: str, service: str) -> CheckSpec:
    return CheckSpec(id=name, definition=AliasCheck(node, service))


def wrong_aliases(view: View) -> list[str]:
    """Aliases that do not say what stands behind them."""
    draft = Draft(view, Overlay(), view.revision)
    return [
        f"{check.node}/{check.id}"
        for check in view.checks()
        if isinstance(check.definition, AliasCheck) and say(draft, check, check.definition) != (check.status, check.output)
    ]

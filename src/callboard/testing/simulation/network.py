"""The wires between members, and between clients and members: latency, loss, cuts in one direction, duplicates, late deliveries.

They live as long as the run. What is delivered runs in the receiver's process, so a stopped one reads its mail when it goes on.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Final

from callboard.model.members import Card
from callboard.registry.messages import MessageError
from callboard.registry.peers import UnreachableError
from callboard.testing.simulation.loop import SimulationLoop
from callboard.testing.simulation.process import Process
from callboard.testing.simulation.store import WORLD

Find = Callable[[str], Process | None]
"""The running process of a member, by the member's name."""
_LATE_S: Final = (0.5, 4.0)


class Network:
    """Everybody's wires. Ends are named: members by their name, clients by theirs."""

    def __init__(self, loop: SimulationLoop, chance: random.Random, find: Find) -> None:
        self.loop = loop
        self.latency_s = (0.001, 0.003)
        self.cuts: set[tuple[str, str]] = set()
        """From, to: nothing passes."""
        self.loss = self.twice = self.late = 0.0
        """How likely each is for one message between members."""
        self.lag_s = (0.0, 0.0)
        """How much longer what one member asks another is under way; answers are not."""
        self.brought: Callable[[bytes], None] = lambda _: None
        """Told of each message that a member is given."""
        self.find = find
        self._chance = chance

    def span_s(self) -> float:
        """How long one message takes."""
        return self._chance.uniform(*self.latency_s)

    def cut(self, one: str, other: str, *, both: bool = True) -> None:
        """Nothing passes from `one` to `other` any more, nor back unless told otherwise."""
        self.cuts.add((one, other))
        if both:
            self.cuts.add((other, one))

    def mend(self, one: str, other: str) -> None:
        """Both directions."""
        self.cuts -= {(one, other), (other, one)}

    def passes(self, one: str, other: str) -> bool:
        """Whether a message passes at this moment."""
        return (one, other) not in self.cuts

    def send(self, one: str, other: str, deliver: Callable[[], None], *, lags: bool = False) -> None:
        """Bring something over, if it passes both when it is sent and when it would arrive."""
        if not self.passes(one, other):
            return
        chance = self._chance
        if self.loss and chance.random() < self.loss:
            return
        span_s = self.span_s() + (chance.uniform(*self.lag_s) if lags and self.lag_s[1] else 0.0)
        if self.late and chance.random() < self.late:
            span_s += chance.uniform(*_LATE_S)
        self.loop.call_later(span_s, self._arrive, one, other, deliver, context=WORLD)
        if self.twice and chance.random() < self.twice:
            self.loop.call_later(span_s + chance.uniform(*_LATE_S), self._arrive, one, other, deliver, context=WORLD)

    def _arrive(self, one: str, other: str, deliver: Callable[[], None]) -> None:
        if self.passes(one, other):
            deliver()


class VirtualCourier:
    """One member's courier."""

    def __init__(self, network: Network, own: str) -> None:
        self._network = network
        self._own = own

    async def exchange(self, to: Card, message: bytes, timeout_s: float) -> bytes:
        """One message, one answer. Raises `UnreachableError`."""
        loop, network, own = self._network.loop, self._network, self._own
        answer: asyncio.Future[bytes] = loop.create_future()
        heard = False

        def deliver() -> None:
            process = network.find(to.name)
            if process is None or process.nonce != to.nonce:
                network.send(to.name, own, lambda: _fail(answer, "the connection was refused", sent=heard))
            else:
                loop.call_soon(hear, process, context=process.context)

        def hear(process: Process) -> None:
            nonlocal heard
            heard = True
            registry = process.registry
            if registry is None:
                return
            network.brought(message)
            try:
                registry.hear(message).then(reply)
            except MessageError:
                return

        def reply(data: bytes) -> None:
            network.send(to.name, own, lambda: _tell(answer, data))

        network.send(own, to.name, deliver, lags=True)
        timer = loop.call_later(timeout_s, partial(_fail, answer, "there was no answer in time", sent=True), context=WORLD)
        try:
            return await answer
        finally:
            timer.cancel()

    async def close(self) -> None:
        """Nothing is kept open."""


def _tell(answer: asyncio.Future[bytes], data: bytes) -> None:
    if not answer.done():
        answer.set_result(data)


def _fail(answer: asyncio.Future[bytes], why: str, *, sent: bool) -> None:
    if not answer.done():
        answer.set_exception(UnreachableError(why, sent=sent))

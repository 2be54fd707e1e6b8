"""Several members in one process and in virtual time: one memory engine, and a courier whose links can be cut."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from callboard.core.health import ProbeResult
from callboard.core.liveness import LivenessSettings
from callboard.core.opinions import OpinionSettings
from callboard.model.check import ProbeDefinition, Status
from callboard.model.members import Card
from callboard.model.rows import Outcome
from callboard.registry.peers import UnreachableError
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from callboard.testing.clock import SeededEntropy, VirtualClock
from tests.registry.stage import outcome_of

HOP_S = 0.001


@dataclass
class Network:
    """Links between members, by name; a message takes a hop each way."""

    members: dict[str, Registry] = field(default_factory=dict)
    cut: set[tuple[str, str]] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    """Members whose answers are lost."""
    carried: list[tuple[str, str]] = field(default_factory=list)

    def sever(self, one: str, other: str) -> None:
        """Both ways."""
        self.cut |= {(one, other), (other, one)}


class Wire:
    """The courier of one member."""

    def __init__(self, network: Network, own: str) -> None:
        self._network = network
        self._own = own

    async def exchange(self, to: Card, message: bytes, timeout_s: float) -> bytes:
        """Carry it, or fail as networks do."""
        network = self._network
        await asyncio.sleep(HOP_S)
        receiver = network.members.get(to.name)
        if receiver is None or receiver.card.nonce != to.nonce or (self._own, to.name) in network.cut:
            raise UnreachableError("refused", sent=False)
        network.carried.append((self._own, to.name))
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        receiver.hear(message).then(lambda answer: None if answered.done() else answered.set_result(answer))
        try:
            async with asyncio.timeout(timeout_s):
                answer = await answered
        except TimeoutError:
            raise UnreachableError("no answer in time") from None
        if to.name in network.silent:
            raise UnreachableError("the answer was lost")
        await asyncio.sleep(HOP_S)
        return answer

    async def close(self) -> None:
        """Nothing is held."""


class Eyes:
    """What a member's probes find; by default all is well."""

    def __init__(self) -> None:
        self.blind = False
        self.asked = 0

    async def __call__(self, _definition: ProbeDefinition) -> ProbeResult:
        """Ask."""
        self.asked += 1
        return ProbeResult(Status.CRITICAL, "timed out") if self.blind else ProbeResult(Status.PASSING, "fine")


@dataclass
class Cluster:
    """Members on one engine."""

    clock: VirtualClock
    engine: MemoryEngine
    network: Network = field(default_factory=Network)
    eyes: dict[str, Eyes] = field(default_factory=dict)
    liveness: LivenessSettings = field(default_factory=LivenessSettings)
    opinions: OpinionSettings = field(default_factory=OpinionSettings)
    seed: int = 0

    async def start(self, name: str, level: int = 1) -> Registry:
        """A member that is open."""
        self.seed += 1
        self.eyes[name] = Eyes()
        registry = Registry(
            MemoryStore(self.engine), RegistrySettings(member=name, level=level), self.clock, SeededEntropy(self.seed, name),
            self.eyes[name], liveness=self.liveness, opinions=self.opinions,
        )  # fmt: skip
        registry.connect(Wire(self.network, name), f"http://{name}:1", "secret")
        self.network.members[name] = registry
        await registry.open()
        return registry

    async def stop(self, name: str) -> None:
        """Close it as a server does that is told to end."""
        await self.network.members[name].close()
        del self.network.members[name]

    @property
    def leader(self) -> Registry:
        """The member that leads."""
        [leader] = [member for member in self.network.members.values() if member.leading]
        return leader

    @property
    def followers(self) -> list[Registry]:
        """The others, by name."""
        return [member for _, member in sorted(self.network.members.items()) if not member.leading]

    async def wait(self, span_s: float) -> None:
        """Let time pass."""
        await asyncio.sleep(span_s)


def reason(outcome: Outcome) -> str | None:
    """Why it was refused; None when it was not."""
    return outcome.refusal.reason if outcome.refusal is not None else None


@contextlib.asynccontextmanager
async def cluster(
    clock: VirtualClock, names: str = "abc", *, liveness: LivenessSettings | None = None, opinions: OpinionSettings | None = None
) -> AsyncIterator[Cluster]:  # fmt: skip
    """Members of these one-letter names; the first leads."""
    made = Cluster(clock, MemoryEngine(), liveness=liveness or LivenessSettings(), opinions=opinions or OpinionSettings())
    try:
        for name in names:
            await made.start(name)
        yield made
    finally:
        for name in list(made.network.members):
            await made.stop(name)


__all__ = ["Cluster", "Network", "cluster", "outcome_of", "reason"]

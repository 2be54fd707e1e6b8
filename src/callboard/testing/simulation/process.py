"""One member as the world sees it: a host with clocks of its own, and the processes that run on it one after the other.

A host lives as long as the run; a process from its start until it is killed, stopped, or ends by itself.
"""

from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final

from callboard.core.liveness import LivenessSettings
from callboard.model.errors import StoreError
from callboard.model.members import Card
from callboard.model.time import MILLISECOND, Instant, Timestamp
from callboard.net.tasks import spawn
from callboard.registry.clock import Clock
from callboard.registry.peers import Courier
from callboard.registry.prober import Ask
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.testing.clock import WALL_START, SeededEntropy
from callboard.testing.simulation.loop import PROCESS, SimulationLoop
from callboard.testing.simulation.store import LeasedStore

_START_NS: Final = 1_000_000_000_000


class HostClock:
    """A host's two clocks: one runs since it was started, the other can be turned."""

    def __init__(self, loop: SimulationLoop, up_ns: int) -> None:
        self._loop = loop
        self._up_ns = up_ns
        self.wall_offset_ms = 0

    def now(self) -> Instant:
        """Of the forward-only clock; no two hosts were started together."""
        return Instant(self._loop.now_ns + self._up_ns)

    def wall(self) -> Timestamp:
        """What the host takes for UTC."""
        return Timestamp(WALL_START + (self._loop.now_ns - _START_NS) // MILLISECOND + self.wall_offset_ms)


class Process:
    """One life of a member."""

    def __init__(self, host: str, number: int, loop: SimulationLoop) -> None:
        self.host = host
        self.number = number
        self.context = Context()
        self.context.run(PROCESS.set, number)
        self.registry: Registry | None = None
        self.nonce = ""
        self.store: LeasedStore | None = None
        self.alive = True
        self.left: float | None = None
        """When its membership ended."""
        self.stopped_at: float | None = None
        """When it was last stopped (SIGSTOP) or went on."""
        self.loop = loop

    @property
    def name(self) -> str:
        """For traces."""
        return f"{self.host}#{self.number}"

    @property
    def card(self) -> Card | None:
        """What it says of itself."""
        return self.registry.card if self.registry is not None else None

    @property
    def ready(self) -> bool:
        """Whether its doors serve."""
        return self.alive and self.registry is not None and self.registry.ready

    @property
    def unconfirmed(self) -> bool:
        """Whether a lead that this process acts on is not confirmed at this moment."""
        store, registry = self.store, self.registry
        return store is not None and registry is not None and registry.leading and not store.confirmed

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something in this process."""
        self.context.run(spawn, work(), name=self.name)

    async def live(  # noqa: PLR0917  # what a process is made of, each once
        self, store: LeasedStore, settings: RegistrySettings, liveness: LivenessSettings, clock: Clock, seed: int, ask: Ask,
        courier: Courier, opened: Callable[[], None],
    ) -> str:  # fmt: skip
        """From start to end; answers why it ended by itself."""
        registry = Registry(store, settings, clock, SeededEntropy(seed, self.name), ask, liveness=liveness)
        registry.connect(courier, f"http://{self.host}:8500", f"secret of {self.name}")
        self.registry, self.store, self.nonce = registry, store, registry.card.nonce
        try:
            await registry.open()
        except StoreError as error:
            return f"could not open: {error}"
        opened()
        return await registry.failed()

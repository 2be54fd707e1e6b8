"""The engine of the simulation under the conformance suite: without faults, in virtual time."""

import random
from collections.abc import Mapping

from callboard.model.rows import Group, Position
from callboard.store.contract import Store
from callboard.store.memory.engine import Backup
from callboard.store.memory.settings import MemorySettings
from callboard.testing.simulation.blame import Blame
from callboard.testing.simulation.engine import LeasedEngine
from callboard.testing.simulation.judge import Judge
from callboard.testing.simulation.loop import SimulationLoop
from callboard.testing.simulation.process import HostClock
from callboard.testing.simulation.road import Road
from callboard.testing.simulation.store import LeasedStore
from tests.store.harnesses import HISTORY


class _Nobody(Judge):
    """The suite commits what no leader would: nothing is judged."""

    def landed(self, group: Group, lease: object) -> None: ...

    def refused(self, group: Group, lease: object) -> None: ...

    def rewound(self, to: Position) -> None: ...


class LeasedHarness:
    """Several members on one engine with leases."""

    deviations: Mapping[str, str] = {"an_acknowledged_group_survives_a_kill": "the rows are in the memory of the process"}
    patience_s = 30.0

    def __init__(self, loop: SimulationLoop) -> None:
        self._loop = loop
        self._clock = HostClock(loop, 10**15)
        self._count = 0
        self.engine = self._engine()
        self._stores: list[LeasedStore] = []

    def _engine(self) -> LeasedEngine:
        settings = MemorySettings(
            history_max_count=HISTORY, rows_max_count=1000, load_batch_max_rows=30, value_max_bytes=4000, group_max_rows=100,
            group_max_bytes=100_000,
        )  # fmt: skip
        return LeasedEngine(self._loop, settings, _Nobody(Blame(self._loop, tracing=False)))

    async def open(self) -> Store:
        self._count += 1
        store = LeasedStore(self.engine, Road(random.Random(self._count)), self._clock)
        await store.open()
        self._stores.append(store)
        return store

    async def kill(self, store: Store) -> Store:
        self.engine = self._engine()
        return await self.open()

    async def backup(self) -> object:
        return self.engine.rows.backup()

    async def rewind(self, backup: object) -> None:
        assert isinstance(backup, Backup)
        self.engine.rewind(backup)

    async def depose(self) -> None:
        if self.engine.leader is not None:
            self.engine.end(self.engine.leader)

    async def expel(self, name: str) -> None:
        if name in self.engine.members:
            self.engine.end(self.engine.members[name])

    async def close(self) -> None:
        for store in self._stores:
            await store.close()

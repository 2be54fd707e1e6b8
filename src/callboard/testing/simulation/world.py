"""The world of one run: engine, roads, wires, hosts, clients and the judge, put together, and what can be done to hosts."""

import logging
import random
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from callboard.core.liveness import LivenessSettings
from callboard.net.tasks import Tasks
from callboard.registry.settings import RegistrySettings
from callboard.store.memory.settings import MemorySettings
from callboard.testing.simulation.blame import Blame
from callboard.testing.simulation.engine import LeasedEngine
from callboard.testing.simulation.fleet import Fleet
from callboard.testing.simulation.judge import Judge
from callboard.testing.simulation.loop import SimulationLoop
from callboard.testing.simulation.meddler import Meddler
from callboard.testing.simulation.network import Network, VirtualCourier
from callboard.testing.simulation.plan import Plan
from callboard.testing.simulation.process import HostClock, Process
from callboard.testing.simulation.providers import Provider
from callboard.testing.simulation.road import Road
from callboard.testing.simulation.store import WORLD, LeasedStore
from callboard.testing.simulation.watchers import Reader, Watcher
from callboard.testing.simulation.wires import Line

_RESTART_S: Final = (0.3, 1.5)
_WIDE: Final = RegistrySettings(member="")
_NARROW: Final = replace(
    _WIDE, commands_pending_max_count=3, group_commands_max_count=2, batch_commands_max_count=2, batch_beats_max_count=3,
    history_max_count=24, floors_max_count=6,
)  # fmt: skip


class World:
    """Everything there is."""

    def __init__(self, loop: SimulationLoop, plan: Plan, blame: Blame) -> None:
        self.plan = plan
        self.blame = blame
        self.chance = random.Random(f"world {plan.seed}")
        self.judge = Judge(blame)
        self.engine = LeasedEngine(loop, MemorySettings(history_max_count=plan.history), self.judge)
        self.engine.extends = plan.extends
        self.network = Network(loop, self._chance("network"), self.find)
        self.network.brought = self.judge.brought
        self.roads = {name: Road(self._chance(f"road {name}")) for name in plan.members}
        self.clocks = {name: HostClock(loop, self.chance.randrange(10**15)) for name in plan.members}
        self.hosts: dict[str, Process] = {}
        self.running: dict[str, Process] = {}
        self.restarts: list[str] = []
        """Why processes ended by themselves."""
        if plan.slow:
            self.network.latency_s = (0.005, 0.06)
            for road in self.roads.values():
                road.latency_s = (0.005, 0.05)
        self._loop = loop
        self._count = 0
        self._tasks = Tasks()
        self._stopped: set[str] = set()
        self.providers = [self._provider(number, *spans) for number, spans in enumerate(plan.providers)]
        self.fleet = Fleet(plan.fleet, Line(self.network, "fleet"), self._chance("fleet"), plan.members)
        self.judge.ends.queues = plan.narrow
        self.judge.ends.fleet_lives = self.fleet.lives
        self.watchers = [
            Watcher(f"w{number}", self.judge, blame, self._chance(f"watcher {number}"), self.find, plan.members)
            for number in range(plan.watchers)
        ]  # fmt: skip
        self.meddler = Meddler(
            self.judge, self._chance("meddler"), Line(self.network, "x"), plan.members, restores=not plan.fleet
        )  # fmt: skip
        self.readers = [
            Reader(self.judge, blame, self._chance(f"reader {number}"), Line(self.network, f"r{number}"), plan.members)
            for number in range(plan.readers)
        ]  # fmt: skip

    def _chance(self, part: str) -> random.Random:
        return random.Random(f"{part} {self.plan.seed}")

    def _provider(self, number: int, ttl_s: float, timeout_s: float, reap_s: float) -> Provider:
        name = f"p{number}"
        line: Line[str] = Line(self.network, name)
        return Provider(name, line, self.judge, self._chance(name), self.plan.members, ttl_s, timeout_s, reap_s)

    # -- hosts

    def find(self, name: str) -> Process | None:
        """The process that runs on a host."""
        return self.running.get(name)

    @property
    def leader(self) -> str:
        """Who has the lead by the engine's word; empty for nobody."""
        return self.engine.leader.card.name if self.engine.leader is not None else ""

    def start(self, name: str) -> None:
        """Begin a new process, unless one runs."""
        if name in self.running:
            return
        self._count += 1
        process = self.running[name] = Process(name, self._count, self._loop)
        self.blame.note(process.name, "starts")
        clock = self.clocks[name]
        store = LeasedStore(self.engine, self.roads[name], clock, lambda group, right: self.judge.ends.sent(group, right, clock.now()))
        store.eager = self.plan.eager
        settings = replace(_NARROW if self.plan.narrow else _WIDE, member=name)
        courier = VirtualCourier(self.network, name)

        async def live() -> None:
            try:
                ended = await process.live(
                    store, settings, LivenessSettings(), clock, self.plan.seed * 1_000 + process.number, self.fleet.asking(name), courier,
                    partial(self.judge.views.opened, process),
                )  # fmt: skip
            except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
                ended = f"error in the program: {error!r}"
            self._ended(process, ended)

        process.spawn(live)
        self._loop.call_soon(self._know, process, context=process.context)

    def _know(self, process: Process) -> None:
        self.judge.processes[process.nonce] = process

    def _ended(self, process: Process, why: str) -> None:
        """It ended by itself: as a supervisor does, it is started again."""
        self.blame.note(process.name, f"ends: {why}")
        self.restarts.append(why)
        if "error in the program" in why:
            self.blame.blame("Healthy", f"{process.name}: {why}")
        if process.alive:
            self.kill(process.host)
            self._loop.call_later(self.chance.uniform(*_RESTART_S), self._restart, process.host, context=WORLD)

    def _restart(self, name: str) -> None:
        if name not in self._stopped:
            self.start(name)

    def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self.running.pop(name, None)
        if process is not None:
            self.blame.note(process.name, "is killed")
            process.alive = False
            self._loop.kill_process(process.number)

    def stop(self, name: str, rest_s: float) -> None:
        """SIGTERM, and a start again `rest_s` after it has ended."""
        process = self.running.get(name)
        if process is None or process.registry is None:
            return
        self.blame.note(process.name, "is asked to stop")
        registry = process.registry

        async def close() -> None:
            await registry.close()
            self._loop.call_soon(closed, context=WORLD)

        def closed() -> None:
            if self.running.get(name) is process:
                self.blame.note(process.name, "has stopped")
                if not self.engine.down and not self.roads[name].cut and process.nonce in {card.nonce for card in self.engine.cards}:
                    self.blame.blame("Left", process.name)
                self.kill(name)
                self._loop.call_later(rest_s, self._restart, name, context=WORLD)

        process.spawn(close)

    def pause(self, name: str) -> Callable[[], None]:
        """SIGSTOP; call what is returned for SIGCONT."""
        process = self.running.get(name)
        if process is None:
            return lambda: None
        self._loop.stop_process(process.number)

        def go_on() -> None:
            self._loop.continue_process(process.number)

        return go_on

    def later(self, span_s: float, act: Callable[[], None]) -> None:
        """Something of the world itself."""
        self._loop.call_later(span_s, act, context=WORLD)

    # -- the whole

    def disturbed(self, what: str) -> None:
        """A fault begins or ends."""
        self.blame.note("fault", what)
        self.judge.disturbances.append(self.blame.elapsed_s)

    def begin(self) -> None:
        """Start members and clients."""
        for name in self.plan.members:
            self._loop.call_later(self.chance.uniform(0, 0.3), self.start, name, context=WORLD)
        for provider in self.providers:
            self._tasks.spawn(provider.live(), name=provider.name)
        self._tasks.spawn(self.fleet.sign_in(), name="fleet")
        self._tasks.spawn(self.meddler.live(), name="meddler")
        for watcher in self.watchers:
            self._tasks.spawn(watcher.live(), name=watcher.name)
        for reader in self.readers:
            self._tasks.spawn(reader.live(), name="reader")

    async def end(self) -> None:
        """Let clients end; members are dropped with the loop."""
        await self._tasks.close()


class Alarm(logging.Handler):
    """A part that fails with an exception is a broken rule."""

    def __init__(self, blame: Blame) -> None:
        super().__init__(logging.DEBUG)
        self._blame = blame

    def emit(self, record: logging.LogRecord) -> None:
        """Be told a line of the log."""
        if record.exc_info and record.exc_info[1] is not None:
            self._blame.blame("Healthy", f"{record.getMessage()}: {record.exc_info[1]!r}")
        if self._blame.tracing:
            self._blame.note("log", record.getMessage())

"""A whole registry in virtual time: memory store with faults, a clock that jumps, probes that answer from a script."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field

from callboard.core.catalog import commands as cmd
from callboard.core.health import ProbeResult
from callboard.core.liveness import LivenessSettings
from callboard.model.check import Check, CheckSpec, Definition, HttpCheck, ProbeDefinition, Status, TcpCheck, TtlCheck
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.rows import Outcome
from callboard.model.time import SECOND, Instant, seconds
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.registry.submission import Submission
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from callboard.testing.clock import SeededEntropy, VirtualClock
from callboard.testing.faults import Fault, FaultyStore, in_order
from callboard.testing.loop import run_virtual

NODE = NodeSpec(name="n1", address="10.0.0.1", implicit=True)
SETTINGS = RegistrySettings(member="m1")


class Asked:
    """Answers probes from a script; every asking is written down with its moment."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.when: list[tuple[Instant, ProbeDefinition]] = []
        self.answer: Callable[[ProbeDefinition], ProbeResult] = lambda _: ProbeResult(Status.PASSING, "fine")
        self.takes_s = 0.0
        self.running = self.most = 0

    async def __call__(self, definition: ProbeDefinition) -> ProbeResult:
        """Ask."""
        self.when.append((self._clock.now(), definition))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.running -= 1
        return self.answer(definition)

    def seconds(self) -> list[float]:
        """When it was asked, since the first time."""
        return [round((moment - self.when[0][0]) / SECOND, 2) for moment, _ in self.when]


@dataclass
class Stage:
    """A registry and what it stands on. `turns` holds what became of checks, in the order the view had it."""

    clock: VirtualClock
    engine: MemoryEngine
    store: FaultyStore
    registry: Registry
    asked: Asked
    turns: list[tuple[float, str, str]] = field(default_factory=list)
    started: Instant = Instant(0)

    @property
    def elapsed_s(self) -> float:
        """Since the registry was ready."""
        return (self.clock.now() - self.started) / SECOND

    async def wait(self, span_s: float) -> None:
        """Let time pass."""
        await asyncio.sleep(span_s)

    def pause(self, span_s: float) -> None:
        """Stop the process for a while: the clocks run, nothing else does."""
        self.clock.advance(seconds(span_s))

    async def done(self, command: cmd.Command) -> Outcome:
        """Submit, and wait for the outcome."""
        return await outcome_of(self.registry.submit(command))

    def check(self, check: str = "c1", node: str = "n1") -> Check | None:
        """A check as the view has it."""
        return self.registry.view.check("public", node, check)

    def status(self, check: str = "c1") -> Status | None:
        """Its status; None when it is not there."""
        there = self.check(check)
        return there.status if there is not None else None

    def beat(self, check: str = "c1", status: Status = Status.PASSING, output: str = "") -> bool:
        """A heartbeat, to the member that leads."""
        heard = self.registry.beat("public", "n1", check, status, output)
        assert isinstance(heard, bool)
        return heard


async def outcome_of(submission: Submission) -> Outcome:
    """The outcome, when it is there."""
    future = asyncio.get_running_loop().create_future()
    submission.then(future.set_result)
    return await future  # type: ignore[no-any-return]  # of the future just made


@contextlib.asynccontextmanager
async def on_stage(
    clock: VirtualClock, engine: MemoryEngine | None = None, *, settings: RegistrySettings = SETTINGS,
    choose: Callable[[], Fault] | None = None, seed: int = 0, liveness: LivenessSettings | None = None,
) -> AsyncIterator[Stage]:  # fmt: skip
    """A registry that is open. The opening group meets no fault."""
    engine = engine or MemoryEngine()
    store = FaultyStore(MemoryStore(engine), in_order())
    asked = Asked(clock)
    registry = Registry(store, settings, clock, SeededEntropy(seed), asked, liveness=liveness)
    await registry.open()
    stage = Stage(clock, engine, store, registry, asked, started=clock.now())
    registry.subscribe(
        lambda changes: stage.turns.extend(
            (round(stage.elapsed_s, 3), change.after.id, change.after.status)
            for change in changes.checks
            if change.after is not None and (change.before is None or change.before.status is not change.after.status)
        )
    )
    store.choose = choose or store.choose
    try:
        yield stage
    finally:
        store.choose = in_order()
        await registry.close()


def played(play: Callable[[VirtualClock], Coroutine[None, None, None]]) -> None:
    """Run a play in virtual time."""
    clock = VirtualClock()
    run_virtual(play(clock), clock)


def ttl(span_s: float, deregister_after_s: float = 0) -> TtlCheck:
    """A TTL check."""
    return TtlCheck(seconds(span_s), deregister_after=seconds(deregister_after_s))


def http(interval_s: float = 10, deregister_after_s: float = 0) -> HttpCheck:
    """An HTTP check."""
    return HttpCheck("http://10.0.0.1/", seconds(interval_s), deregister_after=seconds(deregister_after_s))


def tcp(interval_s: float = 10) -> TcpCheck:
    """A TCP check."""
    return TcpCheck("10.0.0.1", 80, seconds(interval_s))


def registration(
    definition: Definition, *, status: Status = Status.PASSING, instance: str = "a", check: str = "c1", nonce: str = "r1", output: str = ""
) -> cmd.Register:
    """An instance with one check."""
    spec = CheckSpec(id=check, definition=definition, status=status, output=output)
    return cmd.Register(
        nonce=nonce, node=NODE, instance=InstanceSpec(service="web", id=instance), checks=(cmd.Attached(instance, spec),)
    )  # fmt: skip


def report(status: Status, output: str | None = "", check: str = "c1") -> cmd.ReportCheck:
    """A client's word on a check."""
    return cmd.ReportCheck(target=cmd.Target("n1", check), status=status, output=output)

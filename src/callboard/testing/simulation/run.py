"""One run from its seed: begin, let things break, mend them, wait for rest, judge. The same seed gives the same run, step by step."""

import logging
from dataclasses import dataclass, field
from typing import Any, Final

from callboard.model.check import Status
from callboard.testing.simulation.blame import Blame, BrokenRuleError
from callboard.testing.simulation.faults import begin
from callboard.testing.simulation.judge import ANSWERED_WITHIN_S
from callboard.testing.simulation.loop import OutOfTimeError, SimulationLoop, run_simulated
from callboard.testing.simulation.meddler import wrong_aliases
from callboard.testing.simulation.plan import Fault, Plan, plan
from callboard.testing.simulation.providers import Provider
from callboard.testing.simulation.store import WORLD
from callboard.testing.simulation.truth import CheckRow, InstanceRow
from callboard.testing.simulation.world import Alarm, World

_LOG: Final = "callboard"
DEAD_WITHIN_S: Final = 12.0


@dataclass(slots=True)
class Result:
    """What came of one run."""

    seed: int
    family: str
    broken: str = ""
    """The rule that was broken; empty when none was."""
    detail: str = ""
    virtual_s: float = 0.0
    steps: int = 0
    groups: int = 0
    wishes: int = 0
    turns: int = 0
    watched: int = 0
    resumed: int = 0
    consistent: int = 0
    restarts: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def simulate(seed: int, *, tracing: bool = False, planned: Plan | None = None) -> Result:
    """One run."""
    drawn = planned or plan(seed)
    loop = SimulationLoop(limit_s=drawn.end_s + 60)
    blame = Blame(loop, tracing=tracing)
    result = Result(seed, drawn.family)
    logger, alarm = logging.getLogger(_LOG), Alarm(blame)
    level, spread, before = logger.level, logger.propagate, logger.handlers
    logger.handlers, logger.propagate = [alarm], False
    logger.setLevel(logging.DEBUG if tracing else logging.ERROR)
    loop.set_exception_handler(lambda _, context: _unhandled(blame, context))
    try:
        run_simulated(_run(loop, drawn, blame, result), loop)
    except OutOfTimeError as error:
        blame.blame("Healthy", str(error))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding
        blame.blame("Healthy", f"error in the program: {error!r}")
    finally:
        logger.handlers, logger.propagate = before, spread
        logger.setLevel(level)
    result.virtual_s, result.steps, result.lines = blame.elapsed_s, loop.steps, blame.lines
    if blame.broken is not None:
        result.broken, result.detail = blame.broken.rule, str(blame.broken)
    return result


def _unhandled(blame: Blame, context: dict[str, Any]) -> None:
    error = context.get("exception")
    if not isinstance(error, BrokenRuleError):
        blame.blame("Healthy", f"{context.get('message')}: {error!r}")


async def _run(loop: SimulationLoop, drawn: Plan, blame: Blame, result: Result) -> None:
    over = loop.create_future()
    blame.stop = lambda: None if over.done() else over.set_result(None)
    world = World(loop, drawn, blame)
    world.begin()
    for fault in drawn.faults:
        loop.call_later(fault.at_s, _fault, loop, world, fault, context=WORLD)
    for at_s, number in drawn.deaths:
        loop.call_later(at_s, world.providers[number].die, context=WORLD)
    loop.call_later(drawn.quiet_from_s, _calm, world, context=WORLD)
    loop.call_later(drawn.end_s, blame.stop, context=WORLD)
    await over
    if blame.broken is None:
        judge_end(world)
    await world.end()
    result.groups, result.wishes, result.turns = len(world.judge.truth.groups), len(world.judge.wishes), world.judge.ends.turns
    result.watched = sum(watcher.groups for watcher in world.watchers)
    result.resumed = sum(watcher.resumed for watcher in world.watchers)
    result.consistent = sum(reader.consistent for reader in world.readers)
    result.restarts = world.restarts


def _fault(loop: SimulationLoop, world: World, fault: Fault) -> None:
    undo = begin(world, fault)
    loop.call_later(fault.span_s, undo, context=WORLD)


def _calm(world: World) -> None:
    world.blame.note("fault", "everything is mended")
    world.meddler.calm = True
    for provider in world.providers:
        provider.calm = True


# -- at rest


def judge_end(world: World) -> None:
    """All members show the same, and it is right."""
    judge, blame = world.judge, world.blame
    judge.judge_waiting(blame.elapsed_s - ANSWERED_WITHIN_S)
    for name in world.plan.members:
        process = world.running.get(name)
        registry = process.registry if process is not None else None
        if process is None or registry is None or not process.ready:
            blame.blame("Converged", f"{name} does not serve")
            return
        head = world.engine.head
        if registry.view.position != head:
            blame.blame("Converged", f"{process.name} shows {registry.view.position}, the head is {head}")
            return
        contact = registry.contact()
        if not contact.known or contact.leader != world.leader or contact.age_ms > 2_500:
            blame.blame("Converged", f"{process.name} says {contact}, {world.leader} leads")
        judge.views.compare(process)
        if wrong := wrong_aliases(registry.view):
            blame.blame("Aliases", f"{process.name} shows {wrong}, which do not say what stands behind them")
    for watcher in world.watchers:
        watcher.judge_rest()
    for provider in world.providers:
        _judge_provider(world, provider)
    _judge_fleet(world)


def _judge_fleet(world: World) -> None:
    fleet, truth = world.fleet, world.judge.truth
    for name in fleet.names:
        check = truth.state(fleet.key(name))
        well = isinstance(check, CheckRow) and check.status == Status.PASSING
        if well == (name in fleet.dead):
            world.blame.blame("Converged", f"{name} is {'dead' if name in fleet.dead else 'well'}, and there is {check}")


def _judge_provider(world: World, provider: Provider) -> None:
    truth, blame = world.judge.truth, world.blame
    wish = provider.identity
    instance, check = truth.state(wish.instance), truth.state(wish.check)
    if provider.dead_since_s is None:
        if not isinstance(instance, InstanceRow) or not isinstance(check, CheckRow) or check.status != Status.PASSING:
            blame.blame("Converged", f"{provider.name} lives, and there is {instance} with {check}")
    elif isinstance(check, CheckRow) and check.status != Status.CRITICAL:
        last = max([provider.dead_since_s, *world.judge.disturbances])
        if blame.elapsed_s > last + provider.ttl_s + DEAD_WITHIN_S:
            blame.blame("Dead", f"{provider.name} is dead since {provider.dead_since_s:.1f} s, and there is {check}")

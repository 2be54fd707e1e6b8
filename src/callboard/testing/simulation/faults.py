"""How each kind of fault is done to a world, and undone. Plain functions; who is meant by "leader" is found out when a fault begins."""

from collections.abc import Callable, Mapping
from typing import Final

from callboard.store.memory.engine import Backup
from callboard.testing.simulation.plan import FOLLOWER, HICCUPS, LEADER, TARDY, Fault
from callboard.testing.simulation.road import NOTHING
from callboard.testing.simulation.world import World

Undo = Callable[[], None]
Do = Callable[[World, Fault], Undo]


def begin(world: World, fault: Fault) -> Undo:
    """Do it; call what is returned to undo it."""
    meant = fault._replace(target=_named(world, fault.target, ""), other=_named(world, fault.other, ""))
    if fault.target == FOLLOWER and fault.other == LEADER and meant.target == meant.other:
        meant = meant._replace(target=next(name for name in world.plan.members if name != meant.other))
    world.disturbed(f"{meant.kind} {meant.target} {meant.other} {meant.amount or ''} for {meant.span_s:.1f} s")
    undo = KINDS[fault.kind](world, meant)

    def mend() -> None:
        world.disturbed(f"{meant.kind} {meant.target} {meant.other} is over")
        undo()

    return mend


def _named(world: World, target: str, _default: str) -> str:
    if target not in {LEADER, FOLLOWER}:
        return target
    leader = world.leader or world.plan.members[0]
    if target == LEADER or len(world.plan.members) == 1:
        return leader
    return world.chance.choice([name for name in world.plan.members if name != leader])


def _kill(world: World, fault: Fault) -> Undo:
    world.kill(fault.target)
    return lambda: world.start(fault.target)


def _stop(world: World, fault: Fault) -> Undo:
    if fault.target not in world.plan.members:
        return _nothing
    world.stop(fault.target, fault.span_s)
    return _nothing


def _pause(world: World, fault: Fault) -> Undo:
    return world.pause(fault.target)


def _cut_engine(world: World, fault: Fault) -> Undo:
    road = world.roads[fault.target]
    road.change(cut=True)
    return lambda: road.change(cut=False)


def _others_cut(world: World, fault: Fault) -> Undo:
    roads = [road for name, road in world.roads.items() if name != fault.target]
    for road in roads:
        road.change(cut=True)

    def undo() -> None:
        for road in roads:
            road.change(cut=False)

    return undo


def _silent(world: World, fault: Fault) -> Undo:
    road = world.roads[fault.target]
    road.change(silent=True)
    return lambda: road.change(silent=False)


def _hiccups(world: World, _: Fault) -> Undo:
    for road in world.roads.values():
        road.fates = HICCUPS

    def undo() -> None:
        for road in world.roads.values():
            road.fates = NOTHING

    return undo


def _late(world: World, fault: Fault) -> Undo:
    road = world.roads[fault.target]
    road.fates = TARDY

    def undo() -> None:
        road.fates = NOTHING

    return undo


def _cut(world: World, fault: Fault) -> Undo:
    one, other = (fault.other, fault.target) if fault.kind == "cut from" else (fault.target, fault.other)
    world.network.cut(one, other, both=fault.kind in {"cut both", "cut client"})
    return lambda: world.network.mend(one, other)


def _lonely(world: World, fault: Fault) -> Undo:
    """No other member is reached, nor reaches it."""
    others = [name for name in world.plan.members if name != fault.target]
    for other in others:
        world.network.cut(fault.target, other)

    def undo() -> None:
        for other in others:
            world.network.mend(fault.target, other)

    return undo


def _deaf(world: World, fault: Fault) -> Undo:
    """Nothing that others say reaches it: not the members, and for `amount` seconds longer not the engine's feed."""
    others = [name for name in world.plan.members if name != fault.target]
    for other in others:
        world.network.cut(other, fault.target, both=False)
    road = world.roads[fault.target]
    road.change(silent=True)

    def undo() -> None:
        for other in others:
            world.network.mend(fault.target, other)
        world.later(fault.amount, lambda: road.change(silent=False))

    return undo


def _dark(world: World, fault: Fault) -> Undo:
    """Neither members nor the engine; clients still come."""
    join, mend = _lonely(world, fault), _cut_engine(world, fault)

    def undo() -> None:
        join()
        mend()

    return undo


def _down(world: World, _: Fault) -> Undo:
    world.engine.stop()
    return world.engine.start


def _full(world: World, _: Fault) -> Undo:
    world.engine.full = True

    def undo() -> None:
        world.engine.full = False

    return undo


def _compact(world: World, fault: Fault) -> Undo:
    world.engine.compact(int(fault.amount))
    return _nothing


def _rewind(world: World, _: Fault) -> Undo:
    backup: Backup = world.engine.rows.backup()
    return lambda: world.engine.rewind(backup)


def _wires(world: World, fault: Fault) -> Undo:
    network = world.network
    network.loss, network.twice, network.late = fault.amount, fault.amount, fault.amount / 2

    def undo() -> None:
        network.loss = network.twice = network.late = 0.0

    return undo


def _blind(world: World, fault: Fault) -> Undo:
    world.fleet.blind.add(fault.target)
    return lambda: world.fleet.blind.discard(fault.target)


def _fleet_dies(world: World, fault: Fault) -> Undo:
    world.fleet.dead.update(world.fleet.names[: int(fault.amount)])
    world.fleet.dead_since_s = world.judge.now_s
    return _nothing


def _slow_wires(world: World, fault: Fault) -> Undo:
    world.network.lag_s = (fault.amount / 2, fault.amount)

    def undo() -> None:
        world.network.lag_s = (0.0, 0.0)

    return undo


def _calendar(world: World, fault: Fault) -> Undo:
    world.clocks[fault.target].wall_offset_ms += int(fault.amount)
    return _nothing


def _slow_road(world: World, fault: Fault) -> Undo:
    road = world.roads[fault.target]
    before, road.latency_s = road.latency_s, (fault.amount / 4, fault.amount)

    def undo() -> None:
        road.latency_s = before

    return undo


def _nothing() -> None:
    """There is nothing to undo."""


KINDS: Final[Mapping[str, Do]] = {
    "kill": _kill, "stop": _stop, "pause": _pause, "cut engine": _cut_engine, "others cut": _others_cut, "silent": _silent,
    "hiccups": _hiccups, "late": _late, "cut to": _cut, "cut from": _cut, "cut both": _cut, "cut client": _cut, "lonely": _lonely,
    "deaf": _deaf, "lonely dark": _dark, "engine down": _down, "full": _full, "compact": _compact, "rewind": _rewind, "wires": _wires,
    "slow wires": _slow_wires,
    "calendar": _calendar, "blind": _blind, "fleet dies": _fleet_dies, "slow road": _slow_road,
}  # fmt: skip

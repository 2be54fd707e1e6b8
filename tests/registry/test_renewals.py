"""The short way of heartbeats: it acknowledges what `beat` would, where nothing but a deadline is to change, and nothing else."""

import pytest

from callboard.model.check import Status
from callboard.store.memory.engine import MemoryEngine
from callboard.testing.clock import VirtualClock
from tests.registry.stage import Stage, on_stage, outcome_of, played, registration, report, ttl

P, W, C = Status.PASSING, Status.WARNING, Status.CRITICAL
C1 = ("public", "n1", "c1")
OTHERS = [("public", "n1", "c2"), ("public", "n2", "c1"), ("blue", "n1", "c1")]


def renewed(stage: Stage, status: Status = P, output: str = "") -> bool:
    """Whether it is taken, which `beat` must say as well."""
    short = stage.registry.renew(C1, status, output)
    assert stage.beat(status=status, output=output) is short
    return short


def test_it_keeps_a_check_alive_and_writes_nothing() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(2)))
            groups = stage.registry.stats.groups
            for _ in range(30):
                await stage.wait(1.9)
                assert stage.registry.renew(C1, P, "")
            assert (stage.registry.stats.groups, stage.registry.stats.beats) == (groups, 30)
            last = stage.elapsed_s
            await stage.wait(3)
            assert 2 <= stage.turns[-1][0] - last <= 2.02
            assert not renewed(stage), "a turn is more than a heartbeat"
            await stage.done(report(P, output=""))
            assert renewed(stage)

    played(play)


@pytest.mark.parametrize("output", ["", "fine"])
@pytest.mark.parametrize("status", [P, W])
def test_only_the_status_and_output_that_are_there_are_no_news(status: Status, output: str) -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(2)))
            await stage.done(report(status, output=output))
            taken = {(s, o) for s in (P, W, C) for o in ("", "fine", "other") if renewed(stage, s, o)}
            assert taken == {(status, output)}
            assert not any(stage.registry.renew(key, status, output) for key in OTHERS)
            await stage.done(report(P, output=""))
            assert renewed(stage)

    played(play)


def test_many_are_renewed_and_those_that_take_more_are_named() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(2)))
            assert stage.registry.renewals.renew_all([OTHERS[0], C1, OTHERS[1], C1]) == [0, 2]
            await stage.wait(1.5)
            assert stage.registry.renewals.renew_all([C1]) == []
            await stage.wait(1.5)
            assert stage.status() is P
            await stage.wait(1)
            assert stage.status() is C
            assert stage.registry.renewals.renew_all([C1]) == [0]

    played(play)


def test_while_a_change_of_the_check_is_on_its_way_nothing_is_decided() -> None:
    async def play(clock: VirtualClock) -> None:
        async with on_stage(clock) as stage:
            await stage.done(registration(ttl(2)))
            told = stage.registry.submit(report(C))
            assert not stage.registry.renew(C1, P, "")
            assert stage.registry.renewals.renew_all([C1]) == [0]
            await outcome_of(told)
            assert stage.status() is C

    played(play)


def test_who_does_not_lead_acknowledges_nothing() -> None:
    async def play(clock: VirtualClock) -> None:
        engine = MemoryEngine()
        async with on_stage(clock, engine) as stage:
            await stage.done(registration(ttl(10)))
            assert stage.registry.renewals.renew_all([C1]) == []
            engine.depose()
            assert "lead lost" in await stage.registry.failed()
            assert not stage.registry.renew(C1, P, "")
            assert stage.registry.renewals.renew_all([C1]) is None

    played(play)

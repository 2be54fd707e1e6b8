"""The tools that tests of time stand on."""

import asyncio

import pytest

from callboard.model.time import HOUR, SECOND, Instant
from callboard.testing.clock import SeededEntropy, VirtualClock
from callboard.testing.loop import StalledError, run_virtual


def test_hours_pass_in_the_order_of_their_timers() -> None:
    clock = VirtualClock()
    seen: list[tuple[str, float]] = []

    async def sleeper(name: str, span_s: float) -> None:
        for _ in range(3):
            await asyncio.sleep(span_s)
            seen.append((name, (clock.now() - start) / SECOND))

    async def main() -> None:
        await asyncio.gather(sleeper("slow", 3600), sleeper("fast", 0.0015), sleeper("none", 0))

    start = clock.now()
    run_virtual(main(), clock)
    assert [name for name, _ in seen] == ["none"] * 3 + ["fast"] * 3 + ["slow"] * 3
    for (_, moment), expected in zip(seen, [0, 0, 0, 0.0015, 0.003, 0.0045, 3600, 7200, 10800], strict=True):
        assert expected <= moment <= expected + 0.000_001


def test_work_that_nothing_will_ever_wake_is_reported() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(StalledError):
        run_virtual(main(), VirtualClock())


def test_a_timeout_is_virtual_too() -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await asyncio.sleep(3600)

    clock = VirtualClock()
    with pytest.raises(TimeoutError):
        run_virtual(main(), clock)


def test_the_clock_runs_forward_only_and_the_calendar_with_it() -> None:
    clock = VirtualClock(Instant(5))
    wall = clock.wall()
    assert clock.advance(HOUR) == HOUR + 5
    assert clock.wall() - wall == 3_600_000
    clock.wall_offset_ms = -10
    assert clock.wall() - wall == 3_599_990
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1)


def test_chance_repeats_with_its_seed_and_nonces_never_do() -> None:
    one, two = SeededEntropy(7), SeededEntropy(7)
    assert [one.chance() for _ in range(5)] == [two.chance() for _ in range(5)]
    nonces = [one.nonce() for _ in range(100)]
    assert len(set(nonces)) == 100
    assert SeededEntropy(8).nonce() not in nonces

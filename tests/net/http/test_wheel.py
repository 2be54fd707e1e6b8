"""The wheel against a list of deadlines, and its timer on a loop."""

import asyncio
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from callboard.model.time import MILLISECOND, Instant
from callboard.net.http.wheel import TICK, Timers, Wheel
from tests.net.http.fake import run, until


class Thing:
    def __init__(self, wheel: Wheel | Timers, again: int = 0) -> None:
        self.wheel = wheel
        self.due = self.slot = 0
        self.again = again
        self.expiries: list[Instant] = []

    def expired(self, now: Instant) -> None:
        self.expiries.append(now)
        if self.again:
            self.wheel.put(self, now + self.again)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 4), st.integers(0, 300)),
        st.tuples(st.just("drop"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("time"), st.just(0), st.integers(1, 120)),
    ),
    max_size=60,
)


@given(STEPS, st.integers(1, 5))
def test_a_deadline_comes_never_early_and_at_most_a_tick_late(steps: list[tuple[str, int, int]], limit: int) -> None:
    wheel = Wheel()
    things = [Thing(wheel) for _ in range(5)]
    due: dict[int, int] = {}
    now = Instant(1000 * MILLISECOND)
    for what, number, value in steps:
        if what == "put":
            due[number] = now + value * MILLISECOND
            wheel.put(things[number], due[number])
        elif what == "drop":
            due.pop(number, None)
            wheel.drop(things[number])
        else:
            now = Instant(now + value * MILLISECOND)
            while wheel.turn(now, limit):
                pass
            for index, thing in enumerate(things):
                if thing.expiries:
                    assert due.pop(index) <= now
                    thing.expiries.clear()
        assert all(moment > now - TICK for moment in due.values())
        assert len(wheel) == len(due), "each in exactly one slot"
        deadline = wheel.deadline()
        assert (deadline is None) or not due or deadline <= min(due.values()) + TICK


def test_a_turn_looks_at_no_more_than_its_limit() -> None:
    wheel = Wheel()
    things = [Thing(wheel) for _ in range(10)]
    for thing in things:
        wheel.put(thing, 5)
    assert wheel.turn(Instant(TICK), 4)
    assert sum(len(thing.expiries) for thing in things) == 4
    assert wheel.turn(Instant(TICK), 4)
    assert not wheel.turn(Instant(TICK), 4)
    assert sum(len(thing.expiries) for thing in things) == 10
    assert wheel.deadline() is None


def test_an_expiry_that_fails_costs_no_other_its_own() -> None:
    class Bad(Thing):
        def expired(self, now: Instant) -> None:
            raise RuntimeError

    wheel = Wheel()
    things = [Thing(wheel) for _ in range(20)]
    for thing in [*things, Bad(wheel), Bad(wheel)]:
        wheel.put(thing, 5)
    for _ in range(3):
        with suppress(RuntimeError):
            wheel.turn(Instant(TICK), 100)
    assert all(thing.expiries for thing in things)
    assert (len(wheel), wheel.deadline()) == (0, None)


def test_one_timer_of_the_loop_serves_all() -> None:
    async def scenario() -> None:
        timers = Timers(asyncio.get_running_loop(), slice_count=2)
        start = timers.now()
        things = [Thing(timers) for _ in range(7)]
        for number, thing in enumerate(things):
            timers.put(thing, start + (40 - 5 * number) * MILLISECOND)
        timers.put(again := Thing(timers, again=20 * MILLISECOND), start + 10 * MILLISECOND)
        await until(lambda: all(thing.expiries for thing in things) and len(again.expiries) >= 3)
        assert all(len(thing.expiries) == 1 and thing.expiries[0] >= thing.due for thing in things)
        timers.close()
        count = len(again.expiries)
        await asyncio.sleep(0.05)
        assert len(again.expiries) == count

    run(scenario())

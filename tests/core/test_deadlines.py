from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from callboard.core.deadlines import HORIZON, TICK, Deadlines
from callboard.core.wheel import Wheel
from callboard.model.time import HOUR, MILLISECOND, SECOND, Duration, Instant

KEYS = st.sampled_from("abcd")
SPANS = st.sampled_from([MILLISECOND, 100 * MILLISECOND, SECOND, 90 * SECOND, 2 * HOUR]).map(Duration)
FIRSTS = st.none() | SPANS
STEPS = st.sampled_from([MILLISECOND, 15 * MILLISECOND, SECOND, 61 * SECOND, HOUR]).map(Duration)


class Operation(NamedTuple):
    what: str
    key: str = ""
    span: Duration = Duration(0)
    first: Duration | None = None


OPERATIONS = st.lists(
    st.one_of(
        st.builds(Operation, st.just("arm"), KEYS, SPANS, FIRSTS),
        st.builds(Operation, st.sampled_from(["renew", "renew", "idle", "forget"]), KEYS),
        st.builds(Operation, st.just("pass"), span=STEPS),
    ),
    max_size=60,
)


class Naive:
    """Deadlines as one would write them down on paper."""

    def __init__(self) -> None:
        self.span: dict[str, int] = {}
        self.due: dict[str, int] = {}

    def arm(self, key: str, span: int, now: int, first: int | None) -> None:
        self.span[key] = span
        self.due[key] = now + (span if first is None else first)

    def renew(self, key: str, now: int) -> bool:
        if key in self.due:
            self.due[key] = max(self.due[key], now + self.span[key])
        return key in self.due


def drain(deadlines: Deadlines[str], now: Instant, limit: int) -> list[str]:
    """What has run out, asked for as the driver does: as long as there is something to look at now."""
    found: list[str] = []
    while (due := deadlines.deadline()) is not None and due <= now:
        found += deadlines.expired(now, limit)
    return found


@given(OPERATIONS, st.integers(1, 5))
def test_deadlines_run_out_in_time_and_never_early(operations: list[Operation], limit: int) -> None:
    deadlines: Deadlines[str] = Deadlines()
    naive = Naive()
    now = Instant(7 * SECOND + 3)
    for what, key, span, first in operations:
        if what == "arm":
            deadlines.arm(key, span, now, first=first)
            naive.arm(key, span, now, first)
        elif what == "renew":
            assert deadlines.renew(key, now) is naive.renew(key, now)
        elif what == "pass":
            now = Instant(now + span)
        else:
            (deadlines.idle if what == "idle" else deadlines.forget)(key)
            naive.due.pop(key, None)
        for late in drain(deadlines, now, limit):
            assert naive.due.pop(late) <= now, f"{late} ran out early"
        assert all(due + TICK > now for due in naive.due.values()), "somebody is late"
        assert deadlines.running_count == len(naive.due)
        if naive.due:
            deadline = deadlines.deadline()
            assert deadline is not None
            assert deadline <= min(naive.due.values()) + TICK, "the driver would come too late"
    for key in "abcd":
        deadlines.forget(key)
    drain(deadlines, Instant(now + HORIZON + TICK), limit)
    assert deadlines.capacity == len(deadlines) == 0


def test_an_earlier_deadline_after_a_later_one_is_kept() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.arm("check", HOUR, Instant(0))
    deadlines.idle("check")
    deadlines.arm("check", SECOND, Instant(0))
    assert deadlines.expired(Instant(SECOND + TICK), 10) == ["check"]


def test_a_renewal_never_moves_a_deadline_back() -> None:
    """It may be old news, and what comes late must not take away what came before it."""
    deadlines: Deadlines[str] = Deadlines()
    deadlines.arm("check", SECOND, Instant(10 * SECOND))
    assert deadlines.renew("check", Instant(9 * SECOND))
    assert deadlines.expired(Instant(11 * SECOND), 10) == []
    assert deadlines.ran_out(Instant(11 * SECOND + TICK), 10) == [("check", 11 * SECOND)]


def test_what_one_source_renewed_last_is_renewed_at_once_and_what_does_not_run_is_told() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for key, source in [("a", 2), ("b", 3), ("c", 2), ("gone", 2), ("never", 0)]:
        deadlines.arm(key, SECOND, Instant(0))
        deadlines.renew(key, Instant(1), source)
    deadlines.idle("c")
    deadlines.forget("gone")
    assert deadlines.renew_from(2, Instant(SECOND // 2), becomes=1) == ["c"]
    assert deadlines.expired(Instant(SECOND + TICK), 10) == ["never", "b"]
    assert deadlines.renew_from(2, Instant(SECOND), becomes=1) == []
    assert deadlines.expired(Instant(2 * SECOND), 10) == ["a"]


def test_the_source_of_a_key_outlives_a_shorter_span_and_is_not_inherited_by_another_key() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.arm("a", HOUR, Instant(0))
    deadlines.renew("a", Instant(1), 7)
    deadlines.arm("a", SECOND, Instant(0))
    deadlines.idle("a")
    assert deadlines.renew_from(7, Instant(0), becomes=8) == ["a"]
    deadlines.expired(Instant(2 * HOUR), 10)
    deadlines.forget("a")
    deadlines.arm("b", SECOND, Instant(2 * HOUR))
    deadlines.idle("b")
    assert deadlines.capacity == 1, "its number is used again"
    assert deadlines.renew_from(8, Instant(2 * HOUR), becomes=1) == []


def test_what_is_given_up_is_not_kept_for_its_whole_span() -> None:
    """An instance that turns critical and back keeps arming three days and giving them up."""
    deadlines: Deadlines[str] = Deadlines()
    now = Instant(0)
    for _ in range(1_000):
        deadlines.arm("check", Duration(72 * HOUR), now)
        now = Instant(now + SECOND)
        deadlines.forget("check")
        deadlines.expired(now, 1_000)
    assert deadlines.capacity <= HORIZON // SECOND + 2


def test_a_limit_bounds_what_is_looked_at_in_one_turn_and_nothing_is_lost() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for key in range(10):
        deadlines.arm(key, SECOND, Instant(0))
    late = Instant(2 * SECOND)
    first = deadlines.expired(late, 4)
    assert len(first) == 4
    assert deadlines.deadline() == Instant(0), "the driver must come again at once"
    assert sorted(first + deadlines.expired(late, 4) + deadlines.expired(late, 4)) == list(range(10))
    assert deadlines.deadline() is None


@given(st.lists(st.integers(0, 500), max_size=30), st.integers(1, 20))
def test_a_wheel_gives_each_timer_once_within_a_tick_of_its_moment(moments: list[int], tick: int) -> None:
    wheel: Wheel[int] = Wheel(tick)
    for place, moment in enumerate(moments):
        wheel.put(place, Instant(moment))
    seen: list[int] = []
    for now in range(600):
        while (timer := wheel.next(Instant(now))) is not None:
            assert moments[timer] <= now <= moments[timer] + tick
            seen.append(timer)
    assert sorted(seen) == list(range(len(moments)))
    assert wheel.deadline() is None

from hypothesis import given
from hypothesis import strategies as st

from callboard.core.steady import SteadyTime
from callboard.model.time import MILLISECOND, Duration, Instant

LATENESS = Duration(500 * MILLISECOND)


@given(st.lists(st.sampled_from([1, 499 * MILLISECOND, 1000 * MILLISECOND, 1000 * MILLISECOND + 1, 30_000 * MILLISECOND]), max_size=20))
def test_steady_time_stands_still_for_every_pause_and_runs_otherwise(steps: list[int]) -> None:
    now = Instant(5)
    steady = SteadyTime(LATENESS, now)
    expected = 5
    for step in steps:
        now = Instant(now + step)
        expected += 0 if step > 2 * LATENESS else step
        assert steady.observe(now) == expected
    assert steady.gaps == sum(step > 2 * LATENESS for step in steps)
    assert steady.skew == sum(step for step in steps if step > 2 * LATENESS)

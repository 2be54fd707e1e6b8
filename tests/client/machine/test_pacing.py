from hypothesis import given
from hypothesis import strategies as st

from callboard.client.machine.pacing import BACKOFF_MAX_MS, Pace, backoff_ms

CHANCE = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 10_000), CHANCE, st.integers(1, 60_000))
def test_backoff_never_passes_its_limit(failures: int, chance: float, limit: int) -> None:
    assert 0 <= backoff_ms(failures, chance, limit_ms=limit) <= limit


def test_backoff_doubles_and_is_spread_from_zero() -> None:
    assert [backoff_ms(failures, 0.999999) for failures in range(1, 9)] == [200, 400, 800, 1600, 3200, 6400, 12_800, BACKOFF_MAX_MS]
    assert [backoff_ms(failures, 0.0) for failures in range(1, 9)] == [0] * 8
    assert backoff_ms(1, 0.5, base_ms=1000) == 500


@given(st.integers(1, 3_600_000), st.lists(CHANCE, min_size=1, max_size=20))
def test_beats_come_at_least_twice_in_a_time_limit_while_they_are_heard(ttl_ms: int, chances: list[float]) -> None:
    pace = Pace(ttl_ms)
    for chance in chances:
        assert 2 * pace.succeeded(chance) <= max(ttl_ms, 2)


@given(st.integers(3, 3_600_000), st.lists(CHANCE, min_size=1, max_size=40))
def test_a_failed_beat_is_tried_again_no_later_than_the_next_was_due(ttl_ms: int, chances: list[float]) -> None:
    pace = Pace(ttl_ms)
    assert all(pace.failed(chance) <= pace.interval_ms for chance in chances)
    assert pace.failures == len(chances)
    pace.succeeded(0.5)
    assert pace.failures == 0

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from callboard.client.machine.drain import HIDE_MAX_MS, Drain
from callboard.model.time import MILLISECOND, SECOND

NOTICE_MS: Final = 2_000
FINISH_MS: Final = 25_000


@given(st.integers(0, 10**15), st.integers(0, 40_000), st.integers(0, 3), st.integers(0, 60_000), st.integers(0, 60_000))
def test_it_is_over_within_its_time_whatever_happens(start: int, hidden_ms: int, in_flight: int, notice_ms: int, finish_ms: int) -> None:
    drain = Drain(start, notice_ms, finish_ms)
    drain.hidden(start + hidden_ms * MILLISECOND)
    assert drain.over(start + (notice_ms + finish_ms) * MILLISECOND, in_flight)


@given(st.integers(0, 900), st.integers(0, 1_999))
def test_callers_have_the_whole_notice_after_it_was_hidden(hidden_ms: int, later_ms: int) -> None:
    drain = Drain(0, NOTICE_MS, FINISH_MS)
    drain.hidden(hidden_ms * MILLISECOND)
    assert not drain.over((hidden_ms + later_ms) * MILLISECOND, 0)
    assert drain.over((hidden_ms + NOTICE_MS) * MILLISECOND, 0)


def test_a_registry_that_does_not_confirm_is_not_waited_for() -> None:
    drain = Drain(0, NOTICE_MS, FINISH_MS)
    assert not drain.over((HIDE_MAX_MS + NOTICE_MS) * MILLISECOND - 1, 0)
    assert drain.over((HIDE_MAX_MS + NOTICE_MS) * MILLISECOND, 0)


def test_work_under_way_ends_first() -> None:
    drain = Drain(0, NOTICE_MS, FINISH_MS)
    drain.hidden(0)
    assert not drain.over(10 * SECOND, 1)
    assert drain.over(10 * SECOND, 0)
    assert drain.over((NOTICE_MS + FINISH_MS) * MILLISECOND, 1)


@given(st.integers(0, 30_000), st.integers(0, 2), st.booleans())
def test_a_deadline_is_when_it_is_over_or_callers_know(now_ms: int, in_flight: int, hidden: bool) -> None:
    drain = Drain(0, NOTICE_MS, FINISH_MS)
    if hidden:
        drain.hidden(0)
    now = now_ms * MILLISECOND
    if not drain.over(now, in_flight):
        deadline = drain.deadline(now)
        assert deadline > now
        assert drain.over(deadline, in_flight) or drain.noticed(deadline)

from hypothesis import given
from hypothesis import strategies as st

from callboard.client.machine.budget import WINDOW_S, Budget
from callboard.model.time import SECOND

STEPS = st.lists(st.tuples(st.integers(0, 3 * SECOND), st.booleans()), max_size=200)


@given(STEPS, st.sampled_from([0.0, 0.2, 1.0]), st.sampled_from([0.0, 0.3, 3.0]))
def test_in_no_ten_seconds_is_more_tried_again_than_allowed(steps: list[tuple[int, bool]], share: float, floor: float) -> None:
    budget, now = Budget(share, floor), 10**12
    calls: list[int] = []
    retries: list[int] = []
    for gap, call in steps:
        now += gap
        if call:
            budget.called(now)
            calls.append(now)
        elif budget.retry(now):
            retries.append(now)
            window = [when for when in retries if when > now - WINDOW_S * SECOND]
            counted = [when for when in calls if when // SECOND >= now // SECOND - WINDOW_S]
            assert len(window) <= max(len(counted) * share, floor * WINDOW_S)


def test_a_few_retries_are_always_there_and_more_with_many_calls() -> None:
    budget, now = Budget(0.2, 3.0), 10**12
    assert sum(budget.retry(now) for _ in range(100)) == 30
    for _ in range(1000):
        budget.called(now)
    assert sum(budget.retry(now) for _ in range(1000)) == 170
    assert budget.retry(now + 11 * SECOND)


def test_what_was_used_comes_back_after_ten_seconds_and_not_before() -> None:
    budget, now = Budget(0.0, 3.0), 10**12 + SECOND - 1
    assert sum(budget.retry(now) for _ in range(100)) == 30
    assert not budget.retry(now + WINDOW_S * SECOND)
    assert budget.retry(now + (WINDOW_S + 1) * SECOND)


def test_when_everything_fails_the_load_grows_by_the_share_only() -> None:
    budget, now, sent = Budget(0.2, 0.0), 10**12, 0
    for number in range(100_000):
        now += SECOND // 1000
        budget.called(now)
        sent += 1 + (budget.retry(now) if number else 0)
    assert sent <= 120_000

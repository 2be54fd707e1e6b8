"""The rules of Consul's index, and how often it is asked, in virtual time."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.client.consul.indexes import (
    BURST_COUNT,
    JITTER_PARTS,
    REFILL_MS,
    RETRY_AFTER_MAX_MS,
    RETRY_MAX_MS,
    WAIT_MAX_MS,
    BlockingQuery,
)
from callboard.model.time import MILLISECOND, Instant

INDEXES = st.lists(st.integers(0, 20), max_size=30)


@given(st.integers(1, 10**7))
def test_the_longest_answer_comes_before_silence_is_taken_for_death(silence_max_ms: int) -> None:
    query = BlockingQuery(silence_max_ms)
    assert 1 <= query.wait_ms <= WAIT_MAX_MS
    assert query.answer_ms > query.wait_ms + query.wait_ms // JITTER_PARTS
    assert query.answer_ms <= max(silence_max_ms, 3)


def test_who_bears_a_long_silence_waits_as_long_as_consul_does() -> None:
    assert BlockingQuery(330_000).wait_ms == WAIT_MAX_MS
    assert 30_000 <= BlockingQuery(40_000).wait_ms <= 35_000


@given(INDEXES)
def test_only_an_index_that_goes_on_belongs_to_the_same_history(indexes: list[int]) -> None:
    query, last = BlockingQuery(40_000), 0
    for index in indexes:
        turn, seen = query.answered(index), max(1, index)
        if not last or seen < last:
            assert turn == "anew"
        else:
            assert turn == ("same" if seen == last else "next")
        assert query.index == (0 if last and seen < last else seen)
        last = query.index


@given(st.lists(st.integers(0, 2_000), min_size=20, max_size=60))
def test_however_fast_the_index_runs_it_is_not_asked_faster_than_said(gaps_ms: list[int]) -> None:
    query, now, asked = BlockingQuery(40_000), 0, []
    for gap in gaps_ms:
        now += gap * MILLISECOND
        while delay := query.delay_ms(Instant(now)):
            now += delay * MILLISECOND
        asked.append(now)
    for first in range(len(asked)):
        for last in range(first, len(asked)):
            span_ms = (asked[last] - asked[first]) / MILLISECOND
            assert last - first + 1 <= BURST_COUNT + span_ms / REFILL_MS + 0.01


def test_the_first_changes_are_asked_for_at_once() -> None:
    query = BlockingQuery(40_000)
    assert [query.delay_ms(Instant(0)) for _ in range(BURST_COUNT)] == [0] * BURST_COUNT
    assert query.delay_ms(Instant(0)) == REFILL_MS
    assert query.delay_ms(Instant(REFILL_MS * MILLISECOND)) == 0


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True), st.integers(0, 10**6))
def test_failures_are_waited_out_by_chance_and_by_the_servers_wish(failures: int, chance: float, retry_after_s: int) -> None:
    query = BlockingQuery(40_000)
    query.answered(7)
    waits = [query.failed(chance, retry_after_s) for _ in range(failures)]
    wished = min(RETRY_AFTER_MAX_MS, retry_after_s * 1000)
    assert all(wished <= wait <= wished + RETRY_MAX_MS for wait in waits)
    assert query.index == 0
    assert query.answered(7) == "anew"
    assert query.failed(chance) <= 1_000

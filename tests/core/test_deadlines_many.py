"""Renewing many keys at once, or only those with a mark, is what renewing each of them is."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.core.deadlines import NO_MARK, Deadlines
from callboard.model.time import MINUTE, SECOND, Duration, Instant

KEYS = st.sampled_from("abcdef")
SPAN = Duration(10 * SECOND)
SETS = st.lists(st.tuples(KEYS, st.integers(1, 90), st.integers(0, 2)), max_size=8)
BEATS = st.lists(st.tuples(st.lists(KEYS, max_size=8), st.integers(0, 20), st.integers(0, 3)), max_size=6)


def deadlines_of(sets: list[tuple[str, int, int]]) -> Deadlines[str]:
    """Some keys of which each third is idle, armed again and again, so that numbers change hands."""
    deadlines: Deadlines[str] = Deadlines()
    for place, (key, span_s, mark) in enumerate(sets):
        deadlines.arm(key, Duration(span_s * SECOND), Instant(0))
        deadlines.mark(key, mark)
        if place % 3 == 2:
            deadlines.idle(key)
    return deadlines


def run_out(deadlines: Deadlines[str]) -> list[tuple[str, Instant]]:
    found = [pair for second in range(200) for pair in deadlines.ran_out(Instant(second * SECOND), 1_000)]
    return sorted(found)


@given(SETS, BEATS)
def test_many_are_renewed_as_each_is(sets: list[tuple[str, int, int]], beats: list[tuple[list[str], int, int]]) -> None:
    together, each = deadlines_of(sets), deadlines_of(sets)
    for keys, now_s, source in beats:
        now = Instant(now_s * SECOND)
        failed = [place for place, key in enumerate(keys) if not each.renew(key, now, source)]
        assert together.renew_all(keys, now, source) == failed
    for source in range(1, 4):
        assert sorted(together.renew_from(source, Instant(30 * SECOND), 9)) == sorted(each.renew_from(source, Instant(30 * SECOND), 9))
    assert run_out(together) == run_out(each)


@given(SETS, st.lists(st.tuples(KEYS, st.integers(0, 20), st.integers(1, 2)), max_size=12))
def test_a_marked_renewal_is_a_renewal_or_nothing(sets: list[tuple[str, int, int]], beats: list[tuple[str, int, int]]) -> None:
    marked, each = deadlines_of(sets), deadlines_of(sets)
    marks = {key: mark for key, _, mark in sets}
    for key, now_s, mark in beats:
        now = Instant(now_s * SECOND)
        assert marked.renew_marked(key, mark, now, 1) is (marks.get(key) == mark and each.renew(key, now, 1))
    assert run_out(marked) == run_out(each)


def test_a_mark_stays_with_its_key_and_goes_with_it() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.mark("a", 1)
    assert not deadlines.renew_marked("a", 1, Instant(0)), "it is not known"
    deadlines.arm("a", MINUTE, Instant(0))
    deadlines.mark("a", 1)
    deadlines.arm("a", SPAN, Instant(1))
    assert deadlines.renew_marked("a", 1, Instant(2)), "an earlier deadline takes another number"
    assert not deadlines.renew_marked("a", 2, Instant(3))
    deadlines.forget("a")
    deadlines.ran_out(Instant(2 * MINUTE), 10)
    deadlines.arm("b", SPAN, Instant(0))
    assert not deadlines.renew_marked("b", 1, Instant(1))
    assert deadlines.renew_marked("b", NO_MARK, Instant(2))

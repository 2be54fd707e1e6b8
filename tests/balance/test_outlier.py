import sys
from collections.abc import Iterable
from functools import partial
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.balance.outlier import Outliers, OutlierSettings
from callboard.model.time import SECOND
from callboard.net import threads

SWEEP = 10 * SECOND


def outliers(count: int, settings: OutlierSettings | None = None) -> Outliers:
    made = Outliers(settings) if settings is not None else Outliers()
    made.forget([f"e{number}" for number in range(count)])
    return made


def report(judged: Outliers, key: str, now: int, *, good: int = 0, bad: int = 0) -> None:
    """Calls of one endpoint, with never five failures in a row while there are good ones to go between."""
    while good or bad:
        for _ in range(min(4, bad) if good else bad):
            judged.report(key, now, ok=False)
            bad -= 1
        if good:
            judged.report(key, now, ok=True)
            good -= 1


def fail(judged: Outliers, key: str, now: int, times: int = 5) -> bool:
    return [judged.report(key, now, ok=False) for _ in range(times)][-1]


def test_five_failures_in_a_row_put_out_at_once() -> None:
    judged = outliers(3)
    assert not fail(judged, "e0", 0, 4)
    judged.report("e0", 0, ok=True)
    assert not fail(judged, "e0", 0, 4)
    assert judged.report("e0", 0, ok=False)
    assert judged.ejected == {"e0"}


def test_an_endpoint_comes_back_after_its_time() -> None:
    judged = outliers(3)
    fail(judged, "e0", 0)
    assert [judged.sweep(now) for now in (SWEEP, 2 * SWEEP, 3 * SWEEP - 1)] == [False, False, False]
    assert judged.ejected == {"e0"}
    assert judged.sweep(3 * SWEEP)
    assert judged.ejected == frozenset()


def test_each_time_lasts_longer_up_to_the_cap() -> None:
    judged = outliers(3)
    now, spans = 0, []
    for _ in range(12):
        fail(judged, "e0", now)
        start = now
        while judged.ejected:
            due = judged.deadline()
            assert due is not None
            now = due
            judged.sweep(now)
        spans.append((now - start) // SECOND)
    assert spans == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


def test_quiet_sweeps_make_the_next_time_shorter_again() -> None:
    judged = outliers(3)
    now = 0
    for _ in range(3):
        fail(judged, "e0", now)
        while judged.ejected:
            now += SWEEP
            judged.sweep(now)
    for _ in range(2):
        now += SWEEP
        judged.sweep(now)
    fail(judged, "e0", now)
    assert not judged.sweep(now + 50 * SECOND)
    assert judged.sweep(now + 60 * SECOND), "two of three times were forgotten, so this was the second"


def test_a_calm_fleet_needs_no_sweep() -> None:
    judged = outliers(3)
    assert judged.deadline() is None
    judged.report("e0", 5, ok=True)
    assert judged.deadline() == 5 + SWEEP
    assert not judged.sweep(5 + SWEEP)
    assert judged.deadline() is None


def test_a_sweep_before_its_time_does_nothing() -> None:
    judged = outliers(5)
    rates(judged, 5)
    assert not judged.sweep(SWEEP - 1)
    assert judged.sweep(SWEEP)


def rates(judged: Outliers, count: int, calls: int = 100) -> None:
    for number in range(count - 1):
        report(judged, f"e{number}", 0, good=calls)
    report(judged, f"e{count - 1}", 0, good=calls // 2, bad=calls - calls // 2)


@pytest.mark.parametrize(("count", "out"), [(4, frozenset()), (5, {"e4"}), (6, {"e5"}), (20, {"e19"})])
def test_one_bad_endpoint_of_four_can_never_be_an_outlier_and_one_of_five_is(count: int, out: Iterable[str]) -> None:
    """One among n lies sqrt(n - 1) deviations below the mean: 1.73 for four, 2.0 for five, and 1.9 is the limit."""
    judged = outliers(count, OutlierSettings(hosts_min_count=2))
    rates(judged, count)
    judged.sweep(SWEEP)
    assert judged.ejected == out
    assert (sqrt(count - 1) > 1.9) == bool(out)


def test_four_endpoints_are_too_few_and_so_are_99_calls() -> None:
    for count, calls in ((4, 100), (5, 99)):
        judged = outliers(count, OutlierSettings(deviations=1.0))
        rates(judged, count, calls)
        judged.sweep(SWEEP)
        assert judged.ejected == frozenset()


def test_what_was_counted_before_a_sweep_does_not_count_after_it() -> None:
    judged = outliers(5)
    rates(judged, 5, 60)
    judged.sweep(SWEEP)
    rates(judged, 5, 60)
    judged.sweep(2 * SWEEP)
    assert judged.ejected == frozenset()


@pytest.mark.parametrize(("count", "most"), [(1, 0), (2, 1), (3, 1), (10, 1), (19, 1), (20, 2), (35, 3)])
def test_a_tenth_may_be_out_and_always_one_but_never_the_last(count: int, most: int) -> None:
    judged = outliers(count)
    for number in range(count):
        fail(judged, f"e{number}", 0)
    assert len(judged.ejected) == most


def test_who_could_not_be_put_out_is_when_there_is_room() -> None:
    judged = outliers(3)
    fail(judged, "e0", 0)
    assert not fail(judged, "e1", 0)
    for now in (SWEEP, 2 * SWEEP, 3 * SWEEP):
        judged.sweep(now)
    assert judged.report("e1", 3 * SWEEP, ok=False)
    assert judged.ejected == {"e1"}


def test_who_is_gone_is_forgotten_and_its_late_calls_do_not_count() -> None:
    judged = outliers(3)
    fail(judged, "e0", 0)
    judged.forget(["e1", "e2"])
    assert judged.ejected == frozenset()
    assert not fail(judged, "e0", 0)
    judged.forget(["e0", "e1", "e2"])
    assert judged.ejected == frozenset()
    assert fail(judged, "e0", 0)


def test_when_the_others_go_the_last_one_is_let_in() -> None:
    judged = outliers(2)
    fail(judged, "e0", 0)
    judged.forget(["e0"])
    assert judged.ejected == frozenset()


def test_failures_while_it_is_out_do_not_prolong_it() -> None:
    judged = outliers(3)
    fail(judged, "e0", 0)
    fail(judged, "e0", 20 * SECOND, 50)
    for now in (SWEEP, 2 * SWEEP):
        judged.sweep(now)
    assert judged.sweep(3 * SWEEP)
    assert not judged.report("e0", 3 * SWEEP, ok=False)


def test_threads_that_fail_at_the_same_moment_leave_somebody_in() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            judged = outliers(2)
            started = [threads.start(partial(report, judged, f"e{number}", 0, bad=5), name=f"fails-{number}") for number in range(2)]
            for thread in started:
                thread.join()
            assert len(judged.ejected) <= 1
    finally:
        sys.setswitchinterval(interval)


steps = st.lists(
    st.tuples(st.sampled_from(["report", "sweep", "forget"]), st.integers(0, 7), st.booleans(), st.integers(0, 40)), max_size=200
)


@given(steps)
def test_whatever_happens_somebody_is_left_and_no_more_than_allowed_are_out(taken: list[tuple[str, int, bool, int]]) -> None:
    judged, known, now = outliers(8), {f"e{number}" for number in range(8)}, 0
    for kind, number, ok, wait in taken:
        now += wait * SECOND
        if kind == "report":
            before = judged.ejected
            assert judged.report(f"e{number}", now, ok=ok) == (judged.ejected != before)
        elif kind == "sweep":
            before = judged.ejected
            assert judged.sweep(now) == (judged.ejected != before)
        else:
            known = {f"e{other}" for other in range(number + 1)}
            judged.forget(known)
        assert judged.ejected <= known
        assert len(judged.ejected) <= min(1, len(known) - 1)
        assert judged.deadline() is not None or not judged.ejected

"""Figures of a run of the fault suite: gaps are those between answers, whatever happened before and after."""

import math

from tests.soak.cluster_history import Event, FaultRow, History, Life, Mark, State
from tests.soak.cluster_report import gap, rows


def test_a_gap_begins_with_the_fault_or_the_answer_before_and_ends_with_the_next_answer() -> None:
    moments = [1.0, 2.0, 9.0, 9.5, 30.0]
    assert gap(moments, 3.0, 10.0) == 20.5
    assert gap(moments, 3.0, 9.2) == 6.0
    assert gap(moments, 40.0, 45.0) == 5.0
    assert gap([], 1.0, 3.0) == 2.0


def test_a_row_tells_what_happened_within_its_fault() -> None:
    history = History(writes=[9.0, 14.0, 14.1, 20.0], reads=[10.0, 10.1, 10.5, 20.0])
    history.faults = [FaultRow("leader killed", 10.0, 12.0, 14.0, "leader", "m1")]
    history.watched = {"m1": [(9.0, True, 0.1), (10.5, False, 0.1), (11.0, False, 0.1), (13.0, True, 0.2)], "m2": [(11.0, True, 0.1)]}
    state = State("t", "passing", "serving", expired=False)
    history.events = [Event(1, 0, 12.0, 5, "added", "n/a", state, resumed=True)]
    history.marks = [Mark(1, 0, 9.0, 4, "c"), Mark(1, 1, 12.0, 5, "d", "the watcher fell behind"), Mark(2, 1, 12.0, 5, "d")]
    history.lives = {"n/a": Life("n/a", "s", 15.0, 1.0, math.inf, "lives")}
    (row,) = rows(history)
    assert (row.begin_s, row.seconds, row.recovered_s, row.write_gap_s) == (0.0, 2.0, 2.0, 4.0)
    assert row.unserved_s == {"m1": 2.7, "m2": 0.1}
    assert (row.resumed, row.anew) == (1, 1)

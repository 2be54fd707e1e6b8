from callboard.client.machine.hearing import Hearing
from callboard.model.time import SECOND, Instant

T0 = Instant(10**12)


def later(span: int) -> Instant:
    return Instant(T0 + span)


def test_the_age_counts_from_when_it_was_last_heard() -> None:
    one = Hearing(T0, 80 * SECOND)
    assert (one.now, one.age(later(5))) == (False, 5)
    assert not one.heard(), "nobody was told that it is lost"
    assert (one.now, one.age(later(5)), one.deadline(later(5))) == (True, 0, None)
    assert one.lost(later(50 * SECOND), 40 * SECOND)
    assert (one.age(later(50 * SECOND)), one.stale(later(89 * SECOND)), one.stale(later(90 * SECOND))) == (40 * SECOND, False, True)
    assert one.deadline(later(50 * SECOND)) == T0 + 90 * SECOND
    assert one.deadline(later(90 * SECOND)) is None


def test_each_outage_is_told_once_and_its_end_too() -> None:
    one = Hearing(T0, SECOND)
    assert [one.lost(T0), one.lost(later(1)), one.heard(), one.heard(), one.lost(later(2))] == [True, False, True, False, True]


def test_further_failures_do_not_make_it_younger() -> None:
    one = Hearing(T0, SECOND)
    one.heard()
    one.lost(later(1))
    one.lost(later(5))
    assert one.age(later(9)) == 8


def test_a_forked_child_begins_to_age_at_the_fork() -> None:
    one = Hearing(T0, SECOND)
    one.heard()
    one.forked(later(3))
    one.forked(later(4))
    assert (one.now, one.age(later(5))) == (False, 2)

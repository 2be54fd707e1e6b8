from callboard.client.machine.agreement import AGAIN, Agreement
from callboard.model.time import SECOND, Instant

T0 = Instant(10**12)
EVERY = 60 * SECOND


def later(span: int) -> Instant:
    return Instant(T0 + span)


def test_equal_pictures_agree_whatever_their_revisions() -> None:
    one = Agreement(T0, 60_000)
    assert one.due == T0 + EVERY
    assert one.judge(T0, (3, 3), 9, equal=True) == "agrees"
    assert one.due == T0 + EVERY


def test_pictures_of_one_moment_that_are_not_equal_differ() -> None:
    assert Agreement(T0, 60_000).judge(T0, (9, 9), 9, equal=False) == "differs"


def test_a_picture_that_moves_is_looked_at_again_soon() -> None:
    one = Agreement(T0, 60_000)
    assert one.judge(T0, (8, 9), 9, equal=False) == "open"
    assert one.due == T0 + AGAIN
    assert one.judge(T0, (9, 9), 9, equal=False) == "differs"


def test_one_that_is_behind_twice_has_a_dead_stream() -> None:
    one = Agreement(T0, 60_000)
    assert one.judge(T0, (8, 8), 9, equal=False) == "open"
    assert one.judge(later(AGAIN), (8, 8), 9, equal=False) == "differs"


def test_one_that_was_behind_and_came_is_well() -> None:
    one = Agreement(T0, 60_000)
    assert one.judge(T0, (8, 8), 9, equal=False) == "open"
    assert one.judge(T0, (9, 9), 9, equal=True) == "agrees"
    assert one.judge(T0, (9, 9), 10, equal=False) == "open"


def test_asking_anew_that_does_not_help_is_not_repeated_every_minute() -> None:
    one, spans = Agreement(T0, 60_000), []
    for _ in range(10):
        assert one.judge(T0, (9, 9), 9, equal=False) == "differs"
        assert one.due is not None
        spans.append((one.due - T0) // EVERY)
    assert spans == [1, 2, 4, 8, 16, 32, 64, 64, 64, 64]
    one.judge(T0, (9, 9), 9, equal=True)
    assert one.due == T0 + EVERY


def test_who_cannot_say_is_not_asked_again() -> None:
    one = Agreement(T0, 60_000)
    one.never()
    assert one.due is None
    assert Agreement(T0, 0).due is None
    other = Agreement(T0, 60_000)
    other.later(later(5))
    assert other.due == T0 + 5 + EVERY

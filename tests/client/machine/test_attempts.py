from hypothesis import given
from hypothesis import strategies as st

from callboard.client.machine.attempts import Course, speaks_against
from callboard.model.time import MILLISECOND, SECOND, Instant

T0 = 10**12


def course(limit: int | None = SECOND, count: int = 2, *, share: float = 0.5, idempotent: bool = True) -> Course:
    until = None if limit is None else Instant(T0 + limit)
    return Course(until=until, attempts_max_count=count, attempt_share=share, idempotent=idempotent)


@given(
    st.integers(1, 10 * SECOND), st.integers(1, 5), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 3), st.booleans()), max_size=8)
)  # fmt: skip
def test_no_attempt_reaches_beyond_the_deadline_and_there_are_no_more_than_allowed(
    limit: int, count: int, ends: list[tuple[float, float, bool]]
) -> None:
    one, now = course(limit, count), T0
    for number, (used, retry_after_s, same) in enumerate(ends):
        one.begin(str(number))
        share = one.share(now)
        assert share is not None
        assert now + share <= T0 + limit
        now += int(share * used)
        assert one.number <= count
        if not one.another(now, sent=True):
            break
        pause = one.pause(now, 0.99, same=same, status=429, retry_after_s=retry_after_s)
        if pause is None:
            break
        assert pause >= retry_after_s * SECOND - 1
        now += pause
        assert now < T0 + limit


def test_an_attempt_has_its_share_of_what_is_left_and_the_last_one_all_of_it() -> None:
    one = course(SECOND, 3)
    one.begin("a")
    assert one.share(T0) == SECOND // 2
    one.begin("b")
    assert one.share(T0 + 400 * MILLISECOND) == 300 * MILLISECOND
    one.begin("c")
    assert one.share(T0 + 900 * MILLISECOND) == 100 * MILLISECOND


def test_with_a_whole_share_an_attempt_may_take_all_the_time_that_its_caller_gave() -> None:
    one = course(SECOND, share=1.0)
    one.begin("a")
    assert one.share(T0) == SECOND
    assert one.another(T0 + 100 * MILLISECOND, sent=True), "it failed early"
    assert not one.another(T0 + SECOND, sent=True)


def test_a_call_without_a_limit_has_none_in_any_attempt() -> None:
    one = course(None)
    one.begin("a")
    assert (one.share(T0), one.left(T0)) == (None, None)
    assert one.another(T0 + 10**18, sent=True)


def test_what_is_not_idempotent_is_tried_again_only_if_it_was_surely_not_sent() -> None:
    one = course(idempotent=False)
    one.begin("a")
    assert not one.another(T0, sent=True)
    assert one.another(T0, sent=False)


def test_retry_after_is_waited_for_if_there_is_time() -> None:
    one = course(SECOND)
    one.begin("a")
    assert one.pause(T0, 0.5, same=False, status=429, retry_after_s=0.4) == 400 * MILLISECOND
    assert one.pause(T0, 0.5, same=False, status=429, retry_after_s=1.0) is None
    assert one.pause(T0, 0.5, same=False, status=503, retry_after_s=5.0) == 0, "another instance may do it now"
    assert one.pause(T0, 0.5, same=True, status=503, retry_after_s=5.0) is None
    assert one.pause(T0, 0.5, same=True) == 50 * MILLISECOND
    assert one.pause(T0, 0.5, same=False) == 0


def test_what_speaks_against_an_instance() -> None:
    assert all(speaks_against(status, None) for status in (500, 502, 503, 504))
    assert not any(speaks_against(status, None) for status in (200, 404, 409, 429, 501))
    assert not speaks_against(503, 1.0), "it is overloaded and says so: that is no reason to give its load to the others"

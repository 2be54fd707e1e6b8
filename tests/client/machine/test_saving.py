from hypothesis import given
from hypothesis import strategies as st

from callboard.client.machine.saving import GAP, REFRESH, Saving
from callboard.model.time import MILLISECOND, Instant

T0 = Instant(10**12)


def later(span: int) -> Instant:
    return Instant(T0 + span)


def test_the_first_picture_is_written_at_once_and_changes_a_second_after_the_last_time() -> None:
    one = Saving()
    assert (one.due(T0, followed=True), one.deadline(followed=True)) == ([], None)
    one.changed("web", T0)
    assert one.due(T0, followed=True) == ["web"]
    one.written("web", T0)
    one.changed("web", later(1))
    one.changed("web", later(GAP // 2))
    assert (one.due(later(GAP - 1), followed=True), one.deadline(followed=True)) == ([], T0 + GAP)
    assert one.due(later(GAP), followed=True) == ["web"]


def test_a_service_that_never_changes_is_written_again_as_long_as_it_is_true() -> None:
    one = Saving()
    one.changed("web", T0)
    one.written("web", T0)
    assert one.deadline(followed=True) == T0 + REFRESH
    assert one.due(later(REFRESH), followed=True) == ["web"]
    assert (one.due(later(REFRESH), followed=False), one.deadline(followed=False)) == ([], None)
    assert (one.last(followed=True), one.last(followed=False)) == (["web"], [])


@given(st.lists(st.tuples(st.integers(0, 900 * MILLISECOND), st.sampled_from(["web", "api"]), st.booleans()), max_size=60))
def test_no_change_is_lost_and_nothing_is_written_twice_in_a_second(steps: list[tuple[int, str, bool]]) -> None:
    one, now = Saving(), int(T0)
    behind: set[str] = set()
    written: dict[str, int] = {}
    for gap, name, followed in steps:
        now += gap
        one.changed(name, Instant(now))
        behind.add(name)
        for due in one.due(Instant(now), followed=followed):
            assert now - written.get(due, 0) >= GAP
            one.written(due, Instant(now))
            written[due] = now
            behind.discard(due)
        assert behind <= set(one.last(followed=False))
        at = one.deadline(followed=False)
        assert (at is not None and at <= now + GAP) == bool(behind)

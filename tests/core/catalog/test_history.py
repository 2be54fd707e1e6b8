"""Random histories: what holds after every command, whatever came before."""

from hypothesis import given
from hypothesis import strategies as st

from callboard.testing.digest import digest
from tests.core.histories import Maker, histories
from tests.core.world import World, answers, differences, indexes, picture


@given(histories)
def test_answers_equal_those_of_the_naive_catalog(history: list[Maker]) -> None:
    world = World()
    for maker in history:
        step = world.do(maker)
        reason = step.refusal.reason if step.refusal is not None else None
        assert reason == step.verdict.refusal, maker
        assert differences(world.view, world.oracle) == [], maker


@given(histories)
def test_what_changes_nothing_writes_nothing(history: list[Maker]) -> None:
    """A refused command, and one that repeats what is there."""
    world = World()
    for maker in history:
        before = digest(world.view)
        step = world.do(maker)
        if not maker.what.startswith("SweepFloors"):
            assert bool(step.rows) is step.verdict.changed, maker
        assert (digest(world.view) != before) is step.verdict.changed, maker


@given(histories)
def test_an_index_rises_when_its_answer_changed_and_never_falls(history: list[Maker]) -> None:
    world = World()
    for maker in history:
        content, index = answers(world.view), indexes(world.view)
        step = world.do(maker)
        for topic, now in answers(world.view).items():
            assert indexes(world.view)[topic] >= index[topic], (topic, maker)
            if now != content[topic]:
                assert indexes(world.view)[topic] > index[topic], (topic, maker)
                assert step.changes is not None
                assert topic in step.changes.topics, f"{maker} wakes nobody who waits for {topic}"


@given(histories, st.randoms(use_true_random=False))
def test_load_equals_fold_whatever_the_order_of_rows(history: list[Maker], random: "st.random.Random") -> None:  # type: ignore[name-defined]
    world = World()
    for maker in history:
        world.do(maker)
    rows = list(world.rows.values())
    random.shuffle(rows)
    loaded = world.reloaded(rows)
    assert picture(loaded) == picture(world.view)
    assert answers(loaded) == answers(world.view)


@given(histories)
def test_an_index_is_the_same_after_a_reload_and_does_not_fall_later(history: list[Maker]) -> None:
    world = World()
    for maker in history:
        before = indexes(world.view)
        world.view = world.reloaded()
        assert indexes(world.view) == before
        world.do(maker)
        assert all(indexes(world.view)[topic] >= index for topic, index in before.items()), maker


@given(histories, histories, st.integers(0, 3))
def test_a_sweep_of_floors_changes_no_answer_and_lets_no_index_fall(history: list[Maker], later: list[Maker], keep: int) -> None:
    from callboard.core.catalog.commands import SweepFloors

    world = World()
    for maker in history:
        world.do(maker)
    content, index = answers(world.view), indexes(world.view)
    world.do(Maker("SweepFloors", lambda _oracle, _nonce: SweepFloors(keep)))
    assert len(world.view.floors) <= keep
    assert answers(world.view) == content
    for maker in later:
        assert all(now >= index[topic] for topic, now in indexes(world.view).items())
        index = indexes(world.view)
        world.do(maker)
    assert indexes(world.reloaded()) == indexes(world.view)

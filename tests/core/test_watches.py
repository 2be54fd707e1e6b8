import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog.changes import Changes, CheckChange
from callboard.core.watches import History, Watches
from callboard.model.errors import CompactedError
from callboard.model.rows import Revision
from callboard.model.topics import Topic

TOPICS = [Topic(name) for name in "abc"]
OPERATIONS = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.sets(st.sampled_from(TOPICS))), max_size=30)


@given(OPERATIONS, st.sets(st.sampled_from(TOPICS)))
def test_a_change_touches_exactly_those_who_watch_its_topics(operations: list[tuple[bool, int, set[Topic]]], changed: set[Topic]) -> None:
    watches: Watches[int] = Watches()
    naive: set[tuple[int, Topic]] = set()
    for arrives, watcher, topics in operations:
        (watches.subscribe if arrives else watches.unsubscribe)(watcher, topics)
        pairs = {(watcher, topic) for topic in topics}
        naive = naive | pairs if arrives else naive - pairs
    assert watches.touched(changed) == {watcher for watcher, topic in naive if topic in changed}
    for watcher, topic in naive:
        watches.unsubscribe(watcher, [topic])
    assert not watches._by_topic  # noqa: SLF001  # what nobody watches is not kept


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5)), max_size=30), st.integers(1, 12), st.integers(0, 100))
def test_history_is_reliable_or_says_that_it_is_not(steps: list[tuple[int, int]], max_count: int, asked: int) -> None:
    history, revision = History(Revision(10), max_count), 10
    groups: list[Changes] = []
    for step, size in steps:
        revision += step
        groups.append(Changes(Revision(revision), checks=[CheckChange(None, None)] * size))
        history.add(groups[-1])
    missed = [group for group in groups if group.revision > asked]
    if asked >= 10 and sum(group.weight for group in missed) <= max_count:
        assert list(history.after(Revision(asked))) == missed
    else:
        with pytest.raises(CompactedError):
            history.after(Revision(asked))


def test_a_group_larger_than_the_history_is_not_kept_and_that_is_said() -> None:
    history = History(Revision(1), 3)
    history.add(Changes(Revision(2), checks=[CheckChange(None, None)] * 5))
    with pytest.raises(CompactedError):
        history.after(Revision(1))
    assert list(history.after(Revision(2))) == []


def test_what_the_history_keeps_is_bounded_whatever_a_change_touches() -> None:
    history = History(Revision(1), 3)
    history.add(Changes(Revision(2), checks=[CheckChange(None, None)], topics={Topic(str(number)) for number in range(10_000)}))
    assert list(history.after(Revision(1))) == [Changes(Revision(2), checks=[CheckChange(None, None)])]

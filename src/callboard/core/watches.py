"""Who waits for what: topics to watchers, and the bounded history from which a watcher that was away can resume.

A watcher is anything that can be asked for; it lives as long as it is subscribed. The history keeps the last groups whose changes are not
more than a count.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from callboard.core.catalog.changes import Changes
from callboard.model.errors import CompactedError
from callboard.model.rows import Revision
from callboard.model.topics import Topic

W = TypeVar("W")


class Watches(Generic[W]):
    """Topics and their watchers."""

    __slots__ = ("_by_topic",)

    def __init__(self) -> None:
        self._by_topic: dict[Topic, set[W]] = {}

    def subscribe(self, watcher: W, topics: Iterable[Topic]) -> None:
        """From now on `watcher` is among those that `touched` names for these topics."""
        for topic in topics:
            self._by_topic.setdefault(topic, set()).add(watcher)

    def unsubscribe(self, watcher: W, topics: Iterable[Topic]) -> None:
        """The opposite, with the same topics."""
        for topic in topics:
            there = self._by_topic.get(topic)
            if there is not None:
                there.discard(watcher)
                if not there:
                    del self._by_topic[topic]

    def touched(self, topics: Iterable[Topic]) -> set[W]:
        """Each watcher of any of these topics, once."""
        out: set[W] = set()
        for topic in topics:
            there = self._by_topic.get(topic)
            if there is not None:
                out |= there
        return out


class History:
    """The changes of the last groups. Reliable: either every change after a revision is told, or `CompactedError` is raised."""

    __slots__ = ("_count", "_entries", "_first", "_max_count")

    def __init__(self, start: Revision, max_count: int) -> None:
        """`max_count` bounds single changes, not groups: a group may hold thousands."""
        self._entries: deque[Changes] = deque()
        self._count = 0
        self._max_count = max_count
        self._first = start
        """Changes after this revision are complete."""

    def add(self, changes: Changes) -> None:
        """Keep a group's changes; the oldest groups go when there are too many changes.

        Their topics are not kept: they are for whoever waits now, and one change of a node may touch ten thousand.
        """
        self._entries.append(Changes(changes.revision, changes.nodes, changes.instances, changes.checks))
        self._count += changes.weight
        while self._count > self._max_count:
            oldest = self._entries.popleft()
            self._count -= oldest.weight
            self._first = oldest.revision

    def after(self, revision: Revision) -> Iterator[Changes]:
        """Every group's changes after `revision`, in order. Raises `CompactedError` when some of them are no longer kept."""
        if revision < self._first:
            raise CompactedError(self._first)
        return (changes for changes in list(self._entries) if changes.revision > revision)

"""What ran out and is not told yet, in the order of its deadlines. The leader's memory; empty most of the time.

A deadline that ran out is not acted on at once: signs of life may still be on their way, or so many ran out together that nobody believes
it. Until then it can be taken back. What was told stays known until it is settled, for it may come again.
"""

import heapq
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from callboard.model.time import Instant

_SLACK_COUNT: Final = 64
"""Entries that were taken back may stay in the heap, up to this many and as many again as there are others."""

K = TypeVar("K", bound=tuple[str, ...])


@dataclass(slots=True)
class _Late:
    deadline: Instant
    told: bool = False
    excused: bool = False


class Overdue(Generic[K]):
    """Keys that wait, and keys that were told and are not settled. Ordered by deadline, then by key."""

    __slots__ = ("_heap", "_late", "counted", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        """Not told yet."""
        self.counted = 0
        """Not told yet and not excused."""
        self._late: dict[K, _Late] = {}
        self._heap: list[tuple[Instant, K]] = []

    def __len__(self) -> int:
        return len(self._late)

    def add(self, key: K, deadline: Instant) -> None:
        """It ran out."""
        self._wait(key, _Late(deadline))

    def again(self, key: K) -> None:
        """It was told, and nothing came of it."""
        late = self._late.get(key)
        if late is not None and late.told:
            late.told = False
            self._wait(key, late)

    def _wait(self, key: K, late: _Late) -> None:
        self._late[key] = late
        self.waiting += 1
        self.counted += not late.excused
        heapq.heappush(self._heap, (late.deadline, key))

    def deadline_of(self, key: K) -> Instant | None:
        """When it ran out; None when it did not."""
        late = self._late.get(key)
        return late.deadline if late is not None else None

    def settle(self, key: K) -> bool:
        """It was heard from, is known to be lost, or is gone. False when there was nothing to settle."""
        late = self._late.pop(key, None)
        if late is None:
            return False
        self._left(late)
        if len(self._heap) > 2 * self.waiting + _SLACK_COUNT:
            self._heap = [(late.deadline, key) for key, late in self._late.items() if not late.told]
            heapq.heapify(self._heap)
        return True

    def _left(self, late: _Late) -> None:
        if not late.told:
            self.waiting -= 1
            self.counted -= not late.excused

    def first(self) -> Instant | None:
        """The earliest deadline of those that wait."""
        heap = self._heap
        while heap and not self._waits(*heap[0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def _waits(self, deadline: Instant, key: K) -> bool:
        late = self._late.get(key)
        return late is not None and not late.told and late.deadline == deadline

    def tell(self, until: Instant, limit: int) -> list[tuple[K, bool]]:
        """Those with a deadline at or before `until`, at most `limit`, each with whether it is excused."""
        told: list[tuple[K, bool]] = []
        while len(told) < limit and (first := self.first()) is not None and first <= until:
            _, key = heapq.heappop(self._heap)
            late = self._late[key]
            self._left(late)
            late.told = True
            told.append((key, late.excused))
        return told

    def excuse(self) -> None:
        """All of these have been held for long enough: from now on they do not count."""
        for late in self._late.values():
            late.excused = True
        self.counted = 0

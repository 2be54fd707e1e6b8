"""A timer wheel of slots: putting a timer in is one store, and what is due is found without looking at what is not.

It knows nothing of renewals: a timer comes up once per `put`, and its owner decides whether its time is over. A wheel lives as long as
what it times.
"""

import heapq
from typing import Generic, TypeVar

from callboard.model.time import Instant

Timer = TypeVar("Timer")


class Wheel(Generic[Timer]):
    """Slots of `tick` nanoseconds. A timer comes up at its moment or at most one tick later, never earlier."""

    __slots__ = ("_heap", "_left", "_slots", "_tick")

    def __init__(self, tick: int) -> None:
        self._tick = tick
        self._slots: dict[int, list[Timer]] = {}
        self._heap: list[int] = []
        self._left: list[Timer] = []

    def put(self, timer: Timer, moment: Instant) -> None:
        """Let `timer` come up at `moment`."""
        slot = moment // self._tick + 1
        there = self._slots.get(slot)
        if there is None:
            self._slots[slot] = [timer]
            heapq.heappush(self._heap, slot)
        else:
            there.append(timer)

    def deadline(self) -> Instant | None:
        """When `next` has something to give."""
        if self._left:
            return Instant(0)
        return Instant(self._heap[0] * self._tick) if self._heap else None

    def next(self, now: Instant) -> Timer | None:
        """A timer that has come up and is in no slot any more, None when there is none."""
        if not self._left:
            if not self._heap or self._heap[0] * self._tick > now:
                return None
            self._left = self._slots.pop(heapq.heappop(self._heap))
        return self._left.pop()

"""How much may be tried again. Retries help when one instance fails; when all do, they only add to the load.

In any ten seconds there are at most `share` retries for each call, or `floor_per_s` a second if that is more. Counted in slots of one
second, so the span looked at is between ten and eleven seconds. It lives as long as the service is followed.
"""

from collections import deque
from typing import Final

from callboard.model.time import SECOND

WINDOW_S: Final = 10


class _Slot:
    __slots__ = ("calls", "retries", "second")

    def __init__(self, second: int) -> None:
        self.second = second
        self.calls = 0
        self.retries = 0


class Budget:
    """Counts calls and retries. `now` is nanoseconds of a forward-only clock."""

    def __init__(self, share: float, floor_per_s: float) -> None:
        self._share = share
        self._floor = floor_per_s * WINDOW_S
        self._slots: deque[_Slot] = deque()
        self._calls = 0
        self._retries = 0

    def called(self, now: int) -> None:
        """A call begins; its further attempts are none."""
        self._slot(now).calls += 1
        self._calls += 1

    def retry(self, now: int) -> bool:
        """Whether one more retry may be made; if so it is counted."""
        slot = self._slot(now)
        if self._retries + 1 > max(self._calls * self._share, self._floor):
            return False
        slot.retries += 1
        self._retries += 1
        return True

    def _slot(self, now: int) -> _Slot:
        """The slot of this second, after those that are too old were dropped."""
        slots = self._slots
        second = now // SECOND
        while slots and slots[0].second < second - WINDOW_S:
            old = slots.popleft()
            self._calls -= old.calls
            self._retries -= old.retries
        if not slots or slots[-1].second < second:
            slots.append(_Slot(second))
        return slots[-1]

"""Deadlines of connections: a lazy wheel that can forget, and the one timer of the loop that turns it.

Every connection sits in exactly one slot from its first byte to its last. A later deadline only overwrites `due`, and the connection
moves when its old slot comes up; so a blocked query costs no timer of its own. Unlike `core.wheel` it gives up what has closed at once:
connections come and go by the thousand a second while waits last minutes.
"""

import asyncio
import heapq
from typing import Final, Protocol

from callboard.model.time import MILLISECOND, SECOND, Instant

TICK: Final = 10 * MILLISECOND
"""A deadline is noticed at most this late, and never early."""
_NOWHERE: Final = 0


class Timed(Protocol):
    """Something with a deadline."""

    due: int
    """When its time is over."""
    slot: int
    """Where the wheel holds it; 0 at first."""

    def expired(self, now: Instant) -> None:
        """The time is over. It is in no slot any more and may be put again."""
        ...


class Wheel:
    """Slots of `TICK` nanoseconds."""

    __slots__ = ("_heap", "_slots")

    def __init__(self) -> None:
        self._slots: dict[int, set[Timed]] = {}
        self._heap: list[int] = []

    def put(self, timed: Timed, due: int) -> None:
        """Give it this deadline instead of any it had."""
        timed.due = due
        slot = due // TICK + 1
        if timed.slot != _NOWHERE:
            if timed.slot <= slot:
                return
            self.drop(timed)
        timed.slot = slot
        there = self._slots.get(slot)
        if there is None:
            there = self._slots[slot] = set()
            heapq.heappush(self._heap, slot)
        there.add(timed)

    def drop(self, timed: Timed) -> None:
        """Forget it."""
        there = self._slots.get(timed.slot)
        if there is not None:
            there.discard(timed)
        timed.slot = _NOWHERE

    def deadline(self) -> Instant | None:
        """When `turn` next has something to do."""
        return Instant(self._heap[0] * TICK) if self._heap else None

    def turn(self, now: Instant, limit: int) -> bool:
        """Expire what is due, after about `limit` looks no more; answers whether some is left."""
        while self._heap and self._heap[0] * TICK <= now:
            slot = heapq.heappop(self._heap)
            there = self._slots[slot]
            try:
                while there:
                    if limit <= 0:
                        return True
                    limit -= 1
                    timed = there.pop()
                    timed.slot = _NOWHERE
                    if timed.due > now:
                        self.put(timed, timed.due)
                    else:
                        timed.expired(now)
            finally:
                if there:
                    heapq.heappush(self._heap, slot)
                else:
                    del self._slots[slot]
        return False

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))


class Timers:
    """A wheel on a loop. It lives as long as the server; `close` stops it."""

    __slots__ = ("_armed", "_handle", "_loop", "_slice", "wheel")

    def __init__(self, loop: asyncio.AbstractEventLoop, slice_count: int) -> None:
        self.wheel = Wheel()
        self._loop = loop
        self._slice = slice_count
        self._handle: asyncio.Handle | None = None
        self._armed: Instant | None = None

    def now(self) -> Instant:
        """The loop's clock."""
        return Instant(int(self._loop.time() * SECOND))

    def put(self, timed: Timed, due: int) -> None:
        """Give it this deadline instead of any it had."""
        self.wheel.put(timed, due)
        if self._armed is None or due < self._armed:
            self._arm()

    def close(self) -> None:
        """Let no time be over any more."""
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        deadline = self.wheel.deadline()
        if deadline is not None and (self._armed is None or deadline < self._armed):
            if self._handle is not None:
                self._handle.cancel()
            self._armed = deadline
            self._handle = self._loop.call_at(deadline / SECOND, self._turn)

    def _turn(self) -> None:
        self._handle = None
        self._armed = Instant(0)  # what is put meanwhile arms nothing
        more = True
        try:
            more = self.wheel.turn(self.now(), self._slice)
        finally:
            if more:
                self._handle = self._loop.call_soon(self._turn)
            else:
                self._armed = None
                self._arm()

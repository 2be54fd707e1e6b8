"""Deadlines by key: what runs out when it is not renewed. Used for TTL checks, for instances that are critical too long, and for probes.

They live in the leader's memory only and start afresh with each leader. A renewal is one look-up and one store: the timer stays in its
slot and, when that comes up, moves on.
"""

from array import array
from typing import Final, Generic, TypeVar

from callboard.core.wheel import Wheel
from callboard.model.time import MILLISECOND, MINUTE, Duration, Instant

TICK: Final = Duration(10 * MILLISECOND)
"""A deadline is noticed at most this late, and never early."""
HORIZON: Final = MINUTE
"""Nothing is placed further ahead: what is given up leaves its slot within this time, whatever its span was."""
_IDLE: Final = -1
_NOWHERE: Final = -1

K = TypeVar("K")


class Deadlines(Generic[K]):
    """Spans and due times in arrays; a key owns a number as long as it is known, and a number is used again when it is in no slot."""

    __slots__ = ("_at", "_due", "_free", "_keys", "_numbers", "_span", "_wheel")

    def __init__(self) -> None:
        self._numbers: dict[K, int] = {}
        self._keys: list[K | None] = []
        self._due = array("q")
        self._span = array("q")
        self._at = array("q")
        self._free: list[int] = []
        self._wheel: Wheel[int] = Wheel(TICK)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def capacity(self) -> int:
        """Numbers in use, or waiting to leave their slot."""
        return len(self._keys) - len(self._free)

    def arm(self, key: K, span: Duration, now: Instant, *, first: Duration | None = None) -> None:
        """Run out `span` after `now` (the first time after `first`, when that is given) and after each renewal."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._new_number(key)
        self._span[number] = span
        self._set(key, number, Instant(now + (span if first is None else first)), now)

    def renew(self, key: K, now: Instant) -> bool:
        """Start its span again; False when the key is unknown or idle."""
        number = self._numbers.get(key)
        if number is None or self._due[number] == _IDLE:
            return False
        due = Instant(now + self._span[number])
        if due >= self._at[number]:
            self._due[number] = due
        else:
            self._set(key, number, due, now)
        return True

    def _set(self, key: K, number: int, due: Instant, now: Instant) -> None:
        if self._at[number] == _NOWHERE:
            self._place(number, due, now)
        elif due < self._at[number]:
            # It sits in a later slot: leave that one to run empty and take a new number.
            span = self._span[number]
            self.forget(key)
            number = self._numbers[key] = self._new_number(key)
            self._span[number] = span
            self._place(number, due, now)
        self._due[number] = due

    def _place(self, number: int, due: Instant, now: Instant) -> None:
        moment = Instant(min(due, now + HORIZON))
        self._at[number] = moment
        self._wheel.put(number, moment)

    def _new_number(self, key: K) -> int:
        if self._free:
            number = self._free.pop()
            self._keys[number] = key
            return number
        self._keys.append(key)
        self._due.append(_IDLE)
        self._span.append(0)
        self._at.append(_NOWHERE)
        return len(self._keys) - 1

    def idle(self, key: K) -> None:
        """Stop its time, but keep its place: it will be armed again."""
        number = self._numbers.get(key)
        if number is not None:
            self._due[number] = _IDLE

    def forget(self, key: K) -> None:
        """Nothing more runs out for this key."""
        number = self._numbers.pop(key, None)
        if number is not None:
            self._due[number] = _IDLE
            self._keys[number] = None
            if self._at[number] == _NOWHERE:
                self._free.append(number)

    def deadline(self) -> Instant | None:
        """When `expired` next has something to look at."""
        return self._wheel.deadline()

    def expired(self, now: Instant, limit: int) -> list[K]:
        """Keys whose time ran out, after `limit` looks no more; they are idle until they are armed again."""
        keys: list[K] = []
        for _ in range(limit):
            number = self._wheel.next(now)
            if number is None:
                break
            self._at[number] = _NOWHERE
            key, due = self._keys[number], self._due[number]
            if key is None:
                self._free.append(number)
            elif due > now:
                self._place(number, Instant(due), now)
            elif due != _IDLE:
                self._due[number] = _IDLE
                keys.append(key)
        return keys

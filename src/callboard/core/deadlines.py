"""Deadlines by key: what runs out when it is not renewed. Used for TTL checks, for instances that are critical too long, and for probes.

They live in the memory of whoever keeps them and start afresh with it. A renewal is one look-up and one store: the timer stays in its
slot and, when that comes up, moves on. Each key also remembers, in two bytes, where its last renewal came from, and in one what it is to
its owner, so that a renewal that is meant for one kind of key needs no other look-up.
"""

from array import array
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from callboard.core.wheel import Wheel
from callboard.model.time import MILLISECOND, MINUTE, Duration, Instant

TICK: Final = Duration(10 * MILLISECOND)
"""A deadline is noticed at most this late, and never early."""
HORIZON: Final = MINUTE
"""Nothing is placed further ahead: what is given up leaves its slot within this time, whatever its span was."""
NO_SOURCE: Final = 0
"""Of a key that was never renewed."""
NO_MARK: Final = 0
"""Of a key that was given none."""
_IDLE: Final = -1
_NOWHERE: Final = -1

K = TypeVar("K")


class Deadlines(Generic[K]):
    """Spans and due times in arrays; a key owns a number as long as it is known, and a number is used again when it is in no slot."""

    __slots__ = ("_at", "_due", "_free", "_keys", "_marks", "_numbers", "_source", "_span", "_wheel", "running_count")

    def __init__(self) -> None:
        self.running_count = 0
        """Keys whose time runs: known and not idle."""
        self._numbers: dict[K, int] = {}
        self._keys: list[K | None] = []
        self._due = array("q")
        self._span = array("q")
        self._at = array("q")
        self._source = array("H")
        self._marks = array("B")
        self._free: list[int] = []
        self._wheel: Wheel[int] = Wheel(TICK)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def capacity(self) -> int:
        """Numbers in use, or waiting to leave their slot."""
        return len(self._keys) - len(self._free)

    def span(self, key: K) -> Duration | None:
        """What a renewal gives; None when the key is unknown."""
        number = self._numbers.get(key)
        return Duration(self._span[number]) if number is not None else None

    def arm(self, key: K, span: Duration, now: Instant, *, first: Duration | None = None) -> None:
        """Run out `span` after `now` (the first time after `first`, when that is given) and after each renewal. The source stays."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._new_number(key)
        due = Instant(now + (span if first is None else first))
        if self._at[number] != _NOWHERE and due < self._at[number]:
            # It sits in a later slot: leave that one to run empty and take a new number.
            source, mark = self._source[number], self._marks[number]
            self.forget(key)
            number = self._numbers[key] = self._new_number(key)
            self._source[number], self._marks[number] = source, mark
        if self._due[number] == _IDLE:
            self.running_count += 1
        if self._at[number] == _NOWHERE:
            self._place(number, due, now)
        self._span[number] = span
        self._due[number] = due

    def renew(self, key: K, now: Instant, source: int = NO_SOURCE) -> bool:
        """Start its span again at `now`, which may lie in the past: a deadline never moves back. False when the key is unknown or idle."""
        number = self._numbers.get(key)
        if number is None:
            return False
        before = self._due[number]
        if before == _IDLE:
            return False
        due = now + self._span[number]
        if due > before:
            self._due[number] = due
            self._source[number] = source
        elif self._source[number] == NO_SOURCE:
            self._source[number] = source
        return True

    def mark(self, key: K, mark: int) -> None:
        """What it is to its owner from now on; nothing when the key is unknown."""
        number = self._numbers.get(key)
        if number is not None:
            self._marks[number] = mark

    def renew_marked(self, key: K, mark: int, now: Instant, source: int = NO_SOURCE) -> bool:
        """Renew it if it has this mark; else nothing happens, and the answer is False."""
        number = self._numbers.get(key)
        if number is None or self._marks[number] != mark or (before := self._due[number]) == _IDLE:
            return False
        due = now + self._span[number]
        if due <= before:
            return self.renew(key, now, source)
        self._due[number] = due
        self._source[number] = source
        return True

    def renew_all(self, keys: Sequence[K], now: Instant, source: int = NO_SOURCE) -> list[int]:
        """The same for many. Answers the places of those that are unknown or idle."""
        numbers, dues, spans, sources = self._numbers, self._due, self._span, self._source
        failed: list[int] = []
        for place, key in enumerate(keys):
            number = numbers.get(key)
            if number is not None and (before := dues[number]) != _IDLE and (due := now + spans[number]) > before:
                dues[number] = due
                sources[number] = source
            elif not self.renew(key, now, source):
                failed.append(place)
        return failed

    def renew_from(self, source: int, now: Instant, becomes: int) -> list[K]:
        """Renew at once everything whose last renewal came from `source`; from now on its source is `becomes`. Answers those that are
        idle: their time does not run."""
        idle: list[K] = []
        sources, place = self._source, -1
        while True:
            try:
                place = sources.index(source, place + 1)
            except ValueError:
                return idle
            key = self._keys[place]
            if key is None:
                continue
            sources[place] = becomes
            if self._due[place] == _IDLE:
                idle.append(key)
            else:
                self._due[place] = max(self._due[place], now + self._span[place])

    def _place(self, number: int, due: Instant, now: Instant) -> None:
        moment = Instant(min(due, now + HORIZON))
        self._at[number] = moment
        self._wheel.put(number, moment)

    def _new_number(self, key: K) -> int:
        if self._free:
            number = self._free.pop()
            self._keys[number] = key
            self._source[number], self._marks[number] = NO_SOURCE, NO_MARK
            return number
        self._keys.append(key)
        self._due.append(_IDLE)
        self._span.append(0)
        self._at.append(_NOWHERE)
        self._source.append(NO_SOURCE)
        self._marks.append(NO_MARK)
        return len(self._keys) - 1

    def idle(self, key: K) -> None:
        """Stop its time, but keep its place: it will be armed again."""
        number = self._numbers.get(key)
        if number is not None:
            self._stop(number)

    def forget(self, key: K) -> None:
        """Nothing more runs out for this key."""
        number = self._numbers.pop(key, None)
        if number is not None:
            self._stop(number)
            self._keys[number] = None
            if self._at[number] == _NOWHERE:
                self._free.append(number)

    def _stop(self, number: int) -> None:
        if self._due[number] != _IDLE:
            self._due[number] = _IDLE
            self.running_count -= 1

    def deadline(self) -> Instant | None:
        """When `expired` next has something to look at."""
        return self._wheel.deadline()

    def expired(self, now: Instant, limit: int) -> list[K]:
        """Keys whose time ran out, after `limit` looks no more; they are idle until they are armed again."""
        return [key for key, _ in self.ran_out(now, limit)]

    def ran_out(self, now: Instant, limit: int) -> list[tuple[K, Instant]]:
        """The same, each with its deadline."""
        found: list[tuple[K, Instant]] = []
        for _ in range(limit):
            number = self._wheel.next(now)
            if number is None:
                break
            self._at[number] = _NOWHERE
            key, due = self._keys[number], Instant(self._due[number])
            if key is None:
                self._free.append(number)
            elif due > now:
                self._place(number, due, now)
            elif due != _IDLE:
                self._stop(number)
                found.append((key, due))
        return found

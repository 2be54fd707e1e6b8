"""Time and chance for tests: a clock that only moves when it is told to, and randomness that a seed repeats. They live for one test."""

import random

from callboard.model.time import MILLISECOND, SECOND, Duration, Instant, Timestamp

START: Instant = Instant(1_000 * SECOND)
WALL_START: Timestamp = Timestamp(1_700_000_000_000)


class VirtualClock:
    """Both of the registry's clocks, moved by hand. The calendar runs with the forward-only clock, plus `wall_offset_ms`."""

    def __init__(self, start: Instant = START) -> None:
        self._start = start
        self._now = start
        self.wall_offset_ms = 0
        """Set it to turn the calendar without the forward-only clock noticing, as an operator can."""

    def now(self) -> Instant:
        """The forward-only clock."""
        return self._now

    def wall(self) -> Timestamp:
        """UTC, in milliseconds."""
        return Timestamp(WALL_START + (self._now - self._start) // MILLISECOND + self.wall_offset_ms)

    def advance(self, span: Duration | int) -> Instant:
        """Let `span` nanoseconds pass; answers the new moment. Raises `ValueError` for a negative span."""
        if span < 0:
            raise ValueError(f"a forward-only clock cannot go back by {-span} ns")
        self._now = Instant(self._now + span)
        return self._now


class SeededEntropy:
    """All chance there is, the same for the same seed. Nonces count, so they are unique and a failure is readable."""

    def __init__(self, seed: int = 0, prefix: str = "nonce") -> None:
        self._random = random.Random(seed)
        self._prefix = f"{prefix}-{seed}"
        self._count = 0

    def nonce(self) -> str:
        """A text nobody has had before from this object."""
        self._count += 1
        return f"{self._prefix}-{self._count}"

    def chance(self) -> float:
        """A number in [0, 1)."""
        return self._random.random()

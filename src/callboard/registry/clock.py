"""Time and chance of the real world, as values that can be handed in. Everything below asks these, so a test can hand in its own."""

import random
import secrets
import time
from typing import Protocol

from callboard.model.time import Instant, Timestamp

_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """A forward-only clock that runs in suspend, and the calendar."""

    def now(self) -> Instant:
        """A reading of the forward-only clock."""
        ...

    def wall(self) -> Timestamp:
        """UTC now."""
        ...


class Entropy(Protocol):
    """All chance there is."""

    def nonce(self) -> str:
        """A text nobody has had before."""
        ...

    def chance(self) -> float:
        """A number in [0, 1)."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        """CLOCK_BOOTTIME where there is one."""
        return Instant(time.clock_gettime_ns(_CLOCK_ID))

    def wall(self) -> Timestamp:
        """UTC now."""
        return Timestamp(time.time_ns() // 1_000_000)


class SystemEntropy:
    """The machine's randomness."""

    def nonce(self) -> str:
        """72 random bits, URL-safe."""
        return secrets.token_urlsafe(9)

    def chance(self) -> float:
        """For spreading work, not for secrets."""
        return random.random()

"""Time and chance of the real world, as values that can be handed in. Everything below asks these, so a test can hand in its own."""

import base64
import os
import random
import secrets
import time
from typing import Final, Protocol

from callboard.model.time import Instant, Timestamp

_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_NONCE_BYTES: Final = 9
_NONCE_CHARS: Final = 12
"""What nine bytes are in base 64, without a rest."""
_DRAWN_COUNT: Final = 256
"""Nonces for which the system is asked at once: each time it is, other threads get their turn, and each registration needs one."""


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
    """The machine's randomness, for the loop's thread."""

    def __init__(self) -> None:
        self._drawn: list[str] = []
        self._process = 0
        """A fork of this process must not use what was drawn for this one."""

    def nonce(self) -> str:
        """72 random bits, URL-safe."""
        if not self._drawn or self._process != os.getpid():
            self._draw()
        return self._drawn.pop()

    def _draw(self) -> None:
        self._process = os.getpid()
        text = base64.urlsafe_b64encode(secrets.token_bytes(_NONCE_BYTES * _DRAWN_COUNT)).decode()
        self._drawn = [text[at : at + _NONCE_CHARS] for at in range(0, len(text), _NONCE_CHARS)]

    def chance(self) -> float:
        """For spreading work, not for secrets."""
        return random.random()

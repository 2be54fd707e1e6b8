"""By when the work at hand must be done: one moment for a whole chain of calls, carried by a context variable.

`within` sets it, calls are cut to what is left of it, and a header tells the next service. It holds in a thread, or in a task of asyncio
and the tasks that it starts, until `within` is left; an outer deadline is never extended.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

__all__ = ["HEADER", "from_header", "remaining_s", "within"]

HEADER: Final = "X-Deadline-Ms"
"""Milliseconds that are left, as a whole number: clocks of two hosts differ, spans do not."""
SPAN_MAX_S: Final = 1e9
_MS_MAX: Final = 10**12
_until: Final[ContextVar[float | None]] = ContextVar("callboard_deadline", default=None)


def bounded(seconds: float) -> float:
    """So many seconds as a clock can count: none for what is negative or no number, and at most thirty years."""
    return min(max(0.0, seconds), SPAN_MAX_S)


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """What is called inside has `seconds` from now, or less if there was a deadline already. None sets no other."""
    outer = _until.get()
    until = math.inf if seconds is None or seconds == math.inf else time.monotonic() + bounded(seconds)
    token = _until.set(until if outer is None else min(outer, until))
    try:
        yield
    finally:
        _until.reset(token)


def remaining_s() -> float | None:
    """Seconds that are left, 0 when the time is over; None without a deadline."""
    until = _until.get()
    return None if until is None or until == math.inf else max(0.0, until - time.monotonic())


def from_header(text: str) -> float | None:
    """Seconds, as a caller told them; None for what is no number of milliseconds."""
    bare = text.strip()
    if not bare.isascii() or not bare.isdigit():
        return None
    return min(int(bare), _MS_MAX) / 1000 if len(bare) <= 64 else None

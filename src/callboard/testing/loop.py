"""An event loop in virtual time: when nothing can run, the clock jumps to the next timer. Hours pass in milliseconds, in the same order.

It is for work without real sockets or threads: what waits for those would never be woken, and is reported instead.
"""

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from callboard.model.time import SECOND
from callboard.testing.clock import VirtualClock

T = TypeVar("T")


class StalledError(Exception):
    """Everything waits and no timer is set: nothing would ever happen again."""


class _Jumping(selectors.DefaultSelector):
    """Never waits: moves the clock by as much as the loop wanted to."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready now; when nothing is, the clock has moved."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise StalledError("every task waits, and no timer is set")
        self._clock.advance(math.ceil(timeout * SECOND))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on a virtual clock. It lives for one test."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(_Jumping(clock))
        self._virtual_clock = clock

    def time(self) -> float:
        """Seconds of the virtual clock."""
        return self._virtual_clock.now() / SECOND


def run_virtual(main: Coroutine[Any, Any, T], clock: VirtualClock) -> T:
    """Run `main` to its end in virtual time. Raises what `main` raises, and `StalledError`."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main)

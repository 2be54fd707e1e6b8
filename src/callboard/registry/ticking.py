"""The one timer of a member: at the earliest deadline, and never later than the lateness bound after the last tick.

So a pause of the process is noticed, and what is done now and then is done however busy the loop is. It lives as long as the registry.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from callboard.core.deadlines import TICK
from callboard.model.time import MILLISECOND, Instant


class Ticker:
    """Armed anew as often as anybody likes."""

    def __init__(
        self, now: Callable[[], Instant], deadline: Callable[[], Instant | None], tick: Callable[[Instant], None], lateness_max_ms: int
    ) -> None:  # fmt: skip
        self._now = now
        self._deadline = deadline
        self._act = tick
        self._lateness = lateness_max_ms * MILLISECOND
        self._timer: asyncio.TimerHandle | None = None
        self._ticked = Instant(0)
        self._expected = Instant(0)
        self._running = False

    def start(self) -> None:
        """From now on."""
        self._running = True
        self.arm()

    def stop(self) -> None:
        """Never again."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()

    def arm(self) -> None:
        """A deadline may have changed."""
        if not self._running:
            return
        now = self._now()
        wait = max(0, self._ticked + self._lateness - now)
        deadline = self._deadline()
        if deadline is not None:
            wait = min(wait, max(0, deadline - now))
        if self._timer is not None:
            self._timer.cancel()
        wait_ms = -(-wait // MILLISECOND)  # rounded up: loops round to milliseconds, and coming early would be coming in vain
        self._expected = Instant(now + wait_ms * MILLISECOND)
        self._timer = asyncio.get_running_loop().call_later(wait_ms / 1_000, self._tick)

    def _tick(self, *, gave_way: bool = False) -> None:
        if not self._running:
            return
        now = self._now()
        if now > self._expected + TICK and not gave_way:
            # The loop was held up, and some loops run timers first. What came in meanwhile may be a sign of life: let it be read.
            self._timer = asyncio.get_running_loop().call_later(0.001, partial(self._tick, gave_way=True))
            return
        self._ticked = now
        self._act(now)
        self.arm()

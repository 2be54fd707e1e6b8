"""Self-preservation: when implausibly many leases are lost at once, the fault is taken to be ours, and expiry is held.

A *lease* is a TTL check whose time runs, or ran out and was not settled. Checks that are critical are none: neither those a client reported
nor, after a window, those that expired. A lease is *lost* while it is overdue (it ran out, and nothing has come of it yet), and for one
window after it was let expire, unless it is renewed or removed in the meantime. The share is

    lost / (running + lost)

and expiry is held while `min_count` or more are lost and their share is more than `share`. So a service that loses its only instance, or
four at once, or a host with a tenth of the fleet, expires as ever; and when a network breaks, at most the share is gone before it is
noticed, however slowly the leases run out within a window. The hold ends when the share has fallen to the limit, for the lost were renewed,
removed, or fell out of the window; or after `hold_max`: then those held by then are let expire, and are counted as lost no longer.
Explicit removals, and removals of what has been critical for long, are never held.

It is memory of one term.
"""

from collections import deque
from typing import Final, Generic, TypeVar

from callboard.model.time import Duration, Instant

_MILLION: Final = 1_000_000

K = TypeVar("K")


class Preservation(Generic[K]):
    """Judges, from counts, whether expiry is held. `since` is when it began; None while it is not held."""

    __slots__ = ("_expired", "_hold_max", "_millionths", "_min_count", "_order", "_window", "since")

    def __init__(self, min_count: int, share: float, window: Duration, hold_max: Duration) -> None:
        self.since: Instant | None = None
        self._min_count = min_count
        self._millionths = round(share * _MILLION)
        self._window = window
        self._hold_max = hold_max
        self._expired: dict[K, Instant] = {}
        self._order: deque[tuple[Instant, K]] = deque()

    def let_expire(self, key: K, now: Instant) -> None:
        """A lease is lost by our word."""
        self._expired[key] = now
        self._order.append((now, key))

    def settle(self, key: K) -> None:
        """It is lost no longer: renewed, removed, or overdue again."""
        if self._expired:
            self._expired.pop(key, None)

    def judge(self, now: Instant, running: int, overdue: int) -> bool:
        """Whether expiry is held from now on."""
        self._forget_old(now)
        lost = overdue + len(self._expired)
        if lost >= self._min_count and lost * _MILLION > self._millionths * (running + lost):
            if self.since is None:
                self.since = now
            return True
        self.since = None
        return False

    def _forget_old(self, now: Instant) -> None:
        order = self._order
        while order and order[0][0] + self._window <= now:
            moment, key = order.popleft()
            if self._expired.get(key) == moment:
                del self._expired[key]

    def worn_out(self, now: Instant) -> bool:
        """Whether expiry was held for as long as may be."""
        until = self.until()
        return until is not None and now >= until

    def until(self) -> Instant | None:
        """When it ends at the latest; None while it is not on."""
        return Instant(self.since + self._hold_max) if self.since is not None else None

    def end(self) -> None:
        """It is over; what was lost so far is counted no longer."""
        self.since = None
        self._expired.clear()
        self._order.clear()

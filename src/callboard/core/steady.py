"""Time that does not run while this process does not: deadlines are counted in it, so that a pause of the process expires nobody.

It lives as long as the driver, which looks at it at least once per `lateness`; a step of more than twice that is a pause (SIGSTOP,
suspend, a stalled disk), and every deadline moves by it at once, because steady time stands still for it.
"""

from callboard.model.time import Duration, Instant


class SteadyTime:
    """Turns readings of a forward-only clock into steady time."""

    __slots__ = ("_last", "_lateness", "gaps", "skew")

    def __init__(self, lateness: Duration, now: Instant) -> None:
        self._lateness = lateness
        self._last = now
        self.skew = Duration(0)
        """Sum of all pauses."""
        self.gaps = 0

    def observe(self, now: Instant) -> Instant:
        """The steady time at `now`."""
        step = now - self._last
        if step > 2 * self._lateness:
            self.skew = Duration(self.skew + step)
            self.gaps += 1
        self._last = now
        return Instant(now - self.skew)

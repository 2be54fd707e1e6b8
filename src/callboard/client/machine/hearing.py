"""Whether the registry is heard, and if not, since when: how old what is known is.

It lives as long as the services of a name space are followed, over all feeds. `now` is nanoseconds of a forward-only clock.
"""

from callboard.model.time import Instant


class Hearing:
    """Begins unheard."""

    def __init__(self, now: Instant, stale_after: int) -> None:
        self._stale_after = stale_after
        self._last: Instant | None = now
        """When it was last heard; None while it is."""
        self.said = False
        """Somebody was told that it is lost, and not yet that it is back."""

    @property
    def now(self) -> bool:
        """Whether it is heard."""
        return self._last is None

    def heard(self) -> bool:
        """It says something. True when it had been lost."""
        self._last = None
        said, self.said = self.said, False
        return said

    def lost(self, now: Instant, silence: int = 0) -> bool:
        """It is not heard any more, and was not for `silence` before that was noticed. True the first time."""
        if self._last is None:
            self._last = Instant(now - silence)
        said, self.said = self.said, True
        return not said

    def forked(self, now: Instant) -> None:
        """This is a forked child, to which nobody talks yet."""
        if self._last is None:
            self._last = now

    def age(self, now: Instant) -> int:
        """Nanoseconds since it was last heard; 0 while it is."""
        return 0 if self._last is None else max(0, now - self._last)

    def stale(self, now: Instant) -> bool:
        """It was not heard for so long that what is known may be wrong."""
        return self._last is not None and self.age(now) >= self._stale_after

    def deadline(self, now: Instant) -> Instant | None:
        """When that turns."""
        return None if self._last is None or self.stale(now) else Instant(self._last + self._stale_after)

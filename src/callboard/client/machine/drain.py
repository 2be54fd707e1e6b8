"""How long a leaving instance stays: until its callers have heard that it is hidden and the work under way has ended, but not for ever.

A drain lives from the wish to leave to the sign-out.
"""

from typing import Final

from callboard.model.time import MILLISECOND, Instant

HIDE_MAX_MS: Final = 1_000
"""A registry that does not confirm in this time is not waited for: the notice runs as if it had."""


class Drain:
    """Begins at `now`, and is over at most `notice_ms` + `finish_ms` later."""

    def __init__(self, now: int, notice_ms: int, finish_ms: int) -> None:
        self._notice_ns = notice_ms * MILLISECOND
        self._noticed = now + HIDE_MAX_MS * MILLISECOND + self._notice_ns
        self._limit = now + self._notice_ns + finish_ms * MILLISECOND
        self._hidden = False

    def hidden(self, now: int) -> None:
        """The registry has confirmed it: callers hear of it from now on."""
        if not self._hidden:
            self._hidden = True
            self._noticed = min(self._noticed, now + self._notice_ns)

    def noticed(self, now: int) -> bool:
        """Whether callers have had the time to hear of it."""
        return now >= self._noticed

    def over(self, now: int, in_flight: int) -> bool:
        """Whether to sign out now."""
        return now >= self._limit or (in_flight == 0 and self.noticed(now))

    def deadline(self, now: int) -> Instant:
        """When `over` may turn by itself; the end of work turns it too."""
        return Instant(self._limit if self.noticed(now) else min(self._noticed, self._limit))

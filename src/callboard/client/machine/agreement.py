"""Whether a picture still agrees with its registry: the check that finds a stream which died without a sign.

It lives as long as the feed. The shell asks the registry at `due`, and acts on what `judge` says. `now` is nanoseconds.
"""

from typing import Final, Literal

from callboard.model.time import MILLISECOND, SECOND, Instant

Verdict = Literal["agrees", "open", "differs"]

AGAIN: Final = 2 * SECOND
"""After a check that told nothing."""
_BEHIND_MAX_COUNT: Final = 2
_DOUBLINGS_MAX: Final = 6


class Agreement:
    """Compares, and says when to compare next."""

    def __init__(self, now: Instant, every_ms: int) -> None:
        self._every = every_ms * MILLISECOND
        self._behind = 0
        self._differed = 0
        self.due: Instant | None = Instant(now + self._every) if every_ms else None
        """When to ask; None: never."""

    def never(self) -> None:
        """This registry cannot say."""
        self.due = None

    def later(self, now: Instant) -> None:
        """There was no answer, or nothing to ask about."""
        self.due = Instant(now + self._every)

    def judge(self, now: Instant, told: tuple[int, int], asked_revision: int, *, equal: bool) -> Verdict:
        """The registry's answer is of `asked_revision`; the picture stood at the revisions `told` before and after it was asked.

        Unequal pictures differ if they are of one moment: the picture did not move meanwhile, and has reached the revision of the answer.
        One that is behind twice will not come: its stream is dead.
        """
        if equal:
            self._behind = self._differed = 0
            self.due = Instant(now + self._every)
            return "agrees"
        before, after = told
        if after < asked_revision:
            self._behind += 1
            if self._behind < _BEHIND_MAX_COUNT:
                return self._again(now)
        elif before != after:
            self._behind = 0
            return self._again(now)
        self._behind = 0
        self.due = Instant(now + (self._every << min(self._differed, _DOUBLINGS_MAX)))
        self._differed += 1
        return "differs"

    def _again(self, now: Instant) -> Verdict:
        self.due = Instant(now + min(AGAIN, self._every))
        return "open"

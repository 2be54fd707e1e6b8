"""One call, tried at one instance after the other: whether there is another try, when, and how long each may take.

It lives as long as the call. `now` is nanoseconds of a forward-only clock; `until` is None for a call without a limit.
"""

from typing import Final

from callboard.model.time import MILLISECOND, SECOND, Instant

RETRIED: Final = frozenset({429, 502, 503, 504})
"""Answers that another instance may not give."""
FAULTS: Final = frozenset({500, 502, 503, 504})
"""Answers that speak against the instance that gives them."""
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_AGAIN_MAX: Final = 100 * MILLISECOND
"""Before the same instance is tried again, for want of another."""


class Course:
    """The rules of one call."""

    def __init__(self, *, until: Instant | None, attempts_max_count: int, attempt_share: float, idempotent: bool) -> None:
        self.until = until
        self.idempotent = idempotent
        self.number = 0
        """Of the attempt under way, from 1."""
        self.tried: set[str] = set()
        """Keys of the endpoints that were asked."""
        self._max_count = attempts_max_count
        self._share = attempt_share

    def begin(self, key: str) -> None:
        """An attempt goes to this endpoint."""
        self.number += 1
        self.tried.add(key)

    def left(self, now: int) -> int | None:
        """Nanoseconds for the rest of the call; None: no limit."""
        return None if self.until is None else max(0, self.until - now)

    def share(self, now: int) -> int | None:
        """Nanoseconds for the attempt that begins: its share of what is left; for the last one, all of it."""
        left = self.left(now)
        return left if left is None or self.number >= self._max_count else round(left * self._share)

    def another(self, now: int, *, sent: bool) -> bool:
        """Whether the rules allow one more: a call that was perhaps made is made again only if that does no harm."""
        return self.number < self._max_count and (self.idempotent or not sent) and self.left(now) != 0

    def pause(self, now: int, chance: float, *, same: bool, status: int = 0, retry_after_s: float | None = None) -> int | None:
        """Nanoseconds to wait before the next attempt; None: the time does not suffice, so there is none.

        `Retry-After` of a 503 speaks for the instance that says it, of a 429 for the whole service.
        """
        asked = 0
        if retry_after_s is not None and (status == _TOO_MANY or (same and status == _UNAVAILABLE)):
            asked = round(min(max(retry_after_s, 0.0), 1e6) * SECOND)
        wait = max(asked, round(chance * _AGAIN_MAX) if same else 0)
        left = self.left(now)
        return None if left is not None and wait >= left else wait


def speaks_against(status: int, retry_after_s: float | None) -> bool:
    """Whether an answer counts for leaving its instance out. One that says when to come back is overloaded, not broken."""
    return status in FAULTS and not (status == _UNAVAILABLE and retry_after_s is not None)

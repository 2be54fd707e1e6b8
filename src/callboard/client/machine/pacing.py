"""When to come back: how long between heartbeats, and how long after a failure. Chance is an argument (0 <= chance < 1)."""

from typing import Final

BEATS_PER_TTL: Final = 3
JITTER_SHARE: Final = 0.2
BACKOFF_BASE_MS: Final = 200
BACKOFF_MAX_MS: Final = 15_000
_DOUBLINGS_MAX: Final = 16


def backoff_ms(failures: int, chance: float, *, base_ms: int = BACKOFF_BASE_MS, limit_ms: int = BACKOFF_MAX_MS) -> int:
    """How long to wait after so many failures in a row: up to `base_ms`, doubled each time, at most `limit_ms`, spread evenly from 0.

    Full jitter: callers that lost the same server at the same moment come back one by one.
    """
    doublings = min(max(failures - 1, 0), _DOUBLINGS_MAX)
    return round(chance * min(limit_ms, base_ms << doublings))


class Pace:
    """The rhythm of one registration's heartbeats: three in each time limit, give or take 20 %; sooner while they fail."""

    def __init__(self, ttl_ms: int) -> None:
        self.interval_ms = max(1, ttl_ms // BEATS_PER_TTL)
        self.failures = 0

    def succeeded(self, chance: float) -> int:
        """Milliseconds to the next beat after one that was heard."""
        self.failures = 0
        return round(self.interval_ms * (1 - JITTER_SHARE + 2 * JITTER_SHARE * chance))

    def failed(self, chance: float) -> int:
        """Milliseconds to the next try after one that was not; never longer than the usual interval, for the limit runs on."""
        self.failures += 1
        return backoff_ms(self.failures, chance, limit_ms=min(self.interval_ms, BACKOFF_MAX_MS))

"""When and how a blocking query is asked again: the rules that Consul's index demands of its clients. Pure; time and chance are arguments.

An index stands for one history. One that goes backwards, and a new connection, perhaps lead to a server with another history: then the
query is asked without an index, for with one that is too high Consul would be silent for the whole wait.
"""

from typing import Final, Literal

from callboard.client.machine.pacing import backoff_ms
from callboard.model.time import MILLISECOND, Instant

WAIT_MAX_MS: Final = 300_000
"""What Consul waits when nobody says how long; also with a client that would bear more."""
MARGIN_MAX_MS: Final = 5_000
"""An answer may be under way so long before it is taken for lost."""
JITTER_PARTS: Final = 16
"""Consul adds up to this part of the wait, so that answers do not come all at once."""
BURST_COUNT: Final = 3
"""So many queries may follow each other at once ..."""
REFILL_MS: Final = 250
"""... and then one in so long, however fast the index moves."""
RETRY_BASE_MS: Final = 1_000
RETRY_MAX_MS: Final = 15_000
RETRY_AFTER_MAX_MS: Final = 60_000

Turn = Literal["same", "next", "anew"]
"""Of an answer: nothing happened; the next state of the same history; a picture of its own, of perhaps another history."""


class BlockingQuery:
    """One question that is asked over and over. It lives as long as the service is followed."""

    def __init__(self, silence_max_ms: int) -> None:
        """No answer, not even that nothing happened, comes later than after `silence_max_ms`; else the connection is taken for dead."""
        margin = min(MARGIN_MAX_MS, max(1, silence_max_ms // 4))
        self.wait_ms = max(1, min(WAIT_MAX_MS, (silence_max_ms - margin) * JITTER_PARTS // (JITTER_PARTS + 1)))
        self.answer_ms = self.wait_ms + -(-self.wait_ms // JITTER_PARTS) + margin
        self.index = 0
        """The index of the last answer; 0: ask without."""
        self._failures = 0
        self._tokens = float(BURST_COUNT)
        self._counted: int | None = None

    def delay_ms(self, now: Instant) -> int:
        """How long the next query has to wait; 0: it is under way now."""
        if self._counted is not None:
            self._tokens = min(BURST_COUNT, self._tokens + (now - self._counted) / (REFILL_MS * MILLISECOND))
        self._counted = now
        if self._tokens < 1:
            return max(1, round((1 - self._tokens) * REFILL_MS))
        self._tokens -= 1
        return 0

    def forget(self) -> None:
        """The next query asks for a new picture."""
        self.index = 0

    def answered(self, index: int) -> Turn:
        """An answer came."""
        asked, self.index, self._failures = self.index, max(1, index), 0
        if not asked:
            return "anew"
        if self.index < asked:
            self.index = 0
            return "anew"
        return "same" if self.index == asked else "next"

    def failed(self, chance: float, retry_after_s: int = 0) -> int:
        """None came: milliseconds to wait before the next try."""
        self.index = 0
        self._failures += 1
        wished = min(RETRY_AFTER_MAX_MS, retry_after_s * 1000)
        return wished + backoff_ms(self._failures, chance, base_ms=RETRY_BASE_MS, limit_ms=RETRY_MAX_MS)

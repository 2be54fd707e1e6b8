"""Signs of life: when each instance was heard from, at which door, and what was said to it; and what follows for the end of its time limit.

Held against the rules of liveness by their consequences alone, without a look into the program. It lives for a run.
"""

from dataclasses import dataclass, field
from typing import Final

from callboard.testing.simulation.process import Process

_ROUNDING_S: Final = 0.006
"""Ages of heartbeats travel in milliseconds, timers come a little late."""


@dataclass(slots=True, eq=False)
class Sign:
    """One heartbeat, report or registration at a door."""

    entered_s: float
    process: Process
    acknowledged_s: float | None = None
    refused_s: float | None = None

    def __str__(self) -> str:
        return f"a sign at {self.process.name} of {self.entered_s:.3f} (acknowledged {self.acknowledged_s}, refused {self.refused_s})"

    def counts(self, at_s: float) -> bool:
        """Whether it must be known to the leader before a deadline at `at_s`: it was acknowledged, or its door will surely bring it."""
        if self.refused_s is not None:
            return False
        if self.acknowledged_s is not None:
            return True
        process = self.process
        return process.alive and (process.left is None or process.left > at_s)


@dataclass(slots=True)
class Signs:
    """Those of one check."""

    ttl_s: float
    reap_s: float
    """After how long critical its instance is to be removed; 0 for never."""
    signs: list[Sign] = field(default_factory=list)

    def heard(self, process: Process, now_s: float) -> Sign:
        """One more."""
        sign = Sign(now_s, process)
        if len(self.signs) > 64:
            del self.signs[:32]
        self.signs.append(sign)
        return sign

    @property
    def last_acknowledged(self) -> Sign | None:
        """The latest that was acknowledged."""
        return next((sign for sign in reversed(self.signs) if sign.acknowledged_s is not None), None)

    def carried_on(self, last: Sign, since_s: float) -> bool:
        """Whether a member that is still present may have brought a sign after `last` to a leader of a term that began at `since_s`."""
        told_last_s = last.acknowledged_s or 0.0
        for sign in self.signs:
            told_s = sign.acknowledged_s if sign.refused_s is None else sign.refused_s
            later = sign.entered_s > last.entered_s or (told_s is not None and told_s > told_last_s)
            if later and sign.process.left is None and (told_s is None or told_s > since_s):
                return True
        return False

    def in_time(self, landed_s: float) -> Sign | None:
        """A sign because of which an end of the time limit that landed at `landed_s` is wrong; None when there was a gap long enough.

        The time limit can have ended only in a gap between two signs that count, or between the last one and the end. So it is wrong when
        there is no such gap since a sign that was acknowledged before.
        """
        span_s = self.ttl_s - _ROUNDING_S
        latest_s = landed_s
        for sign in reversed(self.signs):
            if not sign.counts(landed_s) or sign.entered_s > landed_s:
                continue
            acknowledged = sign.acknowledged_s is not None and sign.acknowledged_s < landed_s
            if acknowledged and landed_s - sign.entered_s < span_s:
                return sign
            if latest_s - sign.entered_s >= span_s:
                return None
            if acknowledged:
                return sign
            latest_s = sign.entered_s
        return None

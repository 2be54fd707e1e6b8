"""What a probe's result means: a turn, news worth writing down, or nothing.

A `Streak` lives as long as its check is probed by this member. Like Consul's counters it starts at the threshold: the first result counts.
"""

from dataclasses import dataclass
from typing import NamedTuple

from callboard.model.check import Check, ProbeDefinition, ScriptCheck, Status, Thresholds, clip_output
from callboard.model.time import Duration, Instant


class ProbeResult(NamedTuple):
    """What a probe found: passing, warning or critical, and what it saw."""

    status: Status
    output: str


@dataclass(slots=True)
class Streak:
    """Results in a row of one incarnation of a check, and when its output was last written down."""

    nonce: str
    successes: int
    failures: int
    written: Instant

    @classmethod
    def fresh(cls, nonce: str, thresholds: Thresholds, now: Instant) -> "Streak":
        """A streak whose first result counts."""
        return cls(nonce, thresholds.success_before_passing, thresholds.failures_before_critical, now)

    def status_after(self, result: Status, thresholds: Thresholds) -> Status | None:
        """The status this result leads to, None when it does not decide yet."""
        if result in {Status.PASSING, Status.WARNING}:
            self.successes += 1
            self.failures = 0
            return result if self.successes >= thresholds.success_before_passing else None
        self.failures += 1
        self.successes = 0
        if self.failures >= thresholds.failures_before_critical:
            return Status.CRITICAL
        before_warning = thresholds.failures_before_warning or thresholds.failures_before_critical
        return Status.WARNING if self.failures >= before_warning else None


def judge(
    streak: Streak, check: Check, definition: ProbeDefinition, result: ProbeResult, now: Instant, hold: Duration
) -> ProbeResult | None:  # fmt: skip
    """What to write for `check`: a turn at once, a new output only `hold` after the last; None: nothing."""
    turned = streak.status_after(result.status, definition.thresholds)
    if turned is None:
        return None
    # That of a program was cut where it was read, for of that the end counts.
    text = result.output if isinstance(definition, ScriptCheck) else clip_output(result.output, definition.output_max_bytes)
    if turned is check.status and (text == check.output or (check.output and now - streak.written < hold)):
        return None
    streak.written = now
    return ProbeResult(turned, text)

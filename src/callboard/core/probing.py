"""Probing: which checks this member asks, and when. Every member asks its share, dealt by `core.rendezvous`, and reports what turned.

It lives as long as the member is a member. What is another's share costs nothing here; schedule and streaks start afresh when a check
changes hands. Steady time only (`core.steady`).
"""

from collections.abc import Callable, Iterable

from callboard.core.catalog.changes import CheckChange
from callboard.core.catalog.commands import ReportCheck
from callboard.core.deadlines import Deadlines
from callboard.core.health import ProbeResult, Streak, judge
from callboard.core.liveness import CheckKey, key_of, target_of
from callboard.model.check import Check, ProbeDefinition, TtlCheck
from callboard.model.time import Duration, Instant

Mine = Callable[[CheckKey], bool]
Chance = Callable[[], float]


class Probing:
    """Deadlines of the next probe of each check of this member's share, and the results so far. At first everything is its share."""

    def __init__(self, output_hold: Duration) -> None:
        self._output_hold = output_hold
        self._probes: Deadlines[CheckKey] = Deadlines()
        self._streaks: dict[CheckKey, Streak] = {}
        self._mine: Mine = lambda _: True

    def __len__(self) -> int:
        return len(self._streaks)

    def take(self, changes: Iterable[CheckChange], now: Instant, chance: Chance) -> None:
        """Follow changes of checks. `chance` answers in [0, 1) and spreads first probes over their interval."""
        for change in changes:
            if change.after is not None:
                self.watch(change.before, change.after, now, chance)
            elif change.before is not None:
                self._forget(key_of(change.before))

    def watch(self, _before: Check | None, check: Check, now: Instant, chance: Chance) -> None:
        """Follow one check that is new or changed. The first result of a new one counts."""
        key, definition = key_of(check), check.definition
        if isinstance(definition, TtlCheck) or not isinstance(definition, ProbeDefinition):  # most are, and the rest is slow to tell
            self._forget(key)
            return
        streak = self._streaks.get(key)
        if streak is not None and streak.nonce == check.nonce:
            return
        if self._mine(key):
            self._start(key, definition, Streak.fresh(check.nonce, definition.thresholds, now), now, chance)

    def share(self, mine: Mine, now: Instant, chance: Chance, checks: Iterable[Check]) -> None:
        """Deal anew after members have come or gone; `checks` are all there are. What stays here goes on as if nothing had happened.

        A check taken over keeps its status until as many results in a row say otherwise as its thresholds ask for: what it was before
        another member found out.
        """
        self._mine = mine
        for key in [key for key in self._streaks if not mine(key)]:
            self._forget(key)
        for check in checks:
            definition = check.definition
            if not isinstance(definition, TtlCheck) and isinstance(definition, ProbeDefinition):
                key = key_of(check)
                streak = self._streaks.get(key)
                if (streak is None or streak.nonce != check.nonce) and mine(key):
                    self._start(key, definition, Streak(check.nonce, 0, 0, now), now, chance)

    def _start(self, key: CheckKey, definition: ProbeDefinition, streak: Streak, now: Instant, chance: Chance) -> None:
        self._streaks[key] = streak
        self._probes.arm(key, definition.interval, now, first=Duration(int(definition.interval * chance())))

    def _forget(self, key: CheckKey) -> None:
        if self._streaks.pop(key, None) is not None:
            self._probes.forget(key)

    def deadline(self) -> Instant | None:
        """When `due` next has something to look at."""
        return self._probes.deadline()

    def due(self, now: Instant, limit: int) -> list[CheckKey]:
        """Probes to start, at most about `limit`; each is told once, and again after `probed`."""
        return self._probes.expired(now, limit)

    def probed(
        self, check: Check, definition: ProbeDefinition, nonce: str, result: ProbeResult | None, started: Instant, now: Instant
    ) -> ReportCheck | None:
        """A probe has ended: arm the next one, and tell what to write, if anything.

        A result of another incarnation, or of what is no longer this member's share, counts for nothing; None, for a probe that this
        server could not make, says nothing.
        """
        key = key_of(check)
        streak = self._streaks.get(key)
        if streak is None or check.nonce != nonce or streak.nonce != nonce:
            return None
        self._probes.arm(key, definition.interval, now, first=Duration(max(0, started + definition.interval - now)))
        news = judge(streak, check, definition, result, now, self._output_hold) if result is not None else None
        return ReportCheck(target=target_of(check), status=news.status, output=news.output, nonce=nonce) if news is not None else None

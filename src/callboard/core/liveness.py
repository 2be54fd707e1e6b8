"""Liveness: who must be heard from or asked, and until when. Fed by changes of the view and by time, it answers with commands and probes.

Everything in here is memory of the leader and starts afresh with it: nobody expires before a whole time limit has passed under this
leader. Steady time only (`core.steady`).
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from callboard.core.catalog.changes import CheckChange
from callboard.core.catalog.commands import ExpireTtl, Reap, ReportCheck, Target
from callboard.core.deadlines import Deadlines
from callboard.core.health import ProbeResult, Streak, judge
from callboard.model.check import Check, HttpCheck, ProbeDefinition, Status, TcpCheck, TtlCheck
from callboard.model.time import SECOND, Duration, Instant

CheckKey = tuple[str, str, str]
"""Namespace, node (lower case), check id."""
_AGAIN = Duration(SECOND)


class Due(NamedTuple):
    """What time has brought: checks that ran out, instances to remove, probes to start."""

    expired: list[CheckKey]
    reaped: list[CheckKey]
    probes: list[CheckKey]


class Liveness:
    """Deadlines of TTL checks, of instances that stay critical, and of the next probe of each probed check."""

    def __init__(self, output_hold: Duration) -> None:
        self._output_hold = output_hold
        self.ttls: Deadlines[CheckKey] = Deadlines()
        self.reaps: Deadlines[CheckKey] = Deadlines()
        self.probes: Deadlines[CheckKey] = Deadlines()
        self._streaks: dict[CheckKey, Streak] = {}

    # -- what there is to watch

    def take(self, changes: Iterable[CheckChange], now: Instant, chance: Callable[[], float]) -> None:
        """Follow changes of checks. `chance` answers in [0, 1) and spreads first probes over their interval."""
        for change in changes:
            if change.after is None:
                if change.before is not None:
                    self._forget(_key(change.before))
            else:
                self.watch(change.before, change.after, now, chance)

    def watch(self, before: Check | None, check: Check, now: Instant, chance: Callable[[], float]) -> None:
        """Follow one check that is new or changed."""
        key, definition = _key(check), check.definition
        if isinstance(definition, TtlCheck):
            if check.status is Status.CRITICAL:
                self.ttls.idle(key)
            else:
                self.ttls.arm(key, definition.ttl, now)
        elif isinstance(before, Check) and isinstance(before.definition, TtlCheck):
            self.ttls.forget(key)
        self._watch_reap(before, check, now)
        if isinstance(definition, HttpCheck | TcpCheck):
            streak = self._streaks.get(key)
            if streak is None or streak.nonce != check.nonce:
                self._streaks[key] = Streak.fresh(check.nonce, definition.thresholds, now)
                self.probes.arm(key, definition.interval, now, first=Duration(int(definition.interval * chance())))
        elif key in self._streaks:
            del self._streaks[key]
            self.probes.forget(key)

    def _watch_reap(self, before: Check | None, check: Check, now: Instant) -> None:
        key, after = _key(check), check.definition.deregister_after
        if not after or not check.instance or check.status is not Status.CRITICAL:
            if before is not None and before.definition.deregister_after:
                self.reaps.forget(key)
        elif (
            before is None
            or before.status is not Status.CRITICAL
            or before.definition.deregister_after != after
            or (before.nonce, before.turned) != (check.nonce, check.turned)
        ):
            # Also when it passed and failed again within one group: it was not critical all the time.
            self.reaps.arm(key, after, now)

    def _forget(self, key: CheckKey) -> None:
        self.ttls.forget(key)
        self.reaps.forget(key)
        if self._streaks.pop(key, None) is not None:
            self.probes.forget(key)

    # -- signs of life

    def beat(self, key: CheckKey, now: Instant) -> bool:
        """The check was heard from; False when it is unknown or critical."""
        return self.ttls.renew(key, now)

    def signed_in(self, key: CheckKey, now: Instant) -> None:
        """The instance of the check was registered again: whatever time it has to get well starts again with that."""
        self.reaps.renew(key, now)

    # -- time

    def deadline(self, *, probing: bool) -> Instant | None:
        """When `due` next has something to look at; without `probing` no probe could be started, so they are left out."""
        probes = self.probes.deadline() if probing else None
        times = [time for time in (self.ttls.deadline(), self.reaps.deadline(), probes) if time is not None]
        return min(times, default=None)

    def due(self, now: Instant, limit: int, probes_limit: int) -> Due:
        """What ran out, at most about `limit` of each kind; it is not told again until it is armed or retried."""
        return Due(
            self.ttls.expired(now, limit),
            self.reaps.expired(now, limit),
            self.probes.expired(now, min(limit, probes_limit)) if probes_limit > 0 else [],
        )

    def expiry(self, check: Check, now: Instant) -> ExpireTtl:
        """The command for a TTL check that ran out; it comes up again if nothing came of it."""
        key = _key(check)
        self.ttls.arm(key, check.definition.ttl if isinstance(check.definition, TtlCheck) else _AGAIN, now, first=_AGAIN)
        return ExpireTtl(_target(check), check.nonce)

    def reap(self, check: Check, now: Instant) -> Reap:
        """The command for an instance that stayed critical; it comes up again if nothing came of it."""
        self.reaps.arm(_key(check), check.definition.deregister_after, now, first=_AGAIN)
        return Reap(_target(check), check.nonce, check.turned)

    def probed(
        self, check: Check, definition: ProbeDefinition, nonce: str, result: ProbeResult | None, started: Instant, now: Instant
    ) -> ReportCheck | None:
        """A probe has ended: arm the next one, and tell what to write, if anything.

        A result of another incarnation counts for nothing; None, for a probe that this server could not make, says nothing.
        """
        key = _key(check)
        streak = self._streaks.get(key)
        if streak is None or check.nonce != nonce or streak.nonce != nonce:
            return None
        self.probes.arm(key, definition.interval, now, first=Duration(max(0, started + definition.interval - now)))
        news = judge(streak, check, definition, result, now, self._output_hold) if result is not None else None
        return ReportCheck(target=_target(check), status=news.status, output=news.output, nonce=nonce) if news is not None else None


def _key(check: Check) -> CheckKey:
    return check.namespace, check.node, check.id


def _target(check: Check) -> Target:
    return Target(check.node, check.id, check.namespace)

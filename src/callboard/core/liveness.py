"""Liveness: who must be heard from, and until when. Fed by changes of the view, by signs of life and by time, it answers with commands.

Everything in here is memory of one term and starts afresh with it: nobody expires before a whole time limit has passed under this leader.
Steady time only (`core.steady`).

A TTL check that ran out is *overdue*: it is told, to be expired, when every live door has surely delivered what it heard up to the deadline
(`core.doors`), or when that has been waited for long enough, and while self-preservation (`core.preservation`) does not hold it. Until then
a sign of life takes it back. Whatever was told comes again a second later, until it is settled.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from callboard.core.catalog.changes import CheckChange
from callboard.core.catalog.commands import ExpireTtl, Reap, Target
from callboard.core.deadlines import NO_MARK, Deadlines
from callboard.core.doors import LOCAL, UNKNOWN
from callboard.core.overdue import Overdue
from callboard.core.preservation import Preservation
from callboard.model.check import Check, Status, TtlCheck
from callboard.model.time import MILLISECOND, SECOND, Duration, Instant

CheckKey = tuple[str, str, str]
"""Namespace, node (lower case), check id."""
MARKS: Final = {Status.PASSING: 1, Status.WARNING: 2, Status.CRITICAL: 3, Status.MAINTENANCE: 4}
"""By status: marks of TTL checks without an output."""
_AGAIN: Final = Duration(SECOND)
_LOOK_AGAIN: Final = Duration(SECOND)
"""How often it is judged anew whether self-preservation may end."""


class LivenessSettings(Struct, frozen=True, kw_only=True):
    """When expiry is held."""

    hold_max_ms: int = 60_000
    """How long a live door that delivers nothing holds an expiry."""
    preservation_min_count: int = 5
    """Fewer leases than this are never implausibly many."""
    preservation_share: float = 0.15
    """Expiry is held while more than this share of all leases is lost at once."""
    preservation_window_ms: int = 15_000
    """How long a lease that expired still counts as lost at once with others."""
    preservation_hold_max_ms: int = 600_000
    """How long expiry is held at most."""


class Due(NamedTuple):
    """What time has brought: checks that ran out, instances to remove."""

    expired: list[CheckKey]
    reaped: list[CheckKey]


class Liveness:
    """Deadlines of TTL checks, and of instances that stay critical."""

    def __init__(self, settings: LivenessSettings) -> None:
        self.ttls: Deadlines[CheckKey] = Deadlines()
        """A TTL check without an output has the mark of its status (`MARKS`): `renew_marked` is its sign of life, where it has that status
        still, is not overdue, and nothing else is to be said."""
        self.reaps: Deadlines[CheckKey] = Deadlines()
        self._hold_max = settings.hold_max_ms * MILLISECOND
        self._overdue: Overdue[CheckKey] = Overdue()
        self._retries: Deadlines[CheckKey] = Deadlines()
        self._preservation: Preservation[CheckKey] = Preservation(
            settings.preservation_min_count, settings.preservation_share,
            Duration(settings.preservation_window_ms * MILLISECOND), Duration(settings.preservation_hold_max_ms * MILLISECOND),
        )  # fmt: skip
        self._more = False
        self._judged = Instant(0)

    # -- what there is to watch

    def begin(self, checks: Iterable[Check], now: Instant) -> None:
        """Follow all there are, before anything else: nothing is known of any of them yet."""
        for check in checks:
            definition = check.definition
            if isinstance(definition, TtlCheck) and check.status is not Status.CRITICAL:
                self._arm(key_of(check), check, definition.ttl, now)
            if definition.deregister_after:
                self._watch_reap(None, check, now)

    def take(self, changes: Iterable[CheckChange], now: Instant) -> None:
        """Follow changes of checks."""
        for change in changes:
            if change.after is not None:
                self.watch(change.before, change.after, now)
            elif change.before is not None:
                key = key_of(change.before)
                self._forget_ttl(key)
                self.reaps.forget(key)

    def watch(self, before: Check | None, check: Check, now: Instant) -> None:
        """Follow one check that is new or changed."""
        key, definition = key_of(check), check.definition
        if isinstance(definition, TtlCheck):
            self._settle(key)
            if check.status is Status.CRITICAL:
                self.ttls.idle(key)
            else:
                self._preservation.settle(key)
                self._arm(key, check, definition.ttl, now)
        elif before is not None and isinstance(before.definition, TtlCheck):
            self._forget_ttl(key)
        self._watch_reap(before, check, now)

    def _arm(self, key: CheckKey, check: Check, ttl: Duration, now: Instant) -> None:
        self.ttls.arm(key, ttl, now)
        self.ttls.mark(key, NO_MARK if check.output else MARKS[check.status])

    def _watch_reap(self, before: Check | None, check: Check, now: Instant) -> None:
        key, after = key_of(check), check.definition.deregister_after
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

    def _forget_ttl(self, key: CheckKey) -> None:
        self._settle(key)
        self._preservation.settle(key)
        self.ttls.forget(key)

    def _settle(self, key: CheckKey) -> None:
        """It is overdue no longer."""
        if self._overdue.settle(key):
            self._retries.forget(key)

    # -- signs of life

    def beat(self, key: CheckKey, now: Instant, door: int = UNKNOWN) -> bool:
        """The check was heard from through a door at `now`, which may lie in the past; False when it is unknown or critical.

        No deadline moves back, and what ran out before this sign of life could have helped it stays overdue.
        """
        if self.ttls.renew(key, now, door):
            return True
        deadline = self._overdue.deadline_of(key)
        if deadline is None:
            return False
        span = self.ttls.span(key) or Duration(0)
        if now + span > deadline:
            self._take_back(key, span, now)
            self.ttls.renew(key, now, door)
        return True

    def beat_all(self, keys: Sequence[CheckKey], now: Instant, door: int = UNKNOWN) -> list[int]:
        """The same for many. Answers the places of those that are unknown or critical."""
        return [place for place in self.ttls.renew_all(keys, now, door) if not self.beat(keys[place], now, door)]

    def _take_back(self, key: CheckKey, span: Duration, now: Instant) -> None:
        self._settle(key)
        self._preservation.settle(key)
        self.ttls.arm(key, span, now)

    def signed_in(self, key: CheckKey, now: Instant) -> None:
        """The instance of the check was registered again: whatever time it has to get well starts again with that."""
        self.reaps.renew(key, now)

    def door_died(self, door: int, now: Instant) -> None:
        """What it last carried, and what nobody has carried in this term, gets its whole time again: signs of life may have died with it.

        Once for each: after that the leader's own door counts as the last, so that doors that come and go keep nobody alive.
        """
        for source in (door, UNKNOWN):
            for key in self.ttls.renew_from(source, now, LOCAL):
                if self._overdue.deadline_of(key) is not None:
                    self._take_back(key, self.ttls.span(key) or Duration(0), now)

    # -- time

    @property
    def overdue_count(self) -> int:
        """Checks that ran out and wait: for doors, or held by self-preservation."""
        return self._overdue.waiting

    @property
    def held_count(self) -> int:
        """Those that self-preservation holds."""
        return self._overdue.waiting if self.preserving else 0

    @property
    def preserving(self) -> bool:
        """Whether self-preservation holds all expiry."""
        return self._preservation.since is not None

    @property
    def preserving_since(self) -> Instant | None:
        """When it began."""
        return self._preservation.since

    def deadline(self) -> Instant | None:
        """When `due` next has something to look at. Not known here is when doors will have delivered more: ask `due` again then."""
        if self._more:
            return Instant(0)
        times = [self.ttls.deadline(), self.reaps.deadline(), self._retries.deadline(), self._release()]
        return min((time for time in times if time is not None), default=None)

    def _release(self) -> Instant | None:
        """When what is overdue comes up by time alone."""
        until = self._preservation.until()
        if until is not None:
            return min(until, Instant(self._judged + _LOOK_AGAIN))
        first = self._overdue.first()
        return Instant(first + self._hold_max) if first is not None else None

    def due(self, now: Instant, covered: Instant, limit: int) -> Due:
        """What ran out, at most about `limit` of each kind. All doors have delivered what they heard before `covered`.

        It is told once, and again only after `expiry` or `reap` and if nothing has come of that.
        """
        for key, deadline in self.ttls.ran_out(now, limit):
            self._overdue.add(key, deadline)
        for key in self._retries.expired(now, limit):
            self._preservation.settle(key)
            self._overdue.again(key)
        return Due(self._expired(now, covered, limit), self.reaps.expired(now, limit))

    def _expired(self, now: Instant, covered: Instant, limit: int) -> list[CheckKey]:
        """Nothing, before all that ran out by now is known: only then can it be judged whether that is too much."""
        self._more = any(time is not None and time <= now for time in (self.ttls.deadline(), self._retries.deadline()))
        if self._more:
            return []
        preservation = self._preservation
        self._judged = now
        if preservation.worn_out(now):
            self._overdue.excuse()
            preservation.end()
        if preservation.judge(now, self.ttls.running_count, self._overdue.counted):
            return []
        until = Instant(max(covered, now - self._hold_max))
        told = self._overdue.tell(until, limit)
        for key, excused in told:
            if not excused:
                preservation.let_expire(key, now)
        first = self._overdue.first()
        self._more = first is not None and first <= until
        return [key for key, _ in told]

    def expiry(self, check: Check, now: Instant) -> ExpireTtl:
        """The command for a TTL check that ran out; it comes up again if nothing came of it."""
        self._retries.arm(key_of(check), _AGAIN, now)
        return ExpireTtl(target_of(check), check.nonce)

    def reap(self, check: Check, now: Instant) -> Reap:
        """The command for an instance that stayed critical; it comes up again if nothing came of it."""
        self.reaps.arm(key_of(check), check.definition.deregister_after, now, first=_AGAIN)
        return Reap(target_of(check), check.nonce, check.turned)


def key_of(check: Check) -> CheckKey:
    """Its identity."""
    return check.namespace, check.node, check.id


def target_of(check: Check) -> Target:
    """Its identity, as commands name it."""
    return Target(check.node, check.id, check.namespace)

"""Signs of life that enter at this member: noted here while it leads, carried to the leader while another does.

Where this member leads, a heartbeat is a look at the check and the store of one deadline. It counts from the turn of the loop in which it
was read, so that the many of one turn need one look at the clock: never from later than it came. It lives as long as the registry.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from callboard.core.catalog.commands import ReportCheck, Target
from callboard.core.liveness import CheckKey
from callboard.model.check import Status, TtlCheck
from callboard.model.time import Instant
from callboard.registry.beating import Beating
from callboard.registry.door import Door
from callboard.registry.following import Following
from callboard.registry.freshness import Freshness
from callboard.registry.means import Means
from callboard.registry.submission import Submission


class Member(Protocol):
    """The registry, seen from here."""

    ready: bool
    """Whether heartbeats are taken."""


class Renewals:
    """Heartbeats in."""

    def __init__(self, means: Means, member: Member, following: Following, door: Door, beating: Beating, freshness: Freshness) -> None:
        self._store = means.store
        self._now = means.now
        self._member = member
        self._following = following
        self._door = door
        self._beating = beating
        self._freshness = freshness
        self._loop_time = asyncio.get_running_loop().time
        self._turn = -1.0
        self._heard = Instant(0)
        """When this turn of the loop was, by the clock of deadlines."""

    def renew(self, key: CheckKey, status: Status, output: str) -> bool:
        """A heartbeat that changes nothing but a deadline, acknowledged at once; False when it is more than that, or another member leads.

        The node of `key` is in lower case. What was answered with False may be said again by `beat`.
        """
        term = self._door.term
        if term is None or not term.open or not self._member.ready:
            return False
        if (turn := self._loop_time()) != self._turn:  # the same all through a turn, and cheap
            self._turn, self._heard = turn, self._now()
        if output:
            return self._plain(key, status, output) and term.beat(key, self._heard) and term.confirmed()
        return term.beat_silently(key, status, self._heard) and (term.leadership.confirmed_until() is None or term.confirmed())

    def renew_all(self, keys: Sequence[CheckKey]) -> Sequence[int] | None:
        """The same for TTL checks that are what their heartbeats say. Answers the places of those that are more than heartbeats; None when
        nothing is acknowledged, since this member does not surely lead."""
        term = self._door.term
        if term is None or not term.open or not self._member.ready:
            return None
        more = term.beat_all(keys, self._now())
        return more if term.confirmed() else None

    def _plain(self, key: CheckKey, status: Status, output: str) -> bool:
        """Whether the check is one that lives by heartbeats, and is what this one says."""
        known = self._following.view.check(*key) if self._member.ready else None
        return (
            known is not None
            and known.status is status
            and status is not Status.CRITICAL
            and known.output == output
            and isinstance(known.definition, TtlCheck)
        )

    def beat(self, namespace: str, node: str, check: str, status: Status, output: str) -> bool | Submission:
        """A heartbeat that changes nothing but a deadline; False when it is more than that (unknown, a turn, a new output): submit it then.

        `node` in lower case. True: acknowledged. A submission, where another member leads: acknowledged when its outcome is no refusal.
        """
        key = namespace, node, check
        if not self._plain(key, status, output):
            return False
        term = self._door.term
        if term is not None and term.open:
            if not term.beat(key, self._now()):
                return False
            if term.confirmed():
                return True
        if not self._store.caps.shared:
            return False
        report = ReportCheck(target=Target(node, check, namespace), status=status, output=output)
        if term is None and (why := self._freshness.no_writes()):
            return self._door.refused(report, "unavailable", why)
        submission = self._door.named(report)
        self._beating.hear(key, submission)
        return submission

"""Second opinions: when one member finds many of its checks critical at once, it may be that member which is cut off.

Each member reports what its probes find. The leader feeds every turn to critical in here, and is told whether it may count by itself or
whether another member is to ask the same first. A turn is *suspicious* when the member that reports it has reported `turns_min_count` or
more checks within the window, this one among them, and these are more than `turns_share` of the checks it probes. So a service that fails
alone is never held up, nor is anybody while there is no other member to ask. It is memory of one term.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from callboard.core.liveness import CheckKey
from callboard.model.time import MILLISECOND, Instant

_MILLION: Final = 1_000_000


class OpinionSettings(Struct, frozen=True, kw_only=True):
    """When a second opinion is asked for."""

    turns_min_count: int = 5
    """Fewer turns of one member than this are never too many."""
    turns_share: float = 0.15
    """More than this share of what it probes is."""
    turns_window_ms: int = 30_000
    """How long a turn counts together with others."""


@dataclass(slots=True)
class _Reported:
    """What one member reported lately: each check with the moment of its last turn, and all moments in order."""

    last: dict[CheckKey, Instant] = field(default_factory=dict)
    order: deque[tuple[Instant, CheckKey]] = field(default_factory=deque)


class MassTurn:
    """Turns to critical within the window, by the member that reported them."""

    __slots__ = ("_members", "_millionths", "_min_count", "_probed", "_reported", "_window")

    def __init__(self, settings: OpinionSettings) -> None:
        self._min_count = settings.turns_min_count
        self._millionths = round(settings.turns_share * _MILLION)
        self._window = settings.turns_window_ms * MILLISECOND
        self._members: frozenset[str] = frozenset()
        self._probed: dict[str, int] = {}
        self._reported: dict[str, _Reported] = {}

    def present(self, members: Collection[str]) -> None:
        """Who is there now, the leader's own member among them. What the others reported is forgotten."""
        self._members = frozenset(members)
        self._probed = {member: count for member, count in self._probed.items() if member in self._members}
        self._reported = {member: reported for member, reported in self._reported.items() if member in self._members}

    def probes(self, member: str, count: int) -> None:
        """How many checks a member asks, as it says itself now and then. Until it does, any number of turns is a large share."""
        if member in self._members:
            self._probed[member] = count

    def suspicious(self, member: str, key: CheckKey, now: Instant) -> bool:
        """A member reports a check critical that was not: must another member be asked before that counts?"""
        if member not in self._members or len(self._members) < 2:
            return False
        reported = self._reported.setdefault(member, _Reported())
        reported.last[key] = now
        reported.order.append((now, key))
        self._forget_old(reported, now)
        count = len(reported.last)
        return count >= self._min_count and count * _MILLION > self._millionths * self._probed.get(member, 0)

    def _forget_old(self, reported: _Reported, now: Instant) -> None:
        while reported.order[0][0] + self._window <= now:
            moment, key = reported.order.popleft()
            if reported.last.get(key) == moment:
                del reported.last[key]

    def settled(self, member: str, key: CheckKey) -> None:
        """Another found the same: it says nothing about this member any more."""
        reported = self._reported.get(member)
        if reported is not None:
            reported.last.pop(key, None)

"""The ends of time limits, judged by their consequences: who ran out, who was removed, and whether that could rightly be.

It knows what the doors heard, when the term began, who went, and which groups the leader had in hand. It lives for a run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from callboard.model.check import Status
from callboard.model.rows import CommandId, Group, Key, Revision
from callboard.model.time import SECOND
from callboard.testing.simulation.blame import Blame
from callboard.testing.simulation.engine import LEADER_TTL_S, Lease
from callboard.testing.simulation.signs import Signs
from callboard.testing.simulation.store import Right
from callboard.testing.simulation.truth import CheckRow, State

Lives = Callable[[Key], bool | None]
"""Whether the instance of a check is well; None for a check that this is not known of."""
EXPIRED: Final = "TTL expired"
MASS_COUNT: Final = 5
_SETTLED_WITHIN_S: Final = 2.5
"""A group that is not handed in again for so long is settled; what is in the next one was planned after that."""


@dataclass(slots=True)
class Sending:
    """What a leader has handed to the store last."""

    mark: bytes = b""
    first_s: float = 0.0
    last_s: float = 0.0
    planned_s: float = 0.0
    """No command of the group was planned before this moment."""
    confirmed_s: float = 0.0
    """Until when the lead was known to be confirmed when the group was first sent."""


class Ends:
    """Told of every turn, every removal, and what bears on them."""

    def __init__(self, blame: Blame) -> None:
        self.signs: dict[Key, Signs] = {}
        self.turns = 0
        self.queues = False
        """Whether groups are so small that several wait behind each other."""
        self.fleet_lives: Lives = lambda _: None
        self._blame = blame
        self._opened_s = 0.0
        self._critical_s: dict[Key, float] = {}
        """Since when a check is critical."""
        self._misjudged = 0
        """Checks of the fleet that turned critical since the last change of members although their instances were well."""
        self._first_gone_s: float | None = None
        """When the first member went in this term."""
        self._rewound_s = -1_000.0
        self._sent: dict[Lease, Sending] = {}

    @property
    def now_s(self) -> float:
        """Since the run began."""
        return self._blame.elapsed_s

    @property
    def leases_hold(self) -> bool:
        """Not for a while after an operator put the engine back: leases ended before their time, two may take themselves for confirmed."""
        return self.now_s > self._rewound_s + LEADER_TTL_S

    # -- what bears on them

    def opened(self) -> None:
        """A term has begun."""
        self._opened_s, self._first_gone_s, self._misjudged = self.now_s, None, 0

    def gone(self) -> None:
        """A member is present no longer."""
        if self._first_gone_s is None:
            self._first_gone_s = self.now_s
        self._misjudged = 0  # what a member reported goes with it

    def rewound(self) -> None:
        """The engine was put back."""
        self._rewound_s = self.now_s

    def late(self, group: Group, lease: Lease) -> bool:
        """Whether a group only arrives once more: its leader has handed in another since, so it is settled."""
        sending = self._sent.get(lease)
        return sending is not None and sending.mark != group.mark

    def sent(self, group: Group, right: Right, clock_ns: int) -> None:
        """A group is handed to the store for the first time or again."""
        now, until = self.now_s, right.confirmed_until()
        sending = self._sent.get(right.lease)
        if sending is None:
            sending = self._sent[right.lease] = Sending()
        if sending.mark != group.mark:
            waited = now - sending.last_s <= _SETTLED_WITHIN_S
            begun_s = sending.planned_s if self.queues else sending.first_s
            sending.planned_s = begun_s if waited else now
            sending.mark, sending.first_s = group.mark, now
            sending.confirmed_s = now if until is None else now + (until - clock_ns) / SECOND
        sending.last_s = now

    def removed(self, key: Key, group: Group, by_revision: dict[Revision, CommandId]) -> None:
        """An instance went, and nobody had asked for that: it can only have been critical for so long."""
        check = Key("c" + key[1:])
        signs, since = self.signs.get(check), self._critical_s.get(check)
        if signs is None or not signs.reap_s or since is None:
            self._blame.blame("Attributed", f"{key} was removed at {group.last} by none of {list(by_revision.values())}")
        elif self.now_s < max(since, self._opened_s) + signs.reap_s - 0.01:
            self._blame.blame("Reaped", f"{key} was removed, critical since {since:.3f}, in a term opened at {self._opened_s:.3f}")

    def restored(self, key: Key, after: State) -> None:
        """A check stands as it did once, because the catalog was replaced."""
        if isinstance(after, CheckRow) and after.status == Status.CRITICAL:
            self._critical_s.setdefault(key, self.now_s)

    def turned(self, key: Key, before: State, after: CheckRow, lease: Lease) -> None:
        """A check has come to stand otherwise."""
        was = before.status if isinstance(before, CheckRow) else ""
        self.turns += was not in {"", after.status}
        if after.status == Status.CRITICAL and was != after.status:
            self._critical_s[key] = self.now_s
            if self.fleet_lives(key):
                self._misjudged += 1
                if self._misjudged >= MASS_COUNT:
                    self._blame.blame("Opinion", f"{self._misjudged} checks that are well have turned critical, {key} the last")
        if was in {"", Status.CRITICAL} or after.status != Status.CRITICAL or not after.output.startswith(EXPIRED):
            return
        signs = self.signs.get(key)
        if signs is None:
            return
        now = self.now_s
        wrong = signs.in_time(now) if now > self._rewound_s + LEADER_TTL_S + signs.ttl_s else None
        if wrong is not None:
            self._blame.blame("Alive", f"{key} ran out at {now:.3f}, but there is {wrong} with a time limit of {signs.ttl_s} s")
        if now < self._opened_s + signs.ttl_s - 0.005:
            self._blame.blame("FreshTerm", f"{key} ran out {now - self._opened_s:.3f} s after the term began, ttl {signs.ttl_s} s")
        self._judge_confirmed(key, lease)
        self._judge_dead_door(key, signs, lease)

    def _judge_confirmed(self, key: Key, lease: Lease) -> None:
        sending = self._sent.get(lease)
        if sending is not None and sending.confirmed_s <= sending.planned_s:
            self._blame.blame("Confirmed", f"{key} ran out by {lease.card.name}, whose lead was not confirmed")

    def _judge_dead_door(self, key: Key, signs: Signs, lease: Lease) -> None:
        last = signs.last_acknowledged
        if last is None or last.process.nonce == lease.card.nonce or signs.carried_on(last, self._opened_s):
            return
        acknowledged = last.acknowledged_s or 0.0
        # Heard in this term: by the death of the door that carried it last. Not heard: by the first death of any door.
        left = last.process.left if acknowledged > self._opened_s else self._first_gone_s
        if (
            left is not None
            and max(acknowledged, self._opened_s) < left < self._sent[lease].planned_s
            and self.now_s < left + signs.ttl_s - 0.005
        ):
            self._blame.blame("DeadDoor", f"{key} ran out {self.now_s - left:.3f} s after a door went, and there is {last}")

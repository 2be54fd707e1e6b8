"""The engine of a simulation: a memory engine with leases, and everything that can go wrong inside an engine.

It is the one truth of a run, so it also keeps what a real engine forgets: every group that ever landed, with who wrote it and when. Its
methods are what happens when a request is received; the way there and back is `simulation.store`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from callboard.model.errors import DeposedError, FullError, NameTakenError
from callboard.model.members import Card
from callboard.model.rows import META_TERM, Group, Position
from callboard.model.time import SECOND, Instant
from callboard.store.memory.engine import Backup, MemoryEngine, MemoryLeadership
from callboard.store.memory.settings import MemorySettings
from callboard.testing.simulation.loop import SimulationLoop

LEADER_TTL_S: Final = 4.0
MEMBER_TTL_S: Final = 10.0


class Witness(Protocol):
    """Whoever is told what happens at the engine, at that moment."""

    def landed(self, group: Group, lease: "Lease") -> None:
        """A group with rows is durable."""
        ...

    def refused(self, group: Group, lease: "Lease") -> None:
        """The holder of the lead wrote after another position than the head."""
        ...

    def elected(self, lease: "Lease") -> None:
        """Somebody has the lead."""
        ...

    def gone(self, card: Card) -> None:
        """A member is present no longer."""
        ...

    def rewound(self, to: Position) -> None:
        """Everything after that position never was."""
        ...


@dataclass(slots=True, eq=False)
class Lease:
    """A right that ends by itself. `card` is whose it is."""

    card: Card
    ttl_ns: int
    expires: Instant
    lead: MemoryLeadership | None = None
    """What the engine below fences by, where this is the lead."""
    over: bool = False
    opened: bool = False
    """Whether a group of this lead has landed."""
    watchers: list[Callable[[], None]] = field(default_factory=list)
    """Called once, when it is over."""


class LeasedEngine:
    """Rows by `MemoryEngine`, leases by virtual time."""

    def __init__(self, loop: SimulationLoop, settings: MemorySettings, witness: Witness) -> None:
        self.loop = loop
        self.rows = MemoryEngine(settings)
        self.down = False
        self.full = False
        self.extends = True
        """Leases get their whole time again after the engine was down, as etcd's do."""
        self.leader: Lease | None = None
        self.members: dict[str, Lease] = {}
        self._witness = witness
        self._wakers: list[Callable[[], None]] = []

    @property
    def head(self) -> Position:
        """Of the last group."""
        return self.rows.head

    @property
    def cards(self) -> tuple[Card, ...]:
        """Who is present, by name."""
        return tuple(self.members[name].card for name in sorted(self.members))

    def watch(self, waker: Callable[[], None]) -> Callable[[], None]:
        """Call `waker` whenever anything here has changed; call what is returned to end it."""
        self._wakers.append(waker)
        return lambda: self._wakers.remove(waker) if waker in self._wakers else None

    def _changed(self) -> None:
        for waker in self._wakers:
            waker()

    # -- groups

    def commit(self, group: Group, lease: Lease) -> Position:
        """Judge and fold. Raises what the contract says."""
        if lease.over or lease.lead is None:
            raise DeposedError("this member no longer leads")
        if self.full and any(row is not None for row in group.rows.values()):
            raise FullError("the engine is over its quota; remove something")
        before = self.rows.head
        try:
            position = self.rows.commit(group, lease.lead)
        except DeposedError:
            self._witness.refused(group, lease)
            raise
        if position != before:
            self._witness.landed(group, lease)
            lease.opened = lease.opened or META_TERM in group.rows
            self._changed()
        return position

    def next_group(self, after: Position) -> Group | None:
        """As in the engine below."""
        return self.rows.next_group(after)

    def compact(self, keep: int) -> None:
        """Forget all but the last `keep` groups."""
        backup = self.rows.backup()
        history = dict(sorted(backup.history.items())[-keep:]) if keep else {}
        oldest = next(iter(history.values())).after if history else backup.head
        self._put(Backup(backup.head, backup.rows, history, oldest))

    def rewind(self, backup: Backup) -> None:
        """An operator puts the engine back to `backup`: nobody leads, nobody is present."""
        if self.leader is not None:
            self.end(self.leader)
        for lease in list(self.members.values()):
            self.end(lease)
        self._put(backup)
        self._witness.rewound(backup.head)
        self._changed()

    def _put(self, backup: Backup) -> None:
        lease, self.rows._leader = self.rows._leader, None  # noqa: SLF001  # a restore there would end the lead
        self.rows.restore(backup)
        self.rows._leader = lease  # noqa: SLF001

    # -- leases

    def elect(self, card: Card) -> Lease | None:
        """The lead, if nobody has it."""
        if self.leader is not None:
            return None
        lead = self.rows.elect(card.name)
        if lead is None:
            return None
        lease = self._lease(card, LEADER_TTL_S)
        lease.lead = lead
        self.leader = lease
        self._witness.elected(lease)
        return lease

    def join(self, card: Card) -> Lease:
        """Present. Raises `NameTakenError`."""
        there = self.members.get(card.name)
        if there is not None:
            if there.card.nonce != card.nonce:
                raise NameTakenError(card.name, there.card.url)
            self.end(there)
        lease = self.members[card.name] = self._lease(card, MEMBER_TTL_S)
        self._changed()
        return lease

    def _lease(self, card: Card, ttl_s: float) -> Lease:
        ttl_ns = round(ttl_s * SECOND)
        lease = Lease(card, ttl_ns, Instant(self.loop.now_ns + ttl_ns))
        self._look_again(lease)
        return lease

    def renew(self, lease: Lease) -> bool:
        """A whole time from now; False when it is over."""
        if lease.over:
            return False
        lease.expires = Instant(self.loop.now_ns + lease.ttl_ns)
        return True

    def end(self, lease: Lease) -> None:
        """It is over: revoked or run out."""
        if lease.over:
            return
        lease.over = True
        if self.leader is lease:
            self.leader = None
            assert lease.lead is not None
            lease.lead.end()
        if self.members.get(lease.card.name) is lease:
            del self.members[lease.card.name]
            self._witness.gone(lease.card)
        watchers, lease.watchers = lease.watchers, []
        for watcher in watchers:
            watcher()
        self._changed()

    def _look_again(self, lease: Lease) -> None:
        self.loop.call_at(lease.expires / SECOND, self._look, lease)

    def _look(self, lease: Lease) -> None:
        if lease.over:
            return
        if self.down or lease.expires > self.loop.now_ns + 1:
            if self.down:
                lease.expires = Instant(self.loop.now_ns + SECOND)
            self._look_again(lease)
            return
        self.end(lease)

    # -- the whole of it

    def stop(self) -> None:
        """Nobody is answered any more."""
        self.down = True

    def start(self) -> None:
        """Up again, with everything that was durable."""
        self.down = False
        for lease in [*self.members.values(), *([self.leader] if self.leader is not None else [])]:
            if self.extends:
                lease.expires = Instant(self.loop.now_ns + lease.ttl_ns)
        self._changed()

"""One term: what a member does from its election to the end of its lead. It plans commands, keeps deadlines, has its groups committed.

Everything in here is the leader's memory and goes with the term; a new one starts every deadline afresh.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from callboard.core.catalog import commands as cmd
from callboard.core.catalog.changes import Changes
from callboard.core.doors import LOCAL, Doors
from callboard.core.liveness import MARKS, CheckKey, Liveness, LivenessSettings
from callboard.model.check import Status
from callboard.model.errors import DivergedError, StoreError
from callboard.model.members import Card
from callboard.model.names import PUBLIC
from callboard.model.rows import CommandId, Outcome, Revision, check_key
from callboard.model.time import MILLISECOND, Instant
from callboard.net.tasks import Tasks
from callboard.registry.committer import Committer, LeadLostError
from callboard.registry.following import Following
from callboard.registry.itself import registration_of_itself
from callboard.registry.leader import GivenUp, Leader
from callboard.registry.means import Means
from callboard.registry.opinions import SecondOpinions
from callboard.registry.submission import Submission
from callboard.store.contract import Leadership

_log = logging.getLogger(__name__)
Opinions = Callable[[Callable[[cmd.Command], object]], SecondOpinions]
"""Makes what holds reports for a second opinion, from what plans them after it."""


class Term:
    """The leader's work. Synchronous but for `open` and `end`; the registry's timer calls `tick`."""

    def __init__(
        self, means: Means, leadership: Leadership, following: Following, liveness: LivenessSettings, floor: Revision, *,
        publish: Callable[[Changes], None], given_up: Callable[[GivenUp], None], opinions: Opinions | None = None,
    ) -> None:  # fmt: skip
        """Numbers of commands are above `floor`. `given_up` is told what has no outcome at the end."""
        settings = means.settings
        self.leadership = leadership
        self.doors = Doors()
        self.liveness = Liveness(liveness)
        self._renew_marked = self.liveness.ttls.renew_marked
        self.open = False
        """Whether commands and heartbeats are taken."""
        self.confirmed_at = means.clock.now()
        """When that was last so."""
        self.silent_doors: list[str] = []
        """Present members that have not reached this one for long."""
        self.broken = False
        """Whether the term ended by an error in the program."""
        self.number = 0
        self._store = means.store
        self._following = following
        self._settings = settings
        self._clock = means.clock
        self._entropy = means.entropy
        self._stats = means.stats
        self._now = means.now
        self._leader = Leader(following.base, means.store.caps, settings.group_commands_max_count, floor)
        self._published = publish
        self._committer = Committer(means, self._leader, leadership, self._publish, given_up)
        self.opinions = opinions(self._own) if opinions is not None else None
        self._door = means.entropy.nonce()
        self._count = 0
        self._tasks = Tasks()
        self._sweep: Submission | None = None
        self._raise: Submission | None = None
        self._members: tuple[Card, ...] = ()
        self._opening: asyncio.Future[Outcome | str] | None = None
        self._over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    # -- life

    async def begin(self) -> None:
        """Write the opening group; then `see` who is present. Raises `StoreError` when it does not land."""
        self._tasks.spawn(self._commit(), name="committer")
        self._tasks.spawn(self._watch(), name="lead watch")
        opened: asyncio.Future[Outcome | str] = asyncio.get_running_loop().create_future()
        self._opening = opened
        self._own(registration_of_itself(self._settings, self._entropy.nonce())).then(self._opened)
        outcome = await opened
        if isinstance(outcome, str):
            raise DivergedError(f"the opening group did not land: {outcome}")
        if outcome.refusal is not None:
            raise DivergedError(f"the opening group was refused: {outcome.refusal.detail}")
        self.number = self._leader.view.term.number
        self._watch_all()
        self._stats.terms += 1
        self.open = True

    def _watch_all(self) -> None:
        self.liveness.begin(self._leader.view.checks(), self._now())

    async def _commit(self) -> None:
        try:
            await self._committer.run()
        except LeadLostError as error:
            self._end(f"lead lost: {error}")
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.broken = True
            self._end(f"error in the program: {error!r}")
            raise

    async def _watch(self) -> None:
        await self.leadership.lost()
        self._end("lead lost: the store gave it to another")

    def _opened(self, outcome: Outcome) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(outcome)

    def _end(self, reason: str) -> None:
        self.open = False
        if not self._over.done():
            self._over.set_result(reason)
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(reason)

    async def over(self) -> str:
        """Return, with the reason, when this member leads no longer."""
        return await asyncio.shield(self._over)

    def give_up(self, reason: str) -> None:
        """End the term: others may lead better."""
        self._end(reason)

    async def resign(self, wait_ms: int) -> None:
        """Take no more, finish what was taken, give the lead to whoever wants it."""
        self.open = False
        if not self._over.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._committer.quiet(), timeout=wait_ms / 1_000)
        await self.close()
        self._end("this member resigned")

    async def close(self) -> None:
        """Stop everything. A group that is at the store is left to its fate: the feed tells."""
        self.open = False
        if self.opinions is not None:
            await self.opinions.close()
        await self._tasks.close()
        with contextlib.suppress(StoreError):
            await self.leadership.resign()

    def confirmed(self) -> bool:
        """Whether nobody else can lead at this moment."""
        until, now = self.leadership.confirmed_until(), self._clock.now()
        if until is not None and until <= now:
            return False
        self.confirmed_at = now
        return True

    # -- commands

    @property
    def pending_count(self) -> int:
        """Commands without an outcome."""
        return self._leader.pending_count

    @property
    def settled(self) -> bool:
        """Whether this member's view shows everything that may have landed: nothing is at the store."""
        return self.confirmed() and not self._committer.at_store

    @property
    def revision(self) -> Revision:
        """Of the last durable group."""
        return self._leader.view.revision

    def take(self, submission: Submission, door: int = LOCAL) -> None:
        """Plan a command; its outcome is released when its group is durable. One that waits for a second opinion is planned after that."""
        if self.opinions is None or not self.opinions.holds(submission):
            self._plan(submission, door)

    def _plan(self, submission: Submission, door: int = LOCAL) -> None:
        self._stats.commands += 1
        outcome = self._leader.take(submission, self._clock.wall())
        if outcome.refusal is not None:
            self._stats.commands_refused += 1
        else:
            self._heard(submission.command, outcome.node, door)
        self._committer.wake()

    def _own(self, command: cmd.Command) -> Submission:
        self._count += 1
        submission = Submission(CommandId(self._door, self._count), command)
        self._plan(submission)
        return submission

    def _heard(self, command: cmd.Command, node: str, door: int) -> None:
        """A registration or report is a sign of life: its deadlines start again now, before anything else can be planned."""
        if isinstance(command, cmd.Register):
            span = self.liveness.ttls.span
            for attached in command.checks:
                key = command.namespace if attached.instance else PUBLIC, node, attached.check.id
                if span(key) is not None:  # else it is new
                    self.liveness.beat(key, self._now(), door)
            placed = self._leader.view.placed(command.namespace, node, command.instance.id) if command.instance is not None else None
            if placed is not None:
                for check in placed.checks:
                    self.liveness.signed_in((check.namespace, node, check.id), self._now())
        elif isinstance(command, cmd.ReportCheck):
            if command.status is not Status.CRITICAL:
                self.liveness.beat((command.target.namespace, node, command.target.id), self._now(), door)
        elif isinstance(command, cmd.RegisterCheck):
            namespace = command.instance.namespace if command.instance is not None else PUBLIC
            self.liveness.beat((namespace, node, command.check.id), self._now(), door)

    def beat(self, key: CheckKey, heard: Instant, door: int = LOCAL) -> bool:
        """Note a heartbeat that changes nothing but a deadline; False when it is more than that: the check is unknown or critical.

        Only while nothing planned is to change the check. It may be acknowledged if the lead is `confirmed` after this.
        """
        if self._changing(key) or not self.liveness.beat(key, heard, door):
            return False
        self._stats.beats += 1
        return True

    def beat_silently(self, key: CheckKey, status: Status, heard: Instant) -> bool:
        """The same, entered here, from a TTL check that had this status and no output, and has; False, and nothing noted, if that is not
        so, or not sure."""
        if self._leader.planning and self._changing(key):
            return False
        if not self._renew_marked(key, MARKS[status], heard, LOCAL):
            return False
        self._stats.beats += 1
        return True

    def beat_all(self, keys: Sequence[CheckKey], heard: Instant, door: int = LOCAL) -> list[int]:
        """The same for many. Answers the places of those that are more than heartbeats."""
        if self._leader.planning:
            return [place for place, key in enumerate(keys) if not self.beat(key, heard, door)]
        more = self.liveness.beat_all(keys, heard, door)
        self._stats.beats += len(keys) - len(more)
        return more

    def _changing(self, key: CheckKey) -> bool:
        """Whether a planned command is to change a check. It may be a sign of life that waits for the store: nothing is decided before."""
        leader = self._leader
        return leader.planning and leader.planned(check_key(*key))

    def _publish(self, changes: Changes) -> None:
        if changes.checks and self.open:
            self.liveness.take(changes.checks, self._now())
        if self._following.base is self._following.view:
            self._published(changes)
        self._following.advanced()

    # -- time

    def see(self, members: tuple[Card, ...], own: str) -> None:
        """Who is present now, this member (`own`) among them. What the dead have last carried gets a fresh time limit."""
        self._members = members
        now = self._now()
        if self.opinions is not None:
            self.opinions.see(card.nonce for card in members if not card.worker_of)
        for door in self.doors.present([card.nonce for card in members if card.nonce != own], now):
            self.liveness.door_died(door, now)

    def deadline(self) -> Instant | None:
        """When `tick` next has something to do; None while this member does not surely lead, for then it does nothing."""
        return self.liveness.deadline() if self.open and self.confirmed() else None

    def tick(self, now: Instant) -> None:
        """Work off what has run out, if this member surely leads."""
        if not self.open or not self.confirmed():
            return
        preserving = self.liveness.preserving
        due = self.liveness.due(now, self.doors.covered(now), self._settings.expiries_max_count)
        for key in due.expired:
            self._expire(key, now)
        for key in due.reaped:
            self._reap(key, now)
        if self.liveness.preserving is not preserving:
            self._say_preserving()
        self._sweep_floors()
        self._raise_level()
        self.silent_doors = self.doors.silent(Instant(now - self._settings.island_after_ms * MILLISECOND))

    def _say_preserving(self) -> None:
        if self.liveness.preserving:
            self._stats.preservations += 1
            _log.error(
                "self-preservation: %d leases ran out at once, an implausible share; none expires until renewals return or time is up",
                self.liveness.overdue_count,
            )  # fmt: skip
        else:
            _log.warning("self-preservation has ended: leases expire again")

    def _expire(self, key: CheckKey, now: Instant) -> None:
        check = self._leader.view.check(*key)
        if check is not None:
            command = self.liveness.expiry(check, now)
            if not self._changing(key):
                self._stats.expiries += 1
                self._own(command)

    def _reap(self, key: CheckKey, now: Instant) -> None:
        check = self._leader.view.check(*key)
        if check is not None:
            command = self.liveness.reap(check, now)
            if not self._changing(key):
                self._stats.reaps += 1
                self._own(command)

    def _sweep_floors(self) -> None:
        """Sweep when there are too many, one sweep at a time and none larger than half a group."""
        count, limit = len(self._leader.view.floors), self._settings.floors_max_count
        if count > limit and (self._sweep is None or self._sweep.outcome is not None):
            surplus = min(count - limit // 2, max(1, self._store.caps.group_rows // 2))
            self._sweep = self._own(cmd.SweepFloors(count - surplus))

    def _raise_level(self) -> None:
        """Write at the newest level that every present member speaks."""
        level = min((card.level for card in self._members), default=self._settings.level)
        if level > self._leader.view.epoch.level and (self._raise is None or self._raise.outcome is not None):
            self._raise = self._own(cmd.RaiseLevel(level))

"""The registry: the one door to the catalog for every frontend. Submit a command, read the view, be told of changes, be heard from.

It lives as long as the server. On one machine the only member leads at once, so this class is leader and member in one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial

from callboard.core.callers import Home
from callboard.core.catalog import commands as cmd
from callboard.core.catalog.changes import Changes, CheckChange
from callboard.core.catalog.loading import Loader
from callboard.core.catalog.view import View
from callboard.core.deadlines import TICK
from callboard.core.health import ProbeResult
from callboard.core.liveness import CheckKey, Liveness
from callboard.core.steady import SteadyTime
from callboard.core.watches import History
from callboard.model.check import Status, TtlCheck
from callboard.model.errors import DivergedError
from callboard.model.names import PUBLIC
from callboard.model.rows import CommandId, Outcome, RefusalReason, Revision, check_key
from callboard.model.time import MILLISECOND, Duration, Instant
from callboard.net.tasks import Tasks
from callboard.registry.clock import Clock, Entropy
from callboard.registry.committer import Committer, LeadLostError
from callboard.registry.itself import registration_of_itself
from callboard.registry.leader import Leader, refusal_outcome
from callboard.registry.prober import Ask, Asking, Probe, Prober
from callboard.registry.settings import RegistrySettings
from callboard.registry.stats import RegistryStats
from callboard.registry.submission import Submission
from callboard.store.contract import Leadership, Store

Listener = Callable[[Changes], None]
"""Called once per durable group, after the view has folded it and before the commands in it are answered."""

_log = logging.getLogger(__name__)


class Registry:
    """Open it, use it, close it. Everything but `open` and `close` is synchronous and belongs to the loop that opened it."""

    def __init__(self, store: Store, settings: RegistrySettings, clock: Clock, entropy: Entropy, ask: Ask | None = None) -> None:
        """`ask` makes a probe, over the network when none is given; it is handed in like the clock, for tests in virtual time."""
        self.settings = settings
        self.home = Home(settings.node, settings.address)
        self.clock = clock
        self.entropy = entropy
        self.stats = RegistryStats()
        self.view = View()
        self.ready = False
        """Whether the view is complete and commands are taken."""
        self._store = store
        self._door = entropy.nonce()
        self._count = 0
        self._listeners: list[Listener] = []
        self._history = History(Revision(0), settings.history_max_count)
        self._steady = self._steady_from_now()
        self._liveness = Liveness(Duration(settings.check_output_hold_ms * MILLISECOND))
        self._tasks = Tasks()
        self._leader: Leader | None = None
        self._leadership: Leadership | None = None
        self._committer: Committer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ticked = Instant(0)
        self._expected = Instant(0)
        asking = ask or Asking(settings.lookups_parallel_max_count)
        self._prober = Prober(settings.probes_parallel_max_count, self._tasks, asking, self._probed)
        self._sweep: Submission | None = None
        self._failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    # -- life

    async def open(self) -> None:
        """Attach to the store, load, take the lead, write the opening group. Raises `StoreError`."""
        await self._store.open()
        view = await self._load()
        leadership = await self._store.campaign(self.settings.member)
        if await self._store.head() != view.position:
            view = await self._load()
        self._leadership = leadership
        self.view = view
        self._history = History(view.revision, self.settings.history_max_count)
        self._leader = Leader(view, self._store.caps, self.settings.group_commands_max_count)
        self._committer = Committer(
            self._store, self._leader, leadership, self.clock, self.entropy, self.stats, self._publish, self.settings
        )  # fmt: skip
        self._tasks.spawn(self._lead(self._committer), name="committer")
        self._tasks.spawn(self._stand_down(leadership), name="lead watch")
        self._steady = self._steady_from_now()
        self._watch_all()
        opened: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._submit(registration_of_itself(self.settings, self.entropy.nonce())).then(opened.set_result)
        outcome = await opened
        if outcome.refusal is not None:
            raise DivergedError(f"the opening group was refused: {outcome.refusal.detail}")
        self.ready = True
        self._arm()

    async def _load(self) -> View:
        snapshot = await self._store.load()
        loader = Loader()
        async for rows in snapshot.batches:
            loader.add(rows)
        return loader.finish(snapshot.position)

    def _watch_all(self) -> None:
        now, chance = self._now(), self.entropy.chance
        for node_checks in self.view.node_checks.values():
            self._liveness.take([CheckChange(None, check) for check in node_checks.values()], now, chance)
        for space in self.view.spaces.values():
            for there in space.by_node.values():
                for placed in there.values():
                    for check in placed.checks:
                        self._liveness.watch(None, check, now, chance)

    def _steady_from_now(self) -> SteadyTime:
        return SteadyTime(Duration(self.settings.lateness_max_ms * MILLISECOND), self.clock.now())

    async def _lead(self, committer: Committer) -> None:
        try:
            await committer.run()
        except LeadLostError as error:
            self._fail(f"lead lost: {error}")
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._fail(f"error in the program: {error!r}")
            raise

    async def _stand_down(self, leadership: Leadership) -> None:
        await leadership.lost()
        self._fail("lead lost: the store gave it to another")

    def _fail(self, reason: str) -> None:
        self.ready = False
        if not self._failed.done():
            _log.critical("%s; this process must start anew", reason)
            self._failed.set_result(reason)

    async def failed(self) -> str:
        """Return, with the reason, when the registry can go on no longer; the process must start anew."""
        return await asyncio.shield(self._failed)

    async def close(self) -> None:
        """Finish what was submitted, give up the lead, let go of the store."""
        self.ready = False
        if self._timer is not None:
            self._timer.cancel()
        if self._committer is not None and not self._failed.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._committer.quiet(), timeout=2.0)
        await self._tasks.close()
        if self._leadership is not None:
            await self._leadership.resign()
        await self._store.close()

    # -- writing

    def submit(self, command: cmd.Command) -> Submission:
        """Plan a command; its outcome is released when it is durable and this member's view has it."""
        if not self.ready:
            return self._refused(command, "unavailable", "the registry is not ready; try again in a second")
        return self._submit(command)

    def _submit(self, command: cmd.Command) -> Submission:
        leader, committer = self._leader, self._committer
        if leader is None or committer is None or leader.lost:
            return self._refused(command, "unavailable", "the registry is not open")
        if leader.pending_count >= self.settings.commands_pending_max_count:
            waiting = f"{leader.pending_count} commands wait for the store (commands_pending_max_count); try again in a second"
            return self._refused(command, "overloaded", waiting)
        submission = Submission(self._next_id(), command)
        self.stats.commands += 1
        outcome = leader.take(submission, self.clock.wall())
        if outcome.refusal is not None:
            self.stats.commands_refused += 1
        else:
            self._heard(command, outcome.node)
        committer.wake()
        return submission

    def _refused(self, command: cmd.Command, reason: RefusalReason, detail: str) -> Submission:
        self.stats.commands_refused += 1
        submission = Submission(self._next_id(), command)
        submission.release(refusal_outcome(submission, reason, detail))
        return submission

    def _next_id(self) -> CommandId:
        self._count += 1
        return CommandId(self._door, self._count)

    def _heard(self, command: cmd.Command, node: str) -> None:
        """A registration or report is a sign of life: its deadlines start again now, before anything else can be planned."""
        now = self._now()
        if isinstance(command, cmd.ReportCheck):
            if command.status is not Status.CRITICAL:
                self._liveness.beat((command.target.namespace, node, command.target.id), now)
        elif isinstance(command, cmd.RegisterCheck):
            self._liveness.beat((command.instance.namespace if command.instance is not None else PUBLIC, node, command.check.id), now)
        elif isinstance(command, cmd.Register):
            for attached in command.checks:
                self._liveness.beat((command.namespace if attached.instance else PUBLIC, node, attached.check.id), now)
            placed = self.view.placed(command.namespace, node, command.instance.id) if command.instance is not None else None
            for check in placed.checks if placed is not None else ():
                self._liveness.signed_in((check.namespace, node, check.id), now)

    def beat(self, namespace: str, node: str, check: str, status: Status, output: str) -> bool:
        """A heartbeat that changes nothing but a deadline; False when it is more than that (unknown, a turn, a new output): submit it then.

        `node` in lower case. Acknowledged only while nothing planned is to change the check.
        """
        known = self.view.check(namespace, node, check) if self.ready else None
        if known is None or known.status is not status or status is Status.CRITICAL or known.output != output:
            return False
        if not isinstance(known.definition, TtlCheck) or self._changing((namespace, node, check)):
            return False
        self.stats.beats += 1
        return self._liveness.beat((namespace, node, check), self._now())

    # -- being told

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Be called with the changes of each durable group; call what is returned to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changes_after(self, revision: Revision) -> Iterator[Changes]:
        """Every change after `revision`, in order. Raises `CompactedError` when they are no longer kept."""
        return self._history.after(revision)

    @property
    def revision(self) -> Revision:
        """Of the last group in the view."""
        return self.view.revision

    def _publish(self, changes: Changes) -> None:
        self._history.add(changes)
        if changes.checks:
            self.stats.turns += sum(
                1 for c in changes.checks if c.before is not None and c.after is not None and c.before.status is not c.after.status
            )
            self._liveness.take(changes.checks, self._now(), self.entropy.chance)
        for listener in list(self._listeners):
            listener(changes)
        self._arm()

    # -- time

    def _now(self) -> Instant:
        return self._steady.observe(self.clock.now())

    def _arm(self) -> None:
        """One timer, at the earliest deadline, and never later than the lateness bound after the last one, however often it is set anew:
        so a pause is noticed, and what is done now and then is done while groups land all the time."""
        if not self.ready:
            return
        now = self._now()
        wait = max(0, self._ticked + self.settings.lateness_max_ms * MILLISECOND - now)
        deadline = self._liveness.deadline(probing=self._prober.room > 0)
        if deadline is not None:
            wait = min(wait, max(0, deadline - now))
        if self._timer is not None:
            self._timer.cancel()
        wait_ms = -(-wait // MILLISECOND)  # rounded up: loops round to milliseconds, and coming early would be coming in vain
        self._expected = Instant(now + wait_ms * MILLISECOND)
        self._timer = asyncio.get_running_loop().call_later(wait_ms / 1_000, self._tick)

    def _tick(self, *, gave_way: bool = False) -> None:
        if not self.ready:
            return
        now = self._now()
        if now > self._expected + TICK and not gave_way:
            # The loop was held up, and some loops run timers first. What came in meanwhile may be a sign of life: let it be read.
            self._timer = asyncio.get_running_loop().call_later(0.001, partial(self._tick, gave_way=True))
            return
        self._ticked = now
        self.stats.pauses = self._steady.gaps
        due = self._liveness.due(now, self.settings.expiries_max_count, self._prober.room)
        for key in due.expired:
            self._expire(key, now)
        for key in due.reaped:
            self._reap(key, now)
        for key in due.probes:
            self._probe(key, now)
        self._sweep_floors()
        self._arm()

    def _sweep_floors(self) -> None:
        """Sweep when there are too many, one sweep at a time and none larger than half a group."""
        count = len(self.view.floors)
        if count > self.settings.floors_max_count and (self._sweep is None or self._sweep.outcome is not None):
            surplus = min(count - self.settings.floors_max_count // 2, max(1, self._store.caps.group_rows // 2))
            self._sweep = self._submit(cmd.SweepFloors(count - surplus))

    def _expire(self, key: CheckKey, now: Instant) -> None:
        check = self.view.check(*key)
        if check is not None:
            command = self._liveness.expiry(check, now)
            if not self._changing(key):
                self.stats.expiries += 1
                self._submit(command)

    def _reap(self, key: CheckKey, now: Instant) -> None:
        check = self.view.check(*key)
        if check is not None:
            command = self._liveness.reap(check, now)
            if not self._changing(key):
                self.stats.reaps += 1
                self._submit(command)

    def _changing(self, key: CheckKey) -> bool:
        """Whether a planned command is to change a check. It may be a sign of life that waits for the store: nothing is decided before."""
        return self._leader is not None and self._leader.planned(check_key(*key))

    def _probe(self, key: CheckKey, now: Instant) -> None:
        check = self.view.check(*key)
        if check is not None:
            self.stats.probes += 1
            self._prober.start(check, now)

    def _probed(self, key: CheckKey, probe: Probe, result: ProbeResult | None) -> None:
        check = self.view.check(*key)
        if check is not None and self.ready:
            command = self._liveness.probed(check, probe.definition, probe.nonce, result, probe.started, self._now())
            if command is not None:
                self._submit(command)
            self._arm()

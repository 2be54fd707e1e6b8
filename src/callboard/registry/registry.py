"""The registry: the one door to the catalog for every frontend. Submit a command, read the view, be told of changes, be heard from.

It lives as long as the server, and is a member: it follows the store, or leads. On a store of one process it leads at once; the code is
the same. The parts: `following` (the view), `candidacy` and `term` (the lead), `door` and `beating` (the way to another leader), `peers`
(the other members), `probing` (this member's share of the probes).
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from msgspec.structs import replace

from callboard.core.callers import Home
from callboard.core.catalog import commands as cmd
from callboard.core.catalog.changes import Changes
from callboard.core.catalog.levels import refused_at
from callboard.core.catalog.view import View
from callboard.core.liveness import LivenessSettings
from callboard.core.opinions import OpinionSettings
from callboard.core.signs import signs_of_life
from callboard.core.watches import History
from callboard.model.errors import UnavailableError
from callboard.model.members import Card
from callboard.model.rows import Group, Refusal, RefusalReason, Revision
from callboard.model.time import MILLISECOND, Instant
from callboard.registry.beating import Beating
from callboard.registry.candidacy import Candidacy
from callboard.registry.clock import Clock, Entropy
from callboard.registry.door import Door
from callboard.registry.following import Following
from callboard.registry.freshness import Contact, Freshness
from callboard.registry.handing_over import HandingOver
from callboard.registry.hearing import Hearing
from callboard.registry.itself import card_of
from callboard.registry.leader import GivenUp
from callboard.registry.line import Line
from callboard.registry.means import Means
from callboard.registry.opinions import SecondOpinions
from callboard.registry.peers import Courier, Peers
from callboard.registry.pending import Promise
from callboard.registry.presence import Presence
from callboard.registry.prober import Ask, Asking
from callboard.registry.probing import Probing
from callboard.registry.renewals import Renewals
from callboard.registry.settings import RegistrySettings
from callboard.registry.submission import Submission
from callboard.registry.term import Term
from callboard.registry.ticking import Ticker
from callboard.store.contract import Health, Leadership, Snapshot, Store

Listener = Callable[[Changes], None]
"""Called once per durable group, after the view has folded it and before the commands in it are answered."""

_log = logging.getLogger(__name__)


class Registry:
    """Open it, use it, close it. Everything but `open` and `close` is synchronous and belongs to the loop that opened it."""

    def __init__(
        self, store: Store, settings: RegistrySettings, clock: Clock, entropy: Entropy, ask: Ask | None = None, *,
        liveness: LivenessSettings | None = None, opinions: OpinionSettings | None = None,
    ) -> None:  # fmt: skip
        """`ask` makes a probe, over the network when none is given; it is handed in like the clock, for tests in virtual time."""
        self.settings = settings
        self.home = Home(settings.node, settings.address)
        self.clock = clock
        self.entropy = entropy
        self.ready = False
        """Whether there is a complete view: reads are served, commands are taken."""
        self._means = means = Means(store, settings, clock, entropy)
        self.stats = means.stats
        self._store = store
        self._liveness_settings = liveness or LivenessSettings()
        self._opinion_settings = opinions or OpinionSettings()
        self._listeners: list[Listener] = []
        self._history = History(Revision(0), settings.history_max_count)
        self._closing = False
        self._failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._peers = peers = Peers(means, card_of(settings, entropy.nonce(), clock.wall()), self._present)
        card = peers.card
        self._following = following = Following(means, self._folded, self._replaced, self._fail)
        line = Line(peers, following, card.nonce)
        self._door = Door(means, card.nonce, line, following)
        self._probing = Probing(means, ask or Asking(settings), lambda: self.view, self.submit, self._arm)
        self._beating = Beating(means, line, following, self._door, self._probing, self.submit)
        self._candidacy = Candidacy(means, following, peers, self, self._fail)
        self._hearing = Hearing(means, peers, following, self._probing, self._candidacy.hand_over)
        self.handing_over = HandingOver(means, self._candidacy, peers, line, following)
        self._freshness = Freshness(means, following, self._door, self._beating, self._present_surely)
        self.renewals = renewals = Renewals(means, self, following, self._door, self._beating, self._freshness)
        self.beat, self.renew = renewals.beat, renewals.renew
        self._presence = Presence(means)
        self._ticker = Ticker(means.now, self._deadline, self._tick, settings.lateness_max_ms)

    # -- life

    def connect(self, courier: Courier, url: str, secret: str) -> None:
        """Before `open`: how other members are reached, and where and with what secret they reach this one."""
        self._peers.courier = courier
        self._peers.card = replace(self._peers.card, url=url, secret=secret)

    async def open(self) -> None:
        """Attach to the store, load, join, and lead or find a leader. Raises `StoreError`."""
        await self._store.open()
        await self._following.load()
        self._require_level()
        self._means.begin()
        self._freshness.begin()
        self._history = History(self.view.revision, self.settings.history_max_count)
        if self._store.caps.shared:
            self._guard(self._peers.watch(), "members")
            self._guard(self._door.carry(), "commands")
            self._guard(self._beating.carry(), "heartbeats")
            self._following.start()
            self._guard(self._presence.stay(self.card), "presence")
        else:
            self._peers.present = (self.card,)
            self._probing.begin(self._peers.present)
        if not self.settings.worker:
            self._guard(self._candidacy.run(), "candidacy")
        await self._until_led()
        self.ready = True
        self._ticker.start()

    def _guard(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a part of the member that must not end: an error in it ends the process, which then starts anew."""

        async def guarded() -> None:
            try:
                await work
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self._fail(f"error in the program ({name}): {error!r}")
                raise

        return self._means.tasks.spawn(guarded(), name=name)

    async def joined(self) -> None:
        """For `candidacy`: the others can see this member."""
        if self._store.caps.shared:
            await self._presence.joined()

    def _require_level(self) -> None:
        level = self.view.epoch.level
        if level > self.settings.level:
            raise UnavailableError(f"the catalog is at level {level}, this program speaks {self.settings.level}: install a newer Callboard")

    async def _until_led(self) -> None:
        """Wait until there is a leader, this member or another; a member that joins others serves reads without one after a while."""
        end = self.clock.now() + self.settings.opening_wait_ms * MILLISECOND
        while not self._led():
            if self._failed.done():
                raise UnavailableError(self._failed.result())
            if self._store.caps.shared and self.clock.now() >= end:
                _log.warning("no leader was found; reads are served, commands wait")
                return
            await asyncio.sleep(0.01)

    def _led(self) -> bool:
        if self._door.term is not None:
            return True
        leader = self._peers.named(self.view.term.member)
        return leader is not None and leader.nonce != self.card.nonce and self._beating.fresh_at is not None

    def _fail(self, reason: str) -> None:
        self.ready = False
        if not self._failed.done():
            _log.critical("%s; this process must start anew", reason)
            self._failed.set_result(reason)

    async def failed(self) -> str:
        """Return, with the reason, when the registry can go on no longer; the process must start anew."""
        return await asyncio.shield(self._failed)

    async def close(self) -> None:
        """Finish what was submitted, give the lead to another, leave, let go of the store."""
        self._closing = True
        self.ready = False
        self._ticker.stop()
        term = self._door.term
        if term is not None:
            term.open = False
            await term.resign(self.settings.catch_up_ms)
        self._hearing.end()
        self._following.close()
        await self._means.tasks.close()
        await self._presence.leave()
        self._door.close()
        self._beating.close()
        await self._peers.close()
        await self._store.close()

    # -- the lead

    def term(self, leadership: Leadership, floor: Revision) -> Term:
        """For `candidacy`: a term to begin."""
        return Term(
            self._means, leadership, self._following, self._liveness_settings, floor, publish=self._publish, given_up=self._given_up,
            opinions=partial(SecondOpinions, self._means, self._opinion_settings, self._peers, self._probing, lambda: self.view),
        )  # fmt: skip

    def lead(self, term: Term) -> None:
        """For `candidacy`: the term has begun."""
        self._hearing.lead(term)
        term.see(self._peers.present, self.card.nonce)
        self._door.lead(term)
        self._arm()

    def follow(self, reason: str) -> None:
        """For `candidacy`: the term is over."""
        self.stats.stepped_down += 1
        self._hearing.end()

    def _given_up(self, left: GivenUp) -> None:
        if self._store.caps.others_lead and not self._closing:
            if self._door.term is not None:
                self._beating.begin(self._door.term.confirmed_at)
            self._hearing.end()
            self._door.given_up(left, self.view.term.number)
        else:
            self._door.term = None
            self.ready = False  # who tries again at once is not left waiting: nobody will lead in this process
            left.refuse()

    @property
    def probing_count(self) -> int:
        """How many checks this member probes."""
        return self._probing.share_count

    @property
    def leading(self) -> bool:
        """Whether this member leads; a worker's leads while the process that holds the engine does."""
        return self._door.term is not None or (self.settings.worker > 0 and self.contact().known)

    @property
    def card(self) -> Card:
        """What this member says of itself."""
        return self._peers.card

    @property
    def members(self) -> tuple[Card, ...]:
        """Every server that is present; workers are none."""
        return self._peers.servers

    def _present(self) -> None:
        """Others have come or gone."""
        self._probing.deal(self._peers.servers, self.card.nonce)
        if self._door.term is not None:
            self._door.term.see(self._peers.present, self.card.nonce)
        self._arm()

    def _present_surely(self) -> bool:
        """Whether the others count this member. If not, what it probes is another's, and no expiry waits for what it has heard."""
        return not self._store.caps.shared or self._presence.confirmed()

    def hear(self, message: bytes) -> Promise[bytes]:
        """A message of another member, and what to answer. Raises `MessageError`."""
        return self._hearing.hear(message)

    def contact(self) -> Contact:
        """How new this member's answers are."""
        return self._freshness.contact()

    @property
    def behind(self) -> bool:
        """Whether a caller was told of a revision that this member's view does not show."""
        return self._freshness.behind

    async def load(self) -> Snapshot:
        """Every durable row at one position, for backups. Raises `StoreError`."""
        return await self._store.load()

    def health(self) -> Health:
        """How the engine is."""
        return self._store.health()

    def fresh(self) -> Promise[Refusal | None]:
        """For a consistent read: None once the view shows everything that was acknowledged before this call."""
        return self._freshness.fresh()

    def reached(self, revision: Revision) -> Promise[bool]:
        """For a reader that has seen `revision` elsewhere: whether the view shows it, after a wait where the store has it already."""
        return self._freshness.reached(revision)

    # -- writing

    def submit(self, command: cmd.Command) -> Submission:
        """Bring a command to the leader; its outcome is released when it is durable and this member's view has it."""
        if not self.ready:
            return self._refused(command, "unavailable", "the registry is not ready; try again in a second")
        if why := refused_at(self.view.epoch.level, self.settings.level, command):
            return self._refused(command, "unavailable", why)
        term = self._door.term
        if term is None and (why := self._freshness.no_writes()):
            return self._refused(command, "unavailable", why)
        if term is None:
            for key in signs_of_life(command, self.view):
                self._beating.hear(key, None)
        return self._door.submit(command)

    def _refused(self, command: cmd.Command, reason: RefusalReason, detail: str) -> Submission:
        return self._door.refused(command, reason, detail)

    # -- being told

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Be called with the changes of each durable group; call what is returned to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def changes_after(self, revision: Revision) -> Iterator[Changes]:
        """Every change after `revision`, in order. Raises `CompactedError` when they are no longer kept."""
        return self._history.after(revision)

    @property
    def view(self) -> View:
        """The picture of the catalog as it is now; ask again after every wait, for it may have been replaced."""
        return self._following.view

    @property
    def revision(self) -> Revision:
        """Of the last group in the view."""
        return self.view.revision

    def _folded(self, group: Group, changes: Changes) -> None:
        """A group of another leader is in the view."""
        term = self.view.term.number
        self._publish(changes)
        self._door.folded(group)
        self._door.opened(term)
        if self.view.epoch.level > self.settings.level:
            self._fail(f"the catalog was raised to level {self.view.epoch.level}, this program speaks {self.settings.level}")

    def _replaced(self, changes: Changes) -> None:
        """The view was loaded anew: every watcher that was in the middle must begin again, everyone who waits is woken by what differs."""
        self._history = History(self.view.revision, self.settings.history_max_count)
        self._door.lost_track()
        self._publish(changes)
        self._door.opened(self.view.term.number)

    def _publish(self, changes: Changes) -> None:
        self._history.add(changes)
        if changes.checks:
            self.stats.turns += sum(
                1 for c in changes.checks if c.before is not None and c.after is not None and c.before.status is not c.after.status
            )
            self._probing.take(changes.checks)
        for listener in list(self._listeners):
            listener(changes)
        self._arm()

    # -- time

    def _arm(self) -> None:
        self._ticker.arm()

    def _deadline(self) -> Instant | None:
        term = self._door.term
        times = [self._probing.deadline() if self._present_surely() else None, term.deadline() if term is not None else None]
        return min((time for time in times if time is not None), default=None)

    def _tick(self, now: Instant) -> None:
        self.stats.pauses = self._means.steady.gaps
        try:
            if self._present_surely():
                self._probing.tick(now, self.settings.expiries_max_count)
            if self._door.term is not None:
                self._door.term.tick(now)
                self._candidacy.judge(now)
        except Exception as error:
            self._fail(f"error in the program (deadlines): {error!r}")
            raise

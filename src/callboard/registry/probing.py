"""This member's share of the probes: which it owes, when the next is due, and what comes of each. It lives as long as the registry.

Probes are dealt among the present members by their names and the checks' keys alone, so all members agree without a word.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from callboard.core.catalog.changes import CheckChange
from callboard.core.catalog.commands import Command
from callboard.core.catalog.view import View
from callboard.core.health import ProbeResult
from callboard.core.liveness import CheckKey
from callboard.core.probing import Probing as Schedule
from callboard.core.rendezvous import owner
from callboard.model.check import Check, Status, TtlCheck
from callboard.model.members import Card
from callboard.model.time import MILLISECOND, Duration, Instant
from callboard.net.tasks import Tasks
from callboard.registry.means import Means
from callboard.registry.prober import Ask, Probe, Prober


class Probing:
    """Schedule and prober, joined."""

    def __init__(
        self, means: Means, ask: Ask, view: Callable[[], View], submit: Callable[[Command], object], done: Callable[[], None]
    ) -> None:  # fmt: skip
        """`submit` takes what is to be written; `done` is called after each probe, for there is room for another one."""
        settings = means.settings
        self._entropy = means.entropy
        self._stats = means.stats
        self._now = means.now
        self._view = view
        self._submit = submit
        self._done = done
        self._schedule = Schedule(Duration(settings.check_output_hold_ms * MILLISECOND))
        self._prober = Prober(settings.probes_parallel_max_count, means.tasks, ask, self._probed)
        self._names: tuple[str, ...] = ()
        self._own = settings.member
        self._schedule.share(self._mine, self._now(), self._entropy.chance, ())

    @property
    def share_count(self) -> int:
        """How many checks this member probes."""
        return len(self._schedule)

    def take(self, changes: Iterable[CheckChange]) -> None:
        """Follow changes of checks."""
        self._schedule.take(changes, self._now(), self._entropy.chance)

    def begin(self, members: tuple[Card, ...]) -> None:
        """Deal for the first time where no other member can have probed before: every first result counts."""
        self._names = tuple(card.name for card in members)
        now, chance = self._now(), self._entropy.chance
        for check in self._view().checks():
            if not isinstance(check.definition, TtlCheck):
                self._schedule.watch(None, check, now, chance)

    def deal(self, members: tuple[Card, ...], own: str) -> None:
        """Deal the probes anew among those who are present. A member that is not itself among them, by its nonce, probes nothing: nobody
        could doubt what it finds."""
        names = tuple(card.name for card in members) if any(card.nonce == own for card in members) else ()
        if names != self._names:
            self._names = names
            self._schedule.share(self._mine, self._now(), self._entropy.chance, self._view().checks())

    def _mine(self, key: CheckKey) -> bool:
        names = self._names
        return bool(names) and (len(names) == 1 or owner("/".join(key), names) == self._own)

    def deadline(self) -> Instant | None:
        """When the next probe is due, if there is room for one."""
        return self._schedule.deadline() if self._prober.room > 0 else None

    def tick(self, now: Instant, limit: int) -> None:
        """Start what is due."""
        room = min(limit, self._prober.room)
        if room <= 0:
            return
        view = self._view()
        for key in self._schedule.due(now, room):
            check = view.check(*key)
            if check is not None:
                self._stats.probes += 1
                self._prober.start(check, now)

    def _probed(self, key: CheckKey, probe: Probe, result: ProbeResult | None) -> None:
        check = self._view().check(*key)
        if check is not None:
            command = self._schedule.probed(check, probe.definition, probe.nonce, result, probe.started, self._now())
            if command is not None:
                self._submit(command)
            self._done()

    async def opinions(self, keys: Sequence[CheckKey]) -> dict[CheckKey, Status]:
        """Ask these once, now, side by side. Those that this member cannot ask are left out."""
        found: dict[CheckKey, Status] = {}

        async def one(check: Check) -> None:
            result = await self._prober.once(check)
            if result is not None:
                found[check.namespace, check.node, check.id] = result.status

        view, asking = self._view(), Tasks()
        checks = [check for key in keys if (check := view.check(*key)) is not None]
        running = [asking.spawn(one(check), name=f"opinion on {check.id}") for check in checks]
        if running:
            await asyncio.wait(running)
        return found

"""Second opinions: when one member alone finds a mass of checks critical at once, another is asked before it counts.

The reason is as likely to be that member's own network as the services. It lives for one term, at the leader.
"""

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple

from callboard.core.catalog.commands import ReportCheck
from callboard.core.catalog.view import View
from callboard.core.liveness import CheckKey
from callboard.core.opinions import MassTurn, OpinionSettings
from callboard.model.check import Status
from callboard.net.tasks import Tasks
from callboard.registry import messages as msg
from callboard.registry.leader import refusal_outcome
from callboard.registry.means import Means
from callboard.registry.peers import Peers, UnreachableError
from callboard.registry.probing import Probing
from callboard.registry.submission import Submission

_log = logging.getLogger(__name__)


class _Report(NamedTuple):
    """What a member has found."""

    member: str
    command: ReportCheck


class SecondOpinions:
    """Reports that wait for another member's word."""

    def __init__(
        self, means: Means, settings: OpinionSettings, peers: Peers, probing: Probing, view: Callable[[], View],
        count: Callable[[ReportCheck], object],
    ) -> None:  # fmt: skip
        """`count` plans a report that is confirmed, or that nobody can judge."""
        self._settings = means.settings
        self._stats = means.stats
        self._now = means.now
        self._peers = peers
        self._probing = probing
        self._view = view
        self._count = count
        self._mass = MassTurn(settings)
        self._tasks = Tasks()
        self._waiting: dict[CheckKey, _Report] = {}
        self._asking = False

    def see(self, members: Iterable[str]) -> None:
        """Who is present, by nonce; this member too."""
        self._mass.present(frozenset(members))

    def probes(self, member: str, count: int) -> None:
        """How many checks that member asks."""
        self._mass.probes(member, count)

    def holds(self, submission: Submission) -> bool:
        """Whether this report waits now, and may be counted later."""
        command = submission.command
        if not isinstance(command, ReportCheck) or not command.nonce or command.status is not Status.CRITICAL or not self._peers.others:
            return False
        target = command.target
        key = (target.namespace, target.node.lower(), target.id)
        check = self._view().check(*key)
        if check is None or check.status is Status.CRITICAL:
            return False
        self._mass.probes(self._peers.card.nonce, self._probing.share_count)
        if not self._mass.suspicious(submission.id.door, key, self._now()):
            return False
        self._waiting[key] = _Report(submission.id.door, command)
        if not self._asking:
            self._asking = True
            self._tasks.spawn(self._ask_all(), name="second opinions")
        # Its door must not wait for that: everything else it has to say is behind this.
        submission.release(refusal_outcome(submission, "superseded", "the report waits for a second opinion"))
        return True

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                reporter = next(iter(self._waiting.values())).member
                keys = [key for key, report in self._waiting.items() if report.member == reporter][: self._settings.opinions_max_count]
                found = await self._opinions(reporter, tuple(keys))
                self._settle({key: self._waiting.pop(key) for key in keys}, found)
        finally:
            self._asking = False

    async def _opinions(self, reporter: str, keys: tuple[CheckKey, ...]) -> dict[CheckKey, Status]:
        """What somebody else finds; when nobody answers, what this member finds now, also if it was the one that reported."""
        self._stats.second_opinions += len(keys)
        for other in self._peers.others:
            if other.nonce == reporter:
                continue
            try:
                reply = await self._peers.ask(other, msg.Ask(keys), self._settings.opinion_timeout_ms)
            except UnreachableError:
                continue
            if isinstance(reply, msg.Opinions):
                return {opinion.key: opinion.status for opinion in reply.opinions}
        return await self._probing.opinions(keys)

    def _settle(self, reports: dict[CheckKey, _Report], found: dict[CheckKey, Status]) -> None:
        denied = 0
        for key, report in reports.items():
            if found.get(key, Status.CRITICAL) is Status.CRITICAL:
                self._mass.settled(report.member, key)
                self._count(report.command)
            else:
                denied += 1
        if denied:
            self._stats.turns_denied += denied
            _log.warning("%d of %d checks that one member found critical at once are well as another one sees them", denied, len(reports))

    async def close(self) -> None:
        """The term is over: the members will report again to the next leader."""
        await self._tasks.close()
        self._waiting.clear()

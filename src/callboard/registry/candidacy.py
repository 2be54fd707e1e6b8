"""Who leads: this member's campaign, its taking over, and its stepping down, again and again until the registry closes.

Taking over: elected; the view reaches the store's head; an opening group is written; only then are commands and heartbeats taken. Where
the lead is a lock of this process (one member), losing it ends the process.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from callboard.model.errors import StoreError
from callboard.model.members import Card
from callboard.model.rows import Revision
from callboard.model.time import MILLISECOND, Instant
from callboard.net.tasks import spawn
from callboard.registry import messages as msg
from callboard.registry.following import Following
from callboard.registry.means import Means
from callboard.registry.peers import Peers, UnreachableError
from callboard.registry.term import Term
from callboard.store.contract import Leadership

_log = logging.getLogger(__name__)


class Candidate(Protocol):
    """What the campaign does to its member."""

    def term(self, leadership: Leadership, floor: Revision) -> Term:
        """A term to begin; numbers in it are above `floor`."""
        ...

    def lead(self, term: Term) -> None:
        """It has begun."""
        ...

    async def joined(self) -> None:
        """Return when the others can see this member: a leader must be found."""
        ...

    def follow(self, reason: str) -> None:
        """It is over."""
        ...


class Candidacy:
    """The campaign of one member."""

    def __init__(self, means: Means, following: Following, peers: Peers, candidate: Candidate, failed: Callable[[str], None]) -> None:
        self.leading: Term | None = None
        self._store = means.store
        self._settings = means.settings
        self._following = following
        self._peers = peers
        self._candidate = candidate
        self._failed = failed
        self._gave_up_at: Instant | None = None
        self._rest_ms = 0
        """How long the lead is left to others when the present term is over."""

    async def run(self) -> None:
        """Campaign for ever."""
        shared = self._store.caps.others_lead
        while True:
            await self._candidate.joined()
            try:
                leadership = await self._store.campaign(self._settings.member)
                term = await self._take_over(leadership)
            except StoreError as error:
                if not shared:
                    self._failed(f"this member cannot lead: {error}")
                    return
                _log.warning("campaigning again: %s", error)
                term = None
            if term is None:
                await asyncio.sleep(self._settings.retry_wait_ms / 1_000)
                continue
            reason = await term.over()
            if not shared or term.broken:
                self._failed(reason)
                return
            await self._step_down(term, reason)
            rest_ms, self._rest_ms = self._rest_ms, 0
            await asyncio.sleep(rest_ms / 1_000)

    async def hand_over(self) -> None:
        """Finish what was taken, and leave the lead to the others for a while."""
        term = self.leading
        if term is not None and term.open:
            self._rest_ms = self._settings.hand_over_wait_ms
            await term.resign(self._settings.catch_up_ms)

    def judge(self, now: Instant) -> None:
        """Give up the lead where most of the present members do not reach this one: it may be this one that is cut off from them."""
        term = self.leading
        if term is None or not term.open or not self._peers.rivals or 2 * len(term.silent_doors) <= len(term.doors):
            return
        if self._gave_up_at is not None and now < self._gave_up_at + self._settings.island_again_ms * MILLISECOND:
            return
        self._gave_up_at, self._rest_ms = now, self._settings.island_wait_ms
        silent, seconds = len(term.silent_doors), self._settings.island_after_ms // 1_000
        term.give_up(
            f"{silent} of {len(term.doors)} other members that are present have not reached this one for {seconds} s; let another lead"
        )

    async def _take_over(self, leadership: Leadership) -> Term | None:
        """Begin a term, or let go of the lead: None, or raises `StoreError`."""
        term: Term | None = None
        try:
            if await self._at_head():
                term = self._candidate.term(leadership, await self._floor())
                await term.begin()
        except BaseException:
            await self._let_go(leadership, term)
            raise
        if term is None:
            await self._let_go(leadership, None)
            return None
        self.leading = term
        self._candidate.lead(term)
        return term

    async def _let_go(self, leadership: Leadership, term: Term | None) -> None:
        if term is not None:
            await term.close()
        else:
            await leadership.resign()
        if self._store.caps.shared:
            await self._following.stop()
            self._following.start()

    async def _at_head(self) -> bool:
        """Bring the view to the end of what was ever acknowledged, and stop following there."""
        following = self._following
        head = await self._store.head()
        if not self._store.caps.shared:
            if following.base.position != head:
                await following.load()
            return True
        if not await following.caught_up(head, self._settings.catch_up_ms):
            _log.warning("elected, but the view does not reach the store's head; another member may lead")
            return False
        await following.stop()
        if following.base.position != head:
            return False
        following.base.position = head  # with the store's own cursor
        return True

    async def _floor(self) -> Revision:
        """The highest revision that this member or a present one has shown to anybody."""
        others = [spawn(self._greet(card), name="greet") for card in self._peers.others]
        if others:
            await asyncio.wait(others, timeout=self._settings.greet_timeout_ms / 1_000)
            for other in others:
                other.cancel()
        seen = [other.result() for other in others if other.done() and not other.cancelled()]
        return max([self._following.highest, *seen])

    async def _greet(self, card: Card) -> Revision:
        try:
            reply = await self._peers.ask(card, msg.Greet())
        except UnreachableError:
            return Revision(0)
        return reply.revision if isinstance(reply, msg.Reached) else Revision(0)

    async def _step_down(self, term: Term, reason: str) -> None:
        _log.warning("stepping down: %s", reason)
        self.leading = None
        await term.close()
        self._candidate.follow(reason)
        self._following.start()

"""Handing the lead over: the member that leads finishes what it took, gives up the lead, and leaves it to the others for a while.

It can be asked for at any member. Which of the others leads then is theirs to settle. It lives as long as the registry.
"""

import asyncio
from typing import Final

from callboard.registry import messages as msg
from callboard.registry.candidacy import Candidacy
from callboard.registry.following import Following
from callboard.registry.line import Line
from callboard.registry.means import Means
from callboard.registry.peers import Peers, UnreachableError
from callboard.registry.pending import Promise

NOBODY: Final = "cannot find peer"
"""There is no other member; Consul's words."""


class HandingOver:
    """One at a time."""

    def __init__(self, means: Means, candidacy: Candidacy, peers: Peers, line: Line, following: Following) -> None:
        self._means = means
        self._candidacy = candidacy
        self._peers = peers
        self._line = line
        self._following = following
        self._running: Promise[str] | None = None

    def begin(self) -> Promise[str]:
        """Empty when another member leads, else what was in the way."""
        if not self._peers.rivals:
            return Promise.of(NOBODY)
        if self._running is not None and not self._running.known:
            return Promise.of("the lead is being handed over already")
        promise = self._running = Promise()
        self._means.tasks.spawn(self._run(promise), name="hand over")
        return promise

    async def _run(self, promise: Promise[str]) -> None:
        over = self._following.term_over
        refusal = await self._give_up()
        if not refusal:
            done, _ = await asyncio.wait({over}, timeout=self._means.settings.leader_wait_ms / 1_000)
            refusal = "" if done else "the lead was given up, but no other member took it in time; look at /v1/status/leader"
        promise.tell(refusal)

    async def _give_up(self) -> str:
        if self._candidacy.leading is not None:
            await self._candidacy.hand_over()
            return ""
        leading = self._line.leading()
        if leading is None:
            return "No cluster leader"
        try:
            reply = await self._peers.ask(leading.card, msg.HandOver(leading.term))
        except UnreachableError as error:
            return f"the leader was not reached: {error}"
        return "" if isinstance(reply, msg.Ended) else "the member that was asked leads no longer; try again"

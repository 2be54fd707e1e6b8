"""The line to the member that leads, from one that does not: who that is, and a question to it that is given up when its term is over.

It lives as long as the registry.
"""

import asyncio
from typing import Any, NamedTuple

from callboard.model.members import Card
from callboard.net.tasks import spawn
from callboard.registry import messages as msg
from callboard.registry.following import Following
from callboard.registry.peers import Peers, UnreachableError


class Leading(NamedTuple):
    """Another member that leads, as far as this one knows, and its term."""

    card: Card
    term: int


class Line:
    """Used by both lanes, the commands' and the heartbeats'."""

    def __init__(self, peers: Peers, following: Following, own: str) -> None:
        self._peers = peers
        self._following = following
        self._own = own

    @property
    def term(self) -> int:
        """The latest term this member knows of."""
        return self._following.base.term.number

    def leading(self) -> Leading | None:
        """The other member that leads; None when it is not present, or this one."""
        term = self._following.base.term
        card = self._peers.named(term.member)
        return Leading(card, term.number) if card is not None and card.nonce != self._own else None

    async def ask(self, leading: Leading, message: msg.Message) -> msg.Reply:
        """Raises `UnreachableError`, also as soon as the feed tells of a later term: whoever led before may be gone without a word."""
        over = self._following.term_over
        if self.term != leading.term:
            raise UnreachableError("its term is over", sent=False)
        asking = spawn(self._peers.ask(leading.card, message), name="ask the leader")
        either: set[asyncio.Future[Any]] = {asking, over}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            raise UnreachableError("its term has ended meanwhile")
        finally:
            asking.cancel()

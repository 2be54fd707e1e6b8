"""The other members: who is present, and how a message reaches one of them, round a broken link if need be.

It lives as long as the registry. The bytes are carried by a courier, which the peer frontend brings (and tests in virtual time); what
they say is in `registry.messages`.
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from callboard.model.errors import CallboardError
from callboard.model.members import Card
from callboard.model.time import MILLISECOND, Instant
from callboard.registry import messages as msg
from callboard.registry.means import Means

_log = logging.getLogger(__name__)
DIRECT_AGAIN_MS: Final = 5_000
"""How long a link that failed is not tried first."""


class UnreachableError(CallboardError):
    """There was no answer. The message may have arrived all the same, if it was `sent`."""

    code = "unreachable"

    def __init__(self, problem: str, *, sent: bool = True) -> None:
        super().__init__(problem)
        self.sent = sent


class Courier(Protocol):
    """Carries one message to a member and its answer back."""

    async def exchange(self, to: Card, message: bytes, timeout_s: float) -> bytes:
        """Raises `UnreachableError`."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class Peers:
    """Who is present besides this member, and the ways to them."""

    def __init__(self, means: Means, card: Card, changed: Callable[[], None]) -> None:
        self.card = card
        self.courier: Courier | None = None
        self.present: tuple[Card, ...] = ()
        """Everyone, this member included, as the store tells."""
        self._store = means.store
        self._settings = means.settings
        self._clock = means.clock
        self._stats = means.stats
        self._changed = changed
        self._broken: dict[str, Instant] = {}
        self._turn = 0

    @property
    def others(self) -> tuple[Card, ...]:
        """Every other server; for a worker, its own is one."""
        return tuple(card for card in self.servers if card.nonce != self.card.nonce)

    @property
    def rivals(self) -> tuple[Card, ...]:
        """Every server but that of this process: one of them could lead instead."""
        own = self.card.worker_of or self.card.name
        return tuple(card for card in self.servers if card.name != own)

    @property
    def servers(self) -> tuple[Card, ...]:
        """Everyone who is a server: workers belong to one."""
        return tuple(card for card in self.present if not card.worker_of)

    def named(self, name: str) -> Card | None:
        """The present member of that name."""
        return next((card for card in self.present if card.name == name), None)

    async def watch(self) -> None:
        """Follow the store's word on who is present, until it is closed."""
        async for present in self._store.members():
            gone = {card.nonce for card in self.present} - {card.nonce for card in present}
            for nonce in gone:
                self._broken.pop(nonce, None)
            self.present = present
            self._changed()

    async def ask(self, to: Card, message: msg.Message, timeout_ms: int = 0) -> msg.Reply:
        """One exchange, directly or through a third member. Raises `UnreachableError`: then nobody knows whether it arrived.

        `timeout_ms` for each way; the settings' when it is 0.
        """
        timeout_s = (timeout_ms or self._settings.exchange_timeout_ms) / 1_000
        data = msg.encode(message)
        now = self._clock.now()
        through = self._third(to)
        broken = self._broken.get(to.nonce)
        if through is not None and broken is not None and now < broken:
            return await _either(self._relay(through, to, data, timeout_s), self._direct(to, data, timeout_s))
        if through is None:
            return await self._direct(to, data, timeout_s)
        return await _either(self._direct(to, data, timeout_s), self._relay(through, to, data, timeout_s))

    def _third(self, to: Card) -> Card | None:
        """Another member to go through; another one each time."""
        thirds = [card for card in self.others if card.nonce != to.nonce]
        if not thirds:
            return None
        self._turn += 1
        return thirds[self._turn % len(thirds)]

    async def _direct(self, to: Card, data: bytes, timeout_s: float) -> msg.Reply:
        try:
            reply = _decoded(await self._exchange(to, data, timeout_s))
        except UnreachableError:
            self._broken[to.nonce] = Instant(self._clock.now() + DIRECT_AGAIN_MS * MILLISECOND)
            raise
        self._broken.pop(to.nonce, None)
        return reply

    async def _relay(self, through: Card, to: Card, data: bytes, timeout_s: float) -> msg.Reply:
        reply = _decoded(await self._exchange(through, msg.encode(msg.Relay(to.nonce, data)), timeout_s))
        if isinstance(reply, msg.Relayed):
            self._stats.relayed += 1
            return _decoded(reply.answer)
        detail = reply.detail if isinstance(reply, msg.Unreached) else f"an answer of the wrong kind ({type(reply).__name__})"
        sent = reply.sent if isinstance(reply, msg.Unreached) else True
        raise UnreachableError(f"member {to.name} was reached neither directly nor through {through.name}: {detail}", sent=sent)

    async def _exchange(self, to: Card, data: bytes, timeout_s: float) -> bytes:
        if self.courier is None or not to.url:
            raise UnreachableError(f"member {to.name} takes no messages", sent=False)
        return await self.courier.exchange(to, data, timeout_s)

    async def hand_on(self, relay: msg.Relay) -> msg.Reply:
        """Be the third member."""
        to = next((card for card in self.present if card.nonce == relay.to), None)
        if to is None:
            return msg.Unreached("no present member has that nonce", sent=False)
        try:
            return msg.Relayed(await self._exchange(to, relay.message, self._settings.exchange_timeout_ms / 1_000))
        except UnreachableError as error:
            return msg.Unreached(str(error), sent=error.sent)

    async def close(self) -> None:
        """Let go."""
        if self.courier is not None:
            await self.courier.close()


async def _either(first: Coroutine[Any, Any, msg.Reply], second: Coroutine[Any, Any, msg.Reply]) -> msg.Reply:
    """The reply of the first way, else of the second. Raises `UnreachableError`, `sent` if it was sent on either."""
    try:
        reply = await first
    except UnreachableError as error:
        try:
            reply = await second
        except UnreachableError as again:
            raise UnreachableError(str(again), sent=error.sent or again.sent) from again
        if error.sent and isinstance(reply, msg.NotLeading):
            raise UnreachableError("it was not taken now, but an earlier sending may have been") from error
        return reply
    except BaseException:
        second.close()
        raise
    second.close()
    return reply


def _decoded(data: bytes) -> msg.Reply:
    try:
        return msg.decode_reply(data)
    except msg.MessageError as error:
        raise UnreachableError(str(error)) from error

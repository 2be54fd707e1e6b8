"""Who is present at one engine: the process that holds it, and its workers. Lives as long as the engine is held; on the loop only."""

import asyncio
from collections.abc import AsyncIterator

from callboard.model.errors import NameTakenError
from callboard.model.members import Card
from callboard.model.time import Instant


class HeldMembership:
    """The presence of one process; it lasts until that leaves, its channel ends, or somebody expels it."""

    def __init__(self, presence: "Presence", card: Card) -> None:
        self._presence = presence
        self._over = asyncio.Event()
        self.card = card

    def confirmed_until(self) -> Instant | None:
        return Instant(0) if self._over.is_set() else None

    async def lost(self) -> None:
        await self._over.wait()

    async def leave(self) -> None:
        self.end()

    def end(self) -> None:
        """Over: the others are told."""
        if not self._over.is_set():
            self._over.set()
            self._presence.forget(self)


class Presence:
    """One membership per name."""

    def __init__(self) -> None:
        self._present: dict[str, HeldMembership] = {}
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def cards(self) -> tuple[Card, ...]:
        """Everyone's card, by name."""
        return tuple(self._present[name].card for name in sorted(self._present))

    def join(self, card: Card) -> HeldMembership:
        """Present from now on. A process that joins again ends its own earlier membership. Raises `NameTakenError`."""
        there = self._present.get(card.name)
        if there is not None:
            if there.card.nonce != card.nonce:
                raise NameTakenError(card.name, there.card.url)
            there.end()
        self._present[card.name] = joined = HeldMembership(self, card)
        self._wake()
        return joined

    def expel(self, name: str) -> None:
        """End the membership of `name`, if there is one."""
        if (there := self._present.get(name)) is not None:
            there.end()

    def forget(self, membership: HeldMembership) -> None:
        """`membership` has ended."""
        if self._present.get(membership.card.name) is membership:
            del self._present[membership.card.name]
            self._wake()

    async def watch(self) -> AsyncIterator[tuple[Card, ...]]:
        """Everyone, at once and after each change, until it is closed."""
        told: tuple[Card, ...] | None = None
        while not self._closed:
            if self.cards == told:
                await self._changed.wait()
            else:
                told = self.cards
                yield told

    def close(self) -> None:
        """Everyone's presence is over."""
        for membership in list(self._present.values()):
            membership.end()
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

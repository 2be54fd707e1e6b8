"""Who is present at an engine without leases, kept in the process that has the engine open. On the loop only; lives as long as its engine.

Beside the contract, for every store of that kind: a membership lasts until its member leaves, its store is closed, or somebody expels it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from callboard.model.errors import NameTakenError
from callboard.model.members import Card
from callboard.model.time import Instant


class LocalMembership:
    """The presence of one member."""

    def __init__(self, presence: "Presence", card: Card) -> None:
        self._presence = presence
        self._over = asyncio.Event()
        self.card = card

    def confirmed_until(self) -> Instant | None:
        """As `Membership` says it."""
        return Instant(0) if self._over.is_set() else None

    async def lost(self) -> None:
        """As `Membership` says it."""
        await self._over.wait()

    async def leave(self) -> None:
        """As `Membership` says it."""
        self.end()

    def end(self) -> None:
        """Over: the others are told."""
        if not self._over.is_set():
            self._over.set()
            self._presence.forget(self)


class Presence:
    """One membership per name."""

    def __init__(self) -> None:
        self._present: dict[str, LocalMembership] = {}
        self._changed = asyncio.Event()

    @property
    def cards(self) -> tuple[Card, ...]:
        """Everyone's card, by name."""
        return tuple(self._present[name].card for name in sorted(self._present))

    def join(self, card: Card) -> LocalMembership:
        """Present from now on. A process that joins again ends its own earlier membership. Raises `NameTakenError`."""
        there = self._present.get(card.name)
        if there is not None:
            if there.card.nonce != card.nonce:
                raise NameTakenError(card.name, there.card.url)
            there.end()
        self._present[card.name] = joined = LocalMembership(self, card)
        self.wake()
        return joined

    def expel(self, name: str) -> None:
        """End the membership of `name`, if there is one, as an engine with leases does when one runs out."""
        if (there := self._present.get(name)) is not None:
            there.end()

    def forget(self, membership: LocalMembership) -> None:
        """`membership` has ended."""
        if self._present.get(membership.card.name) is membership:
            del self._present[membership.card.name]
            self.wake()

    async def watch(self, is_open: Callable[[], bool]) -> AsyncIterator[tuple[Card, ...]]:
        """Everyone, at once and after each change, as long as `is_open`; whoever changes that calls `wake`."""
        told: tuple[Card, ...] | None = None
        while is_open():
            if self.cards == told:
                await self._changed.wait()
            else:
                told = self.cards
                yield told

    def end(self) -> None:
        """Everyone's presence is over; whoever watches looks again."""
        for membership in list(self._present.values()):
            membership.end()
        self.wake()

    def wake(self) -> None:
        """Let everyone who watches look again."""
        self._changed.set()
        self._changed = asyncio.Event()

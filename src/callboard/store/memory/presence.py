"""Who is present on a memory engine. A membership lasts until its member leaves, its store is closed, or the engine expels it."""

import asyncio

from callboard.model.errors import NameTakenError
from callboard.model.members import Card
from callboard.model.time import Instant


class MemoryMembership:
    """The presence of one member."""

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
    """The memberships of one engine, one per name."""

    def __init__(self) -> None:
        self._present: dict[str, MemoryMembership] = {}
        self.changed = asyncio.Event()

    @property
    def cards(self) -> tuple[Card, ...]:
        """Everyone's card, by name."""
        return tuple(self._present[name].card for name in sorted(self._present))

    def join(self, card: Card) -> MemoryMembership:
        """Present from now on. A process that joins again ends its own earlier membership. Raises `NameTakenError`."""
        there = self._present.get(card.name)
        if there is not None:
            if there.card.nonce != card.nonce:
                raise NameTakenError(card.name, there.card.url)
            there.end()
        self._present[card.name] = joined = MemoryMembership(self, card)
        self.wake()
        return joined

    def expel(self, name: str) -> None:
        """End the membership of `name`, if there is one, as an engine with leases does when one runs out."""
        if (there := self._present.get(name)) is not None:
            there.end()

    def forget(self, membership: MemoryMembership) -> None:
        """`membership` has ended."""
        if self._present.get(membership.card.name) is membership:
            del self._present[membership.card.name]
            self.wake()

    def wake(self) -> None:
        """Let everyone who waits look again."""
        self.changed.set()
        self.changed = asyncio.Event()

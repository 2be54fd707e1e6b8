"""Who is present on a data directory: the one server that owns it. Lives as long as the store; on the loop only."""

import asyncio

from callboard.model.errors import NameTakenError
from callboard.model.members import Card
from callboard.model.time import Instant


class SqliteMembership:
    """The presence of the only member there can be; it lasts until that member leaves or the store is closed."""

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
        """Over."""
        if not self._over.is_set():
            self._over.set()
            self._presence.forget(self)


class Presence:
    """The one membership, or none."""

    def __init__(self) -> None:
        self._joined: SqliteMembership | None = None
        self.changed = asyncio.Event()

    @property
    def cards(self) -> tuple[Card, ...]:
        """The one member's card."""
        return (self._joined.card,) if self._joined is not None else ()

    def join(self, card: Card) -> SqliteMembership:
        """Present from now on. A process that joins again ends its own earlier membership. Raises `NameTakenError`."""
        if self._joined is not None:
            if self._joined.card.nonce != card.nonce:
                raise NameTakenError(self._joined.card.name, self._joined.card.url)
            self._joined.end()
        self._joined = joined = SqliteMembership(self, card)
        self.wake()
        return joined

    def forget(self, membership: SqliteMembership) -> None:
        """`membership` has ended."""
        if self._joined is membership:
            self._joined = None
            self.wake()

    def close(self) -> None:
        """End the membership; whoever waits looks again."""
        if self._joined is not None:
            self._joined.end()
        self.wake()

    def wake(self) -> None:
        """Let everyone who waits look again."""
        self.changed.set()
        self.changed = asyncio.Event()

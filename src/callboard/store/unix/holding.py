"""The engine in the process that holds it: for that process a store like any other, shared with the workers; they come in by `serving`.

Presence is kept here, not in the engine: a data directory has one member, and workers are no servers. It lives as long as the server.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import AsyncIterator

from callboard.model.members import Card
from callboard.model.rows import Group, Position
from callboard.store.contract import Caps, Health, Leadership, Membership, Snapshot, Store
from callboard.store.presence import Presence
from callboard.store.unix.messages import encode_group
from callboard.store.unix.settings import UnixSettings


class HeldStore:
    """The contract over any engine that this process has open. Make it in a running loop."""

    def __init__(self, engine: Store, settings: UnixSettings) -> None:
        self.engine = engine
        self.settings = settings
        self.stats: object = getattr(engine, "stats", None)
        self.presence = Presence()
        self._encoded: OrderedDict[bytes, bytes] = OrderedDict()
        self._encoded_bytes = 0
        self._closed = False

    @property
    def caps(self) -> Caps:
        """The engine's, but for who may use it: every worker; and whose it is: this process's, as long as it lives."""
        return dataclasses.replace(self.engine.caps, shared=True, held=True)

    async def open(self) -> None:
        await self.engine.open()
        self._closed = False

    async def load(self) -> Snapshot:
        return await self.engine.load()

    def follow(self, after: Position) -> AsyncIterator[Group]:
        return self.engine.follow(after)

    async def head(self) -> Position:
        return await self.engine.head()

    async def campaign(self, member: str) -> Leadership:
        return await self.engine.campaign(member)

    async def commit(self, group: Group, by: Leadership) -> Position:
        return await self.engine.commit(group, by)

    async def join(self, card: Card) -> Membership:
        await self.engine.head()  # raises where it is not open
        return self.presence.join(card)

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        await self.engine.head()
        async for cards in self.presence.watch(lambda: not self._closed):
            yield cards

    def health(self) -> Health:
        return self.engine.health()

    async def close(self) -> None:
        self._closed = True
        self.presence.end()
        await self.engine.close()

    def encoded(self, group: Group) -> bytes:
        """A group as every worker is sent it."""
        data = self._encoded.get(group.mark)
        if data is None:
            data = self._encoded[group.mark] = encode_group(group)
            self._encoded_bytes += len(data)
            while self._encoded_bytes > self.settings.groups_encoded_max_bytes and len(self._encoded) > 1:
                self._encoded_bytes -= len(self._encoded.popitem(last=False)[1])
        return data

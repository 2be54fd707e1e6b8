"""One member's handle on a memory engine. It lives from `open` to `close`; the engine and its rows may live longer."""

from collections.abc import AsyncIterator, Sequence

from callboard.model.errors import UnavailableError
from callboard.model.members import Card
from callboard.model.rows import Group, Position, Row
from callboard.store.contract import Caps, Health, Leadership, Membership, Snapshot
from callboard.store.memory.engine import MemoryEngine, MemoryLeadership
from callboard.store.presence import LocalMembership


class MemoryStore:
    """The contract over a `MemoryEngine`; several handles on one engine are several members."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.stats = engine.stats
        self._is_open = False
        self._leadership: MemoryLeadership | None = None
        self._membership: LocalMembership | None = None

    @property
    def caps(self) -> Caps:
        return self.engine.caps

    async def open(self) -> None:
        self._is_open = True

    async def load(self) -> Snapshot:
        self._require_open()
        return Snapshot(self.engine.head, self._batches(list(self.engine.rows.values())))

    async def _batches(self, rows: list[Row]) -> AsyncIterator[Sequence[Row]]:
        size = self.engine.settings.load_batch_max_rows
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        self._require_open()
        position = after
        while self._is_open:
            group = self.engine.next_group(position)
            if group is None:
                await self.engine.changed.wait()
            else:
                yield group
                position = group.position

    async def head(self) -> Position:
        self._require_open()
        return self.engine.head

    async def campaign(self, member: str) -> Leadership:
        while True:
            self._require_open()
            leadership = self.engine.elect(member)
            if leadership is not None:
                self._leadership = leadership
                return leadership
            await self.engine.vacant.wait()

    async def commit(self, group: Group, by: Leadership) -> Position:
        self._require_open()
        return self.engine.commit(group, by)

    async def close(self) -> None:
        self._is_open = False
        if self._leadership is not None:
            self._leadership.end()
        if self._membership is not None:
            self._membership.end()
        self.engine.wake()

    async def join(self, card: Card) -> Membership:
        self._require_open()
        self._membership = self.engine.presence.join(card)
        return self._membership

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        self._require_open()
        async for cards in self.engine.presence.watch(lambda: self._is_open):
            yield cards

    def health(self) -> Health:
        return Health(self._is_open, "" if self._is_open else "the store is not open")

    def _require_open(self) -> None:
        if not self._is_open:
            raise UnavailableError("the store is not open")

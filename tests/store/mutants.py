"""Stores with one fault each, made by wrapping a sound one. The suite must name the guarantee that the fault breaks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

from callboard.model.errors import CompactedError, DeposedError, DivergedError, FullError, StoreError
from callboard.model.members import Card
from callboard.model.rows import Group, Position, Revision, Row
from callboard.model.time import Instant
from callboard.store.contract import Caps, Health, Leadership, Membership, Snapshot, Store
from callboard.testing.store_suite_kit import Harness


class Passing:
    """No fault: everything goes to the store behind."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def caps(self) -> Caps:
        return self.store.caps

    async def open(self) -> None:
        await self.store.open()

    async def load(self) -> Snapshot:
        return await self.store.load()

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        async for group in self.store.follow(after):
            yield group

    async def head(self) -> Position:
        return await self.store.head()

    async def campaign(self, member: str) -> Leadership:
        return await self.store.campaign(member)

    async def commit(self, group: Group, by: Leadership) -> Position:
        return await self.store.commit(group, by)

    async def close(self) -> None:
        await self.store.close()

    async def join(self, card: Card) -> Membership:
        return await self.store.join(card)

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        async for cards in self.store.members():
            yield cards

    def health(self) -> Health:
        return self.store.health()


class Reordered(Passing):
    async def follow(self, after: Position) -> AsyncIterator[Group]:
        held: Group | None = None
        async for group in self.store.follow(after):
            if held is None:
                held = group
            else:
                yield group
                yield held
                held = None


class Repeated(Passing):
    async def follow(self, after: Position) -> AsyncIterator[Group]:
        async for group in self.store.follow(after):
            yield group
            yield group


class Torn(Passing):
    async def follow(self, after: Position) -> AsyncIterator[Group]:
        async for group in self.store.follow(after):
            keys = list(group.rows)
            for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
                if half:
                    yield replace(group, rows={key: group.rows[key] for key in half})


class WithoutOutcomes(Passing):
    async def follow(self, after: Position) -> AsyncIterator[Group]:
        async for group in self.store.follow(after):
            yield replace(group, outcomes=())


class LoadedInHalves(Passing):
    """The last batch of a load is from another moment than the rest."""

    async def load(self) -> Snapshot:
        snapshot = await self.store.load()
        return Snapshot(snapshot.position, self._batches(snapshot))

    async def _batches(self, snapshot: Snapshot) -> AsyncIterator[Sequence[Row]]:
        async for batch in snapshot.batches:
            yield batch[: len(batch) // 2]
            now = {row.key: row async for later in (await self.store.load()).batches for row in later}
            yield [now[row.key] for row in batch[len(batch) // 2 :] if row.key in now]


class WithoutMetaRows(Passing):
    async def load(self) -> Snapshot:
        snapshot = await self.store.load()
        return Snapshot(snapshot.position, self._batches(snapshot))

    async def _batches(self, snapshot: Snapshot) -> AsyncIterator[Sequence[Row]]:
        async for batch in snapshot.batches:
            yield [row for row in batch if not row.key.startswith("meta/")]


class Dropped(Passing):
    async def follow(self, after: Position) -> AsyncIterator[Group]:
        count = 0
        async for group in self.store.follow(after):
            count += 1
            if count != 2:
                yield group


class Silent(Passing):
    """What should be told is waited out."""

    def __init__(self, store: Store, untold: type[StoreError]) -> None:
        super().__init__(store)
        self._untold = untold

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        try:
            async for group in self.store.follow(after):
                yield group
        except self._untold:
            await asyncio.Event().wait()


class LedOverTheGap(Passing):
    """A follower that is too late goes on at the head."""

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        while True:
            try:
                async for group in self.store.follow(after):
                    after = group.position
                    yield group
            except CompactedError:
                after = await self.store.head()


class AcknowledgedEarly(Passing):
    """A group is answered first, and written when the next call needs it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._owed: tuple[Group, Leadership] | None = None

    async def _pay(self) -> None:
        if self._owed is not None:
            owed, self._owed = self._owed, None
            await self.store.commit(*owed)

    async def commit(self, group: Group, by: Leadership) -> Position:
        await self._pay()
        self._owed = (group, by)
        return group.position

    async def head(self) -> Position:
        await self._pay()
        return await self.store.head()


class Rebased(Passing):
    """A group that does not follow meta/head is moved to where it does."""

    async def commit(self, group: Group, by: Leadership) -> Position:
        try:
            return await self.store.commit(group, by)
        except DeposedError:
            head = await self.store.head()
            first = Revision(head.revision + 1)
            last = Revision(first + len(group.rows))
            return await self.store.commit(replace(group, after=head, first=first, last=last), by)


class UnfencedReads(Passing):
    async def commit(self, group: Group, by: Leadership) -> Position:
        return await self.store.commit(group, by) if group.rows else group.after


class AnyLeader(Passing):
    """Whoever commits, it counts as the present leader."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._present: Leadership | None = None

    async def campaign(self, member: str) -> Leadership:
        self._present = await self.store.campaign(member)
        return self._present

    async def commit(self, group: Group, by: Leadership) -> Position:
        return await self.store.commit(group, self._present or by)


class StaleHead(Passing):
    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._last: Position | None = None

    async def head(self) -> Position:
        now = await self.store.head()
        stale, self._last = self._last or now, now
        return stale


class SharedLead:
    """The lead of somebody else, in one's own name."""

    def __init__(self, leadership: Leadership) -> None:
        self.leadership = leadership

    def confirmed_until(self) -> Instant | None:
        return self.leadership.confirmed_until()

    async def lost(self) -> None:
        await self.leadership.lost()

    async def resign(self) -> None:
        await self.leadership.resign()


class TwoLeaders(Passing):
    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._lead: Leadership | None = None

    async def campaign(self, member: str) -> Leadership:
        if self._lead is None:
            self._lead = await self.store.campaign(member)
        return SharedLead(self._lead)

    async def commit(self, group: Group, by: Leadership) -> Position:
        return await self.store.commit(group, by.leadership if isinstance(by, SharedLead) else by)


class ConfirmedForEver(Passing):
    """Who has resigned still looks confirmed."""

    async def campaign(self, member: str) -> Leadership:
        return _ForEver(await self.store.campaign(member))

    async def commit(self, group: Group, by: Leadership) -> Position:
        return await self.store.commit(group, by.leadership if isinstance(by, _ForEver) else by)


class _ForEver(SharedLead):
    def confirmed_until(self) -> Instant | None:
        return None


class LandsTwice(Passing):
    """A group sent again is written again."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._seen: set[bytes] = set()

    async def commit(self, group: Group, by: Leadership) -> Position:
        if group.mark in self._seen:
            head = await self.store.head()
            again = replace(group, after=head, first=Revision(head.revision + 1), last=Revision(head.revision + 9), mark=group.mark + b"'")
            return await self.store.commit(again, by)
        self._seen.add(group.mark)
        return await self.store.commit(group, by)


class SmallerThanItSays(Passing):
    """The limits it names are not those it keeps."""

    @property
    def caps(self) -> Caps:
        return replace(self.store.caps, value_bytes=self.store.caps.value_bytes // 2)


class FullForGood(Passing):
    """Once full, removals are refused too."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._full: FullError | None = None

    async def commit(self, group: Group, by: Leadership) -> Position:
        if self._full is not None:
            raise self._full
        try:
            return await self.store.commit(group, by)
        except FullError as error:
            self._full = error
            raise


class OpenForEver(Passing):
    """A feed outlives its store."""

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        async for group in self.store.follow(after):
            yield group
        await asyncio.Event().wait()


class MutantHarness:
    """`inner`, with every handle wrapped."""

    def __init__(self, inner: Harness, mutate: Callable[[Store], Passing], patience_s: float = 1.0) -> None:
        self.patience_s = patience_s
        self._inner = inner
        self._mutate = mutate

    @property
    def deviations(self) -> Mapping[str, str]:
        return self._inner.deviations

    @deviations.setter
    def deviations(self, table: Mapping[str, str]) -> None:
        self._inner.deviations = table

    async def open(self) -> Store:
        return self._mutate(await self._inner.open())

    async def kill(self, store: Store) -> Store:
        assert isinstance(store, Passing)
        return self._mutate(await self._inner.kill(store.store))

    async def backup(self) -> object:
        return await self._inner.backup()

    async def rewind(self, backup: object) -> None:
        await self._inner.rewind(backup)

    async def depose(self) -> None:
        await self._inner.depose()

    async def expel(self, name: str) -> None:
        await self._inner.expel(name)

    async def close(self) -> None:
        await self._inner.close()


def silent(untold: type[CompactedError] | type[DivergedError]) -> Callable[[Store], Passing]:
    """A mutant that does not tell one error of `follow`."""
    return lambda store: Silent(store, untold)

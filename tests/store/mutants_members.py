"""Stores with one fault each in what members see of each other, also over several handles on one engine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from callboard.model.members import Card
from callboard.model.rows import Group, Key, Position, Revision, Row
from callboard.model.time import Instant
from callboard.store.contract import Health, Leadership, Membership, Store
from tests.store.mutants import Passing, SharedLead


class ToldOnlyToTheLeader(Passing):
    """Another member gets the rows, and not what became of the commands."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._leads = False

    async def campaign(self, member: str) -> Leadership:
        self._leads = True
        return await self.store.campaign(member)

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        async for group in self.store.follow(after):
            yield group if self._leads else replace(group, outcomes=())


class DeafToOthers(Passing):
    """Only who leads hears of new groups; another must ask again."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._leads = False

    async def campaign(self, member: str) -> Leadership:
        self._leads = True
        return await self.store.campaign(member)

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        until = await self.store.head()
        async for group in self.store.follow(after):
            if not self._leads and group.first > until.revision:
                await asyncio.Event().wait()
            yield group


def any_member_of_an_engine() -> Callable[[Store], Passing]:
    """The engine judges who leads, but not whether it is the one that commits."""
    present: list[Leadership] = []

    class Mutant(Passing):
        async def campaign(self, member: str) -> Leadership:
            present[:] = [await self.store.campaign(member)]
            return present[0]

        async def commit(self, group: Group, by: Leadership) -> Position:
            return await self.store.commit(group, present[0])

    return Mutant


class DeposedUnknowing(Passing):
    """A lead that the engine has taken still looks confirmed to whoever had it."""

    async def campaign(self, member: str) -> Leadership:
        return _Unknowing(await self.store.campaign(member))

    async def commit(self, group: Group, by: Leadership) -> Position:
        return await self.store.commit(group, by.leadership if isinstance(by, _Unknowing) else by)


class _Unknowing(SharedLead):
    def __init__(self, leadership: Leadership) -> None:
        super().__init__(leadership)
        self._resigned = False

    def confirmed_until(self) -> Instant | None:
        return Instant(0) if self._resigned else None

    async def resign(self) -> None:
        self._resigned = True
        await super().resign()


class NeverMissed(Passing):
    """Who was present once stays in the list."""

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        known: dict[str, Card] = {}
        async for cards in self.store.members():
            known.update((card.name, card) for card in cards)
            yield tuple(known[name] for name in sorted(known))


class ToldOnce(Passing):
    """The list as it is when one asks, and no change."""

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        async for cards in self.store.members():
            yield cards
            await asyncio.Event().wait()


class SeesItselfAlone(Passing):
    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._name = ""

    async def join(self, card: Card) -> Membership:
        self._name = card.name
        return await self.store.join(card)

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        async for cards in self.store.members():
            yield tuple(card for card in cards if card.name == self._name)


class TwoOfOneName(Passing):
    """Whoever comes later has the name."""

    async def join(self, card: Card) -> Membership:
        async for cards in self.store.members():
            for there in cards:
                if there.name == card.name:
                    await (await self.store.join(there)).leave()
            break
        return await self.store.join(card)


class PresentForEver(Passing):
    """A membership that is over still looks confirmed."""

    async def join(self, card: Card) -> Membership:
        return _PresentForEver(await self.store.join(card))


class _PresentForEver:
    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    def confirmed_until(self) -> Instant | None:
        return None

    async def lost(self) -> None:
        await self._membership.lost()

    async def leave(self) -> None:
        await self._membership.leave()


class PresenceIsARow(Passing):
    """Whoever joins is written down."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._lead: Leadership | None = None

    async def campaign(self, member: str) -> Leadership:
        self._lead = await self.store.campaign(member)
        return self._lead

    async def join(self, card: Card) -> Membership:
        if self._lead is not None:
            head = await self.store.head()
            at = Revision(head.revision + 1)
            key = Key(f"m/{card.name}")
            await self.store.commit(Group(head, at, at, card.nonce.encode(), {key: Row(key, b"{}", at)}), self._lead)
        return await self.store.join(card)


class HealthyForEver(Passing):
    def health(self) -> Health:
        return Health(reachable=True)

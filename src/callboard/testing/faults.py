"""A store that fails as engines do: away, full, slow, silent about what it did, or done with its leader. By script or by seed.

It wraps a real store, so what it claims about a group is true of the store below. It lives for one test.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from enum import Enum

from callboard.model.errors import DeposedError, FullError, IndeterminateError, StoreError, UnavailableError
from callboard.model.members import Card
from callboard.model.rows import CommandId, Group, Position
from callboard.store.contract import Caps, Health, Leadership, Membership, Snapshot, Store


class Fault(Enum):
    """What happens to one commit."""

    NONE = "none"
    SLOW = "slow"
    """It lands after a while."""
    UNAVAILABLE = "unavailable"
    FULL = "full"
    LOST = "lost"
    """Indeterminate; it never lands."""
    LANDED = "landed"
    """Indeterminate; it has landed."""
    LATE = "late"
    """Indeterminate; it lands when the store is next asked something."""
    DEPOSED = "deposed"


class FaultyStore:
    """`choose` is asked before each commit what is to happen to it."""

    def __init__(self, store: Store, choose: Callable[[], Fault], slow_s: float = 3.0, *, shared: bool = False) -> None:
        """`shared` False: its one member leads by a lock of its process, as on SQLite."""
        self._store = store
        self._shared = shared
        self.choose = choose
        self._slow_s = slow_s
        self._late: tuple[Group, Leadership] | None = None
        self.acknowledged: set[CommandId] = set()
        """Commands of the groups whose commit returned."""
        self.sent: list[Group] = []
        """Every group that was handed in, again and again if it was."""

    @property
    def caps(self) -> Caps:
        """Of the store below."""
        return replace(self._store.caps, shared=self._shared)

    async def open(self) -> None:
        """No fault."""
        await self._store.open()

    async def load(self) -> Snapshot:
        """No fault."""
        await self._let_land()
        return await self._store.load()

    def follow(self, after: Position) -> AsyncIterator[Group]:
        """No fault."""
        return self._store.follow(after)

    async def head(self) -> Position:
        """No fault."""
        await self._let_land()
        return await self._store.head()

    async def campaign(self, member: str) -> Leadership:
        """No fault."""
        return await self._store.campaign(member)

    async def close(self) -> None:
        """No fault."""
        await self._store.close()

    async def join(self, card: Card) -> Membership:
        """No fault."""
        return await self._store.join(card)

    def members(self) -> AsyncIterator[tuple[Card, ...]]:
        """No fault."""
        return self._store.members()

    def health(self) -> Health:
        """Of the store below."""
        return self._store.health()

    async def commit(self, group: Group, by: Leadership) -> Position:
        """Whatever was chosen."""
        await self._let_land()
        self.sent.append(group)
        fault = self.choose()
        if fault is Fault.SLOW:
            await asyncio.sleep(self._slow_s)
        elif fault is Fault.LANDED:
            await self._store.commit(group, by)
        elif fault is Fault.LATE:
            self._late = (group, by)
        elif fault is Fault.DEPOSED:
            await by.resign()
        if fault in _ERRORS:
            raise _ERRORS[fault](f"fault: {fault.value}")
        position = await self._store.commit(group, by)
        self.acknowledged.update(outcome.command for outcome in group.outcomes)
        return position

    async def _let_land(self) -> None:
        late, self._late = self._late, None
        if late is not None:
            try:
                await self._store.commit(*late)
            except DeposedError:
                return  # too late: the guards of the store hold it off


_ERRORS: Mapping[Fault, type[StoreError]] = {
    Fault.UNAVAILABLE: UnavailableError,
    Fault.FULL: FullError,
    Fault.LOST: IndeterminateError,
    Fault.LANDED: IndeterminateError,
    Fault.LATE: IndeterminateError,
}  # fmt: skip


def by_seed(seed: int, weights: Mapping[Fault, int]) -> Callable[[], Fault]:
    """Faults at random, the same for the same seed; `weights` says how often each comes."""
    chance = random.Random(seed)
    faults, counts = list(weights), list(weights.values())
    return lambda: chance.choices(faults, counts)[0]


def in_order(*faults: Fault) -> Callable[[], Fault]:
    """These faults, one per commit, then none."""
    script = list(reversed(faults))
    return lambda: script.pop() if script else Fault.NONE

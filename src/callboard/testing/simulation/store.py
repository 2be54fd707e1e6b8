"""The store contract over a `LeasedEngine`: one member's handle, with a road between them that delays, loses and hangs.

A handle lives as long as its process; a call that is under way when the process is killed still arrives.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Final, TypeVar

from callboard.model.errors import CallboardError, IndeterminateError, StoreError, UnavailableError
from callboard.model.members import Card
from callboard.model.rows import Group, Position, Row
from callboard.model.time import MILLISECOND, SECOND, Instant
from callboard.net.tasks import Tasks
from callboard.registry.clock import Clock
from callboard.store.contract import Caps, Health, Leadership, Membership, Snapshot
from callboard.testing.simulation.engine import Lease, LeasedEngine
from callboard.testing.simulation.road import CALL_TIMEOUT_S, Fate, Road

T = TypeVar("T")
_MARGIN_NS: Final = 100 * MILLISECOND
_RETRY_S: Final = 0.3
WORLD: Final = Context()
"""Whatever happens outside of every process happens in this context."""
Sent = Callable[[Group, "Right"], None]
"""Told of each commit when it is called."""


class Right:
    """A leadership or membership as its holder knows it."""

    def __init__(self, store: "LeasedStore", lease: Lease, sent: Instant) -> None:
        self._store = store
        self._until = self._end_of(lease, sent)
        self._over = asyncio.Event()
        self.lease = lease

    @staticmethod
    def _end_of(lease: Lease, sent: Instant) -> Instant:
        return Instant(sent + lease.ttl_ns - _MARGIN_NS)

    def confirmed_until(self) -> Instant | None:
        """Counted from before the renewal was sent."""
        return Instant(0) if self._over.is_set() else self._until

    async def lost(self) -> None:
        """When the engine says so, or nothing was heard of it for so long."""
        await self._over.wait()

    async def resign(self) -> None:
        """Give it up; the engine is told if it can be."""
        if not self._over.is_set():
            self.end()
            await self._store.give_up(self.lease)

    async def leave(self) -> None:
        """The same."""
        await self.resign()

    def end(self) -> None:
        """Over."""
        self._over.set()

    async def keep(self) -> None:
        """Renew it again and again."""
        wait_s = self.lease.ttl_ns / SECOND / 3
        while not self._over.is_set():
            await asyncio.sleep(wait_s)
            sent = self._store.clock.now()
            wait_s = self.lease.ttl_ns / SECOND / 3
            try:
                if not await self._store.renew(self.lease):
                    self.end()
                self._until = self._end_of(self.lease, sent)
            except StoreError:
                wait_s = _RETRY_S
                if self._store.eager and self._store.clock.now() >= self._until:
                    self.end()


class LeasedStore:
    """One member's handle."""

    eager = True
    """A lead of which nothing was heard until its time was over counts as lost; else it may still come back."""

    def __init__(self, engine: LeasedEngine, road: Road, clock: Clock, sent: Sent | None = None) -> None:
        self.engine = engine
        self.clock = clock
        self._road = road
        self._sent = sent
        self._is_open = self._closing = False
        self._card = Card(name="", nonce="")
        self._rights: list[Right] = []
        self._tasks = Tasks()
        self._waiting: list[asyncio.Future[None]] = []
        self._unwatch: Callable[[], None] = lambda: None

    @property
    def confirmed(self) -> bool:
        """Whether a lead of this handle is confirmed at this moment."""
        now = self.clock.now()
        return any(right.lease.lead is not None and (right.confirmed_until() or 0) > now for right in self._rights)

    @property
    def caps(self) -> Caps:
        """Of the engine below."""
        return self.engine.rows.caps

    # -- the way there and back

    async def _call(self, apply: Callable[[], T], *, fate: Fate = Fate.LANDS) -> T:
        """Send a request and wait for its answer, as long as `CALL_TIMEOUT_S`."""
        self._require_open()
        if fate is Fate.REFUSED:
            await asyncio.sleep(self._road.span_s())
            raise UnavailableError("the engine refused the connection")
        loop = self.engine.loop
        answer: asyncio.Future[T] = loop.create_future()
        span_s = self._road.span_s()
        gives_up = loop.time() + CALL_TIMEOUT_S
        if fate is Fate.SLOW:
            span_s += self._road.chance.uniform(0.2, 1.2)
        elif fate is Fate.LATE:
            span_s += CALL_TIMEOUT_S + self._road.chance.uniform(0, 4)
            loop.call_at(gives_up, _fail, answer, context=WORLD)
        loop.call_later(span_s, self._receive, apply, answer, fate, gives_up, context=WORLD)
        return await answer

    def _receive(self, apply: Callable[[], T], answer: asyncio.Future[T], fate: Fate, gives_up: float) -> None:
        loop = self.engine.loop
        if self._road.cut or self.engine.down or fate is Fate.LOST:
            loop.call_at(gives_up, _fail, answer, context=WORLD)
            return
        try:
            tell = partial(_answer, answer, apply())
        except CallboardError as error:
            tell = partial(_refuse, answer, error)
        if fate is Fate.UNANSWERED:
            loop.call_at(gives_up, _fail, answer, context=WORLD)
        else:
            loop.call_later(self._road.span_s(), self._bring, answer, tell, gives_up, context=WORLD)

    def _bring(self, answer: asyncio.Future[T], tell: Callable[[], None], gives_up: float) -> None:
        if self._road.cut or self.engine.down:
            self.engine.loop.call_at(gives_up, _fail, answer, context=WORLD)
        else:
            tell()

    async def _ask(self, apply: Callable[[], T]) -> T:
        """A call that may be made again: without an answer it is simply not available."""
        try:
            return await self._call(apply)
        except IndeterminateError:
            raise UnavailableError("the engine does not answer") from None

    def _bell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def _news(self) -> None:
        future: asyncio.Future[None] = self.engine.loop.create_future()
        self._waiting.append(future)
        await future

    # -- the contract

    async def open(self) -> None:
        """Attach. Raises `UnavailableError`."""
        self._is_open, self._closing = True, False
        await self._ask(lambda: None)
        self._unwatch = self.engine.watch(self._bell)
        self._road.watch(self._bell)

    async def load(self) -> Snapshot:
        """Snapshot."""
        engine = self.engine.rows
        position, rows = await self._ask(lambda: (engine.head, list(engine.rows.values())))
        return Snapshot(position, self._batches(rows))

    async def _batches(self, rows: list[Row]) -> AsyncIterator[Sequence[Row]]:
        size = self.engine.rows.settings.load_batch_max_rows
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        """Ordered, Unique, Atomic, Reliable, OneHistory, Told."""
        self._require_open()
        position = after
        while self.is_open():
            groups = self._groups(position)
            if not groups:
                await self._news()
                continue
            await asyncio.sleep(self._road.span_s())
            for group in groups:
                if not self.is_open():
                    return
                yield group
            position = groups[-1].position

    def _groups(self, position: Position) -> list[Group]:
        """What follows, as far as it is told at the moment."""
        groups: list[Group] = []
        if self._road.quiet or self.engine.down:
            return groups
        while (group := self.engine.next_group(position)) is not None:
            groups.append(group)
            position = group.position
        return groups

    async def head(self) -> Position:
        """Head."""
        return await self._ask(lambda: self.engine.head)

    async def campaign(self, member: str) -> Leadership:
        """Lease."""
        card = self._card if self._card.name == member else Card(name=member, nonce="")
        while True:
            self._require_open(closing=False)
            if self.engine.leader is not None or self._road.cut:
                await self._news()
                continue
            sent = self.clock.now()
            try:
                lease = await self._ask(lambda: self.engine.elect(card))
            except UnavailableError:
                await asyncio.sleep(_RETRY_S)
                continue
            if lease is not None:
                right = self._hold(lease, sent)
                try:
                    self._require_open(closing=False)
                except UnavailableError:
                    await right.resign()
                    raise
                return right

    async def commit(self, group: Group, by: Leadership) -> Position:
        """Durable, Atomic, Fenced."""
        assert isinstance(by, Right)
        self._require_open()
        if self._sent is not None:
            self._sent(group, by)
        return await self._call(lambda: self.engine.commit(group, by.lease), fate=self._road.fate())

    async def join(self, card: Card) -> Membership:
        """Lease, Present."""
        sent = self.clock.now()
        lease = await self._ask(lambda: self.engine.join(card))
        self._card = card
        return self._hold(lease, sent)

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        """Present."""
        self._require_open()
        told: tuple[Card, ...] | None = None
        while self._is_open:
            cards = told if self._road.quiet or self.engine.down else self.engine.cards
            if cards is None or cards == told:
                await self._news()
            else:
                await asyncio.sleep(self._road.span_s())
                told = cards
                yield cards

    def health(self) -> Health:
        """As this member sees it."""
        reachable = self._is_open and not self._road.cut and not self.engine.down
        return Health(reachable, "" if reachable else "the engine is not reached")

    async def close(self) -> None:
        """Let go; iterators end."""
        self._closing = True
        rights, self._rights = self._rights, []
        for right in rights:
            await right.resign()
        self._is_open = False
        await self._tasks.close()
        self._unwatch()
        self._bell()

    def is_open(self) -> bool:
        """From `open` to `close`."""
        return self._is_open

    def _require_open(self, *, closing: bool = True) -> None:
        if not self._is_open or (self._closing and not closing):
            raise UnavailableError("the store is not open")

    # -- leases

    def _hold(self, lease: Lease, sent: Instant) -> Right:
        right = Right(self, lease, sent)
        self._rights.append(right)
        if lease.over:
            right.end()
        lease.watchers.append(partial(self._ends, right))
        self._tasks.spawn(right.keep(), name=f"keep {lease.card.name}")
        return right

    def _ends(self, right: Right) -> None:
        self.engine.loop.call_later(self._road.span_s(), self._ended, right, context=WORLD)

    def _ended(self, right: Right) -> None:
        if not self._road.quiet and not self.engine.down:
            right.end()

    async def renew(self, lease: Lease) -> bool:
        """False when it is over. Raises `UnavailableError`."""
        return await self._ask(lambda: self.engine.renew(lease))

    async def give_up(self, lease: Lease) -> None:
        """Tell the engine, if it can be told."""
        try:
            await self._ask(lambda: self.engine.end(lease))
        except StoreError:
            return  # it runs out by itself


def _answer(answer: asyncio.Future[T], value: T) -> None:
    if not answer.done():
        answer.set_result(value)


def _refuse(answer: asyncio.Future[T], error: CallboardError) -> None:
    if not answer.done():
        answer.set_exception(error)


def _fail(answer: asyncio.Future[T]) -> None:
    _refuse(answer, IndeterminateError("the engine did not answer in time"))

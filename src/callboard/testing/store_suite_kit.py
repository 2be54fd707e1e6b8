"""What the cases of the store suite are written with: the harness a store's author provides, and a leader that numbers groups.

A harness lives for one case, and so does the engine behind it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol, Self

from callboard.model.members import Card
from callboard.model.rows import CommandId, Group, Key, Outcome, Position, Revision, Row
from callboard.store.contract import Leadership, Store

Rows = Mapping[str, bytes | None]


class Harness(Protocol):
    """One engine under test, empty at first and small: the suite fills it, and outruns its history.

    Every engine is opened so that it keeps at least 50 and at most 100 groups of history, 1,000 rows of 100 bytes at least, and is full
    after at most 2,000 rows of `caps.value_bytes`. Choose `caps` small: values of 1,000 to 10,000 bytes, groups of 100 to 1,000 rows;
    where groups go in parts, `parts_rows` at most 1,000.
    """

    deviations: Mapping[str, str]
    """Name of a case this store does not pass, and why. A case that is named here and passes is a failure too."""
    patience_s: float
    """How long the suite waits for what must happen."""

    async def open(self) -> Store:
        """A handle of one more member, opened. What only one member can open raises `LockedError`."""
        ...

    async def kill(self, store: Store) -> Store:
        """End the member of `store` without `close`, when it is at rest, and open a new handle on what the engine holds."""
        ...

    async def backup(self) -> object:
        """A backup of the engine, made with its own tools, at rest."""
        ...

    async def rewind(self, backup: object) -> None:
        """Put the engine back to `backup`, under the members that have it open."""
        ...

    async def depose(self) -> None:
        """Take the lead from whoever has it, in the engine and behind its back, as when its lease ran out. Nobody is asked or told."""
        ...

    async def expel(self, name: str) -> None:
        """End the membership of `name` in the same way."""
        ...

    async def close(self) -> None:
        """Close what is still open; never fails."""
        ...


class Scribe:
    """A leader: it holds the lead, and numbers and commits groups of rows."""

    def __init__(self, store: Store, leadership: Leadership, head: Position, name: str) -> None:
        self.store = store
        self.leadership = leadership
        self.head = head
        self.groups: list[Group] = []
        self._name = name
        self._count = 0

    @classmethod
    async def elect(cls, store: Store, name: str = "first") -> Self:
        """Campaign, and begin at the head."""
        leadership = await store.campaign(name)
        return cls(store, leadership, await store.head(), name)

    def group(self, rows: Rows, *, after: Position | None = None) -> Group:
        """The next group. Its numbers grow by more than one now and then, as a real leader's do."""
        self._count += 1
        after = after or self.head
        mark = f"{self._name}-{self._count}".encode()
        if not rows:
            return Group(after, after.revision, after.revision, mark, {}, _outcomes(self._count, after.revision))
        first = Revision(after.revision + 1 + self._count % 3)
        last = Revision(first + len(rows) - 1)
        changes = {Key(key): _row(key, value, first + place) for place, (key, value) in enumerate(rows.items())}
        return Group(after, first, last, mark, changes, _outcomes(self._count, last))

    async def commit(self, group: Group) -> Position:
        """Commit a group made before, and go on from it."""
        position = await self.store.commit(group, self.leadership)
        if group.rows:
            self.head = group.position
            self.groups.append(group)
        return position

    async def write(self, rows: Rows) -> Group:
        """Make a group of `rows` and commit it."""
        group = self.group(rows)
        await self.commit(group)
        return group

    async def write_many(self, count: int) -> None:
        """`count` groups that put, put again and remove."""
        for turn in range(count):
            await self.write({f"k/{turn % 7}": b"%d" % turn, f"k/{(turn + 3) % 11}": None, f"n/{turn}": b"x" * (turn % 50)})

    @property
    def positions(self) -> list[Position]:
        """The position before the first group, and after each."""
        return [self.groups[0].after, *(group.position for group in self.groups)] if self.groups else [self.head]


def _row(key: str, value: bytes | None, revision: int) -> Row | None:
    return None if value is None else Row(Key(key), value, Revision(revision))


def _outcomes(number: int, revision: Revision) -> tuple[Outcome, ...]:
    return (Outcome(CommandId("door", number), revision, changed=True, node="näme"), Outcome(CommandId("other", number), revision))


def fold(groups: Iterable[Group], rows: Mapping[Key, Row] | None = None) -> dict[Key, Row]:
    """The rows after `groups`, from `rows` on."""
    folded = dict(rows or {})
    for group in groups:
        for key, row in group.rows.items():
            if row is None:
                folded.pop(key, None)
            else:
                folded[key] = row
    return folded


async def loaded(store: Store) -> tuple[Position, dict[Key, Row]]:
    """Everything a load yields. A key that comes twice is a failure."""
    snapshot = await store.load()
    rows: dict[Key, Row] = {}
    async for batch in snapshot.batches:
        for row in batch:
            assert row.key not in rows, f"load yields {row.key} twice"
            rows[row.key] = row
    return snapshot.position, rows


async def followed(store: Store, after: Position, until: Position, patience_s: float) -> list[Group]:
    """What `follow` yields from `after` until it reaches `until`."""
    return await taken(store.follow(after), until, patience_s) if after != until else []


async def taken(feed: AsyncIterator[Group], until: Position, patience_s: float) -> list[Group]:
    """What `feed` yields until it reaches `until`; a feed that ends or passes by is a failure."""
    groups: list[Group] = []
    async with asyncio.timeout(patience_s):
        async for group in feed:
            groups.append(group)
            if group.position.revision >= until.revision:
                break
    assert groups, "the feed ended"
    assert groups[-1].position == until, f"the feed reached {groups[-1].position}, not {until}"
    return groups


async def followed_to_the_end(feed: AsyncIterator[Group]) -> list[Group]:
    """What `feed` yields until it ends."""
    return [group async for group in feed]


async def watched_to_the_end(members: AsyncIterator[tuple[Card, ...]]) -> list[tuple[Card, ...]]:
    """What `members` yields until it ends."""
    return [cards async for cards in members]


async def next_of(feed: AsyncIterator[Group], patience_s: float) -> Group:
    """The next group; `TimeoutError` if there is none in time."""
    async with asyncio.timeout(patience_s):
        return await anext(feed)


async def refused(error: type[Exception], scribe: Scribe, groups: Sequence[Group]) -> None:
    """Each of `groups` is refused with `error`, and none of them changes anything."""
    before = await scribe.store.head()
    _, rows = await loaded(scribe.store)
    for group in groups:
        try:
            await scribe.store.commit(group, scribe.leadership)
        except error:
            continue
        raise AssertionError(f"committed what must be refused with {error.__name__}: {group}")
    assert await scribe.store.head() == before
    assert (await loaded(scribe.store))[1] == rows


def card(name: str, nonce: str = "") -> Card:
    """A member's card."""
    return Card(name=name, nonce=nonce or f"nonce of {name}", url=f"http://127.0.0.1/{name}", secret=f"secret of {name}", program="1")


async def seen(members: AsyncIterator[tuple[Card, ...]], names: Sequence[str], patience_s: float) -> tuple[Card, ...]:
    """What `members` says when it says that exactly `names` are present, in this order; it may tell of others before."""
    last: tuple[Card, ...] = ()
    try:
        async with asyncio.timeout(patience_s):
            async for cards in members:
                last = cards
                if [there.name for there in cards] == list(names):
                    return cards
    except TimeoutError:
        raise AssertionError(f"present were last {[there.name for there in last]}, not {list(names)}") from None
    raise AssertionError("members() ended")

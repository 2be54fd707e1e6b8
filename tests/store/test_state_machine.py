"""SQLite is driven beside the memory store through the same history, good and bad, and must answer the same at every step."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from callboard.model.errors import CallboardError
from callboard.model.members import Card
from callboard.model.rows import ORIGIN, Group, Key, Position, Revision, Row
from callboard.store.contract import Leadership, Membership, Store
from callboard.store.memory.engine import Backup, MemoryEngine
from callboard.store.memory.settings import MemorySettings
from callboard.store.memory.store import MemoryStore
from callboard.store.sqlite.settings import SqliteSettings
from callboard.testing.store_suite_kit import card, fold, loaded
from tests.store.harnesses import SqliteHarness

T = TypeVar("T")
HISTORY = 6
ROWS = st.dictionaries(st.sampled_from(["a", "b", "c/%2F", "meta/term", "é"]), st.none() | st.binary(max_size=20), max_size=4)
CHANGES = ROWS.filter(bool)


class SmallHarness(SqliteHarness):
    def settings(self) -> SqliteSettings:
        return SqliteSettings(
            path=str(self.directory),
            changelog_max_count=HISTORY,
            feed_max_count=2,
            load_batch_max_rows=2,
            reserve_bytes=0,
            cache_bytes=1 << 20,
        )


async def answer(work: Coroutine[Any, Any, T]) -> T | str:
    """What a call answers; an error by its name."""
    try:
        return await asyncio.wait_for(work, 60)
    except CallboardError as error:
        return type(error).__name__ + str(getattr(error, "first", ""))


async def drain(feed: AsyncIterator[Group], at: Position, head: Position) -> list[Group]:
    """Every group up to the head, for a reader that stands at `at`."""
    groups: list[Group] = []
    while at != head:
        groups.append(await anext(feed))
        at = groups[-1].position
    return groups


class StoreMachine(RuleBasedStateMachine):
    """`self.stores` are memory, then SQLite; `self.leads` their leaderships."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp())
        self.engine = MemoryEngine(MemorySettings(history_max_count=HISTORY, load_batch_max_rows=2))
        self.harness = SmallHarness(self.root)
        self.stores: list[Store] = [MemoryStore(self.engine), self.run(self.harness.open())]
        self.run(self.stores[0].open())
        self.leads = [self.run(store.campaign("a")) for store in self.stores]
        self.former: list[Leadership] | None = None
        self.positions = [ORIGIN]
        self.count = 0
        self.last: Group | None = None
        self.feeds: list[tuple[Position, list[AsyncIterator[Group]]]] = []
        self.backups: list[tuple[Backup, Path]] = []
        self.memberships: list[Membership] = []
        """One of each store after the other."""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def same(self, works: list[Coroutine[Any, Any, T]]) -> T | str:
        """Both answer the same."""
        memory, sqlite = [self.run(answer(work)) for work in works]
        assert sqlite == memory
        return sqlite

    def group(self, after: Position, rows: dict[str, bytes | None]) -> Group:
        self.count += 1
        first = Revision(after.revision + 1 + self.count % 2) if rows else after.revision
        last = Revision(first + len(rows) // 2)
        changes = {Key(key): None if value is None else Row(Key(key), value, last) for key, value in rows.items()}
        return Group(after, first, last, b"%d" % self.count, changes)

    def send(self, group: Group, leads: list[Leadership]) -> Position | str:
        return self.same([store.commit(group, lead) for store, lead in zip(self.stores, leads, strict=True)])

    @property
    def head(self) -> Position:
        return self.engine.head

    # --- writing

    @rule(rows=CHANGES)
    def write(self, rows: dict[str, bytes | None]) -> None:
        self.last = self.group(self.head, rows)
        assert self.send(self.last, self.leads) == self.last.position
        self.positions.append(self.last.position)

    @rule(count=st.integers(1, 2 * HISTORY))
    def write_on(self, count: int) -> None:
        for number in range(count):
            self.write({"a": b"%d" % number})

    @rule(rows=ROWS, place=st.integers(0), mark=st.none() | st.just(b"other"), shift=st.integers(0, 2))
    def write_anywhere(self, rows: dict[str, bytes | None], place: int, mark: bytes | None, shift: int) -> None:
        known = self.positions[-1 - place % len(self.positions)]
        after = Position(Revision(known.revision + shift), known.mark if mark is None else mark)
        group = self.group(after, rows)
        if self.send(group, self.leads) == group.position and rows:
            self.last = group
            self.positions.append(group.position)

    @precondition(lambda self: self.last is not None)
    @rule()
    def write_again(self) -> None:
        assert self.last is not None
        self.send(self.last, self.leads)

    @precondition(lambda self: self.former is not None)
    @rule(rows=ROWS)
    def write_late(self, rows: dict[str, bytes | None]) -> None:
        assert self.former is not None
        assert self.send(self.group(self.head, rows), self.former) == "DeposedError"

    # --- leading, opening, restoring

    def elect(self) -> None:
        self.former = self.leads
        self.leads = [self.run(store.campaign("again")) for store in self.stores]

    @rule()
    def resign(self) -> None:
        for lead in self.leads:
            self.run(lead.resign())
        self.elect()

    @rule(crash=st.booleans())
    def reopen(self, crash: bool) -> None:
        memory, sqlite = self.stores
        self.run(memory.close())
        self.run(memory.open())
        if crash:
            sqlite = self.run(self.harness.kill(sqlite))
        else:
            self.run(sqlite.close())
            sqlite = self.run(self.harness.open())
        self.stores = [memory, sqlite]
        self.feeds.clear()
        self.memberships.clear()
        self.elect()

    @precondition(lambda self: len(self.backups) < 3)
    @rule()
    def back_up(self) -> None:
        path = self.root / f"backup-{len(self.backups)}"
        copy = self.run(self.harness.backup())
        assert isinstance(copy, Path)
        copy.rename(path)
        self.backups.append((self.engine.backup(), path))

    @precondition(lambda self: self.backups)
    @rule(place=st.integers(0))
    def rewind(self, place: int) -> None:
        backup, path = self.backups[place % len(self.backups)]
        self.engine.restore(backup)
        self.run(self.harness.rewind(path))
        self.load()
        self.feeds.clear()
        self.elect()

    # --- presence

    @rule(nonce=st.sampled_from(["1", "2"]))
    def join(self, nonce: str) -> None:
        async def joined(store: Store) -> str:
            self.memberships.append(await store.join(card("m", nonce)))
            return nonce

        self.same([joined(store) for store in self.stores])

    @precondition(lambda self: self.memberships)
    @rule(place=st.integers(0))
    def leave(self, place: int) -> None:
        """Also one that is over, or was replaced."""
        place = place % len(self.memberships) // 2 * 2
        for membership in self.memberships[place : place + 2]:
            self.run(membership.leave())

    @rule()
    def look_who_is_there(self) -> None:
        async def present(store: Store) -> tuple[Card, ...]:
            return await anext(store.members())

        cards = self.same([present(store) for store in self.stores])
        assert len(cards) == sum(membership.confirmed_until() is None for membership in self.memberships) // 2

    # --- reading

    @rule(place=st.integers(0), mark=st.none() | st.just(b"other"), shift=st.integers(0, 1))
    def follow(self, place: int, mark: bytes | None, shift: int) -> None:
        known = self.positions[-1 - place % len(self.positions)]
        after = Position(Revision(known.revision + shift), known.mark if mark is None else mark)
        self.same([drain(store.follow(after), after, self.head) for store in self.stores])

    @precondition(lambda self: len(self.feeds) < 4)
    @rule()
    def open_feed(self) -> None:
        self.feeds.append((self.head, [store.follow(self.head) for store in self.stores]))

    @precondition(lambda self: self.feeds)
    @rule(place=st.integers(0))
    def read_feed(self, place: int) -> None:
        at, feeds = self.feeds.pop(place % len(self.feeds))
        if not isinstance(self.same([drain(feed, at, self.head) for feed in feeds]), str):
            self.feeds.append((self.head, feeds))

    @rule()
    def load(self) -> None:
        assert self.same([loaded(store) for store in self.stores]) == (self.head, self.engine.rows)

    @invariant()
    def heads_agree(self) -> None:
        if hasattr(self, "stores"):
            assert self.same([store.head() for store in self.stores]) == self.head

    def teardown(self) -> None:
        if hasattr(self, "stores"):
            self.feeds.clear()
            self.run(self.harness.close())
            self.run(self.stores[0].close())
            self.run(self.loop.shutdown_asyncgens())
            self.loop.close()
            shutil.rmtree(self.root)


TestStoreMachine = StoreMachine.TestCase


def test_the_model_is_a_fold() -> None:
    """The memory store itself is held against the plainest fold there is."""

    async def scenario() -> None:
        engine = MemoryEngine()
        store = MemoryStore(engine)
        await store.open()
        lead = await store.campaign("a")
        groups: list[Group] = []
        for number in range(1, 50):
            key = Key(f"k/{number % 7}")
            rows = {key: None if number % 3 == 0 else Row(key, b"%d" % number, Revision(number))}
            groups.append(Group(await store.head(), Revision(number), Revision(number), b"%d" % number, rows))
            await store.commit(groups[-1], lead)
            assert await loaded(store) == (groups[-1].position, fold(groups))

    asyncio.run(scenario())

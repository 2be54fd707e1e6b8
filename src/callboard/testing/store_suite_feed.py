"""Cases of the store suite about what is read: Ordered, Unique, Atomic, Reliable, OneHistory, Snapshot."""

import asyncio
import contextlib

from callboard.model.errors import CompactedError, DivergedError
from callboard.model.rows import META_EPOCH, META_HEAD, META_TERM, ORIGIN, Group, Key, Position, Revision, Row
from callboard.net.tasks import spawn
from callboard.store.contract import Store
from callboard.testing.store_suite_kit import Harness, Scribe, fold, followed, loaded, next_of, taken

# --- Ordered, Unique ---------------------------------------------------------------------------------------------------------------------


async def groups_come_in_commit_order(harness: Harness) -> None:
    """While they are written, and afterwards."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    feed = store.follow(scribe.head)
    first = spawn(next_of(feed, harness.patience_s), name="follower")
    await scribe.write_many(30)
    live = [await first, *await taken(feed, scribe.head, harness.patience_s)]
    assert live == scribe.groups
    assert await followed(store, ORIGIN, scribe.head, harness.patience_s) == scribe.groups


async def no_group_comes_twice(harness: Harness) -> None:
    """Neither to one of several followers, nor to one that goes on where it stopped."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    feeds = [store.follow(ORIGIN) for _ in range(3)]
    await scribe.write_many(20)
    for feed in feeds:
        _expect_distinct(await taken(feed, scribe.head, harness.patience_s))
    resumed: list[Group] = []
    position = ORIGIN
    while position != scribe.head:
        resumed.append(await next_of(store.follow(position), harness.patience_s))
        position = resumed[-1].position
    _expect_distinct(resumed)


def _expect_distinct(groups: list[Group]) -> None:
    marks = [group.mark for group in groups]
    assert len(set(marks)) == len(marks), f"a group came twice: {marks}"


async def a_group_sent_again_lands_once(harness: Harness) -> None:
    """As after an indeterminate end; it is answered as landed."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write({"a": b"1"})
    group = await scribe.write({"a": b"2", "b": None})
    assert await store.commit(group, scribe.leadership) == group.position
    assert await store.head() == group.position
    await scribe.write({"c": b"3"})
    assert await followed(store, ORIGIN, scribe.head, harness.patience_s) == scribe.groups


# --- Atomic, Reliable --------------------------------------------------------------------------------------------------------------------


async def a_group_is_followed_whole(harness: Harness) -> None:
    """Puts, removals, outcomes and numbers, live and from the history."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    feed = store.follow(ORIGIN)
    keys = [f"i/public/node-{number}/web%2F1" for number in range(60)]
    await scribe.write(dict.fromkeys(keys, b'{"s":1}'))
    await scribe.write({key: None if place % 2 else b"\x00\xff" for place, key in enumerate(keys)})
    for groups in (await taken(feed, scribe.head, harness.patience_s), await followed(store, ORIGIN, scribe.head, harness.patience_s)):
        assert groups == scribe.groups
        assert [group.outcomes for group in groups] == [group.outcomes for group in scribe.groups]


async def a_group_is_loaded_whole(harness: Harness) -> None:
    """While groups that give all keys the same value are written, every load shows one value."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    keys = [f"k/{number}" for number in range(60)]
    await scribe.write(dict.fromkeys(keys, b"0"))

    async def overwrite() -> None:
        for turn in range(1, 40):
            await scribe.write(dict.fromkeys(keys, b"%d" % turn))

    writer = spawn(overwrite(), name="writer")
    async with asyncio.timeout(harness.patience_s):
        while not writer.done():
            _, rows = await loaded(store)
            assert len({row.value for row in rows.values()}) == 1, "a load shows half a group"
            await asyncio.sleep(0)
    await writer


async def every_group_is_followed_from_every_position(harness: Harness) -> None:
    """Also those that put what was there before, and those that remove what was not."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    for turn in range(12):
        await scribe.write({"same": b"same"} if turn % 2 else {"absent": None})
    for place, position in enumerate(scribe.positions):
        assert await followed(store, position, scribe.head, harness.patience_s) == scribe.groups[place:]


async def a_slow_follower_misses_nothing(harness: Harness) -> None:
    """It takes one group for every three that are written."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    feed = store.follow(ORIGIN)
    got: list[Group] = []
    for _ in range(12):
        await scribe.write_many(3)
        got.append(await next_of(feed, harness.patience_s))
    got += await taken(feed, scribe.head, harness.patience_s)
    assert got == scribe.groups


async def groups_without_rows_are_not_followed(harness: Harness) -> None:
    """They are fenced reads and change no position."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    for _ in range(3):
        await scribe.write({"a": b"1"})
        assert await scribe.commit(scribe.group({})) == scribe.head
        assert await store.head() == scribe.head
    assert await followed(store, ORIGIN, scribe.head, harness.patience_s) == scribe.groups


# --- OneHistory --------------------------------------------------------------------------------------------------------------------------


async def _expect_end(error: type[Exception], store: Store, after: Position, patience_s: float) -> None:
    """`follow(after)` raises `error` at once."""
    try:
        group = await next_of(store.follow(after), patience_s)
    except error:
        return
    except TimeoutError:
        raise AssertionError(f"follow({after}) waits in silence, {error.__name__} was due") from None
    raise AssertionError(f"follow({after}) yields {group.position}, {error.__name__} was due")


async def a_position_of_another_history_diverges(harness: Harness) -> None:
    """Another mark at the head or before it, a revision between two groups, one above the head."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await _expect_end(DivergedError, store, Position(Revision(7), b"never"), harness.patience_s)
    await scribe.write_many(5)
    await scribe.write({f"w/{number}": b"" for number in range(9)})
    middle = scribe.groups[2].position
    foreign = [
        Position(middle.revision, b"other"),
        Position(scribe.head.revision, b"other"),
        Position(Revision(scribe.groups[-1].first), scribe.head.mark),
        Position(Revision(scribe.head.revision + 1000), scribe.head.mark),
    ]
    for position in foreign:
        await _expect_end(DivergedError, store, position, harness.patience_s)


async def a_position_no_longer_kept_is_compacted(harness: Harness) -> None:
    """And the error names a revision that can be followed."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(150)
    await _expect_end(CompactedError, store, ORIGIN, harness.patience_s)
    try:
        await next_of(store.follow(scribe.positions[1]), harness.patience_s)
    except CompactedError as error:
        oldest = next(position for position in scribe.positions if position.revision == error.first)
        rest = await followed(store, oldest, scribe.head, harness.patience_s)
        assert rest == scribe.groups[-len(rest) :]
    else:
        raise AssertionError("the history is unbounded, or the harness keeps too much of it")


async def an_overtaken_follower_is_told(harness: Harness) -> None:
    """Groups it has not taken may be dropped, but it is never led over the gap."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(2)
    feed = store.follow(ORIGIN)
    got = [await next_of(feed, harness.patience_s)]
    await scribe.write_many(150)
    with contextlib.suppress(CompactedError):
        got += await taken(feed, scribe.head, harness.patience_s)
    assert got == scribe.groups[: len(got)]


async def who_waits_on_a_rewound_engine_is_told(harness: Harness) -> None:
    """The engine is put back to a backup while a follower waits at its end."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(5)
    backup = await harness.backup()
    await scribe.write_many(5)
    waiting = spawn(next_of(store.follow(scribe.head), harness.patience_s), name="follower")
    await asyncio.sleep(0)
    await harness.rewind(backup)
    try:
        await waiting
    except DivergedError:
        return
    except TimeoutError:
        raise AssertionError("a follower of a rewound engine waits in silence") from None
    raise AssertionError("a follower of a rewound engine is served")


async def who_returns_to_a_rewound_engine_is_told(harness: Harness) -> None:
    """Before the new history has reached the old position's number, and after."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(5)
    at_backup, then = fold(scribe.groups), scribe.head
    backup = await harness.backup()
    await scribe.write_many(5)
    late = scribe.head
    await harness.rewind(backup)
    await scribe.leadership.resign()
    async with asyncio.timeout(harness.patience_s):
        assert (await loaded(store))[1] == at_backup
        second = await Scribe.elect(store, "second")
    await _expect_end(DivergedError, store, late, harness.patience_s)
    following = spawn(next_of(store.follow(then), harness.patience_s), name="follower")
    await asyncio.sleep(0)
    assert await second.write({"forked": b"0"}) == await following, "a group that was undone is followed"
    while second.head.revision <= late.revision:
        await second.write({"forked": b"1"})
    await _expect_end(DivergedError, store, late, harness.patience_s)


# --- Snapshot ----------------------------------------------------------------------------------------------------------------------------


async def a_load_is_one_position(harness: Harness) -> None:
    """Batches that are taken while groups land show the state the load began with."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    for start in range(0, 400, 50):
        await scribe.write({f"k/{number}": b"old" for number in range(start, start + 50)})
    snapshot = await store.load()
    rows: list[Row] = []
    async for batch in snapshot.batches:
        rows += batch
        if len(scribe.groups) < 30:
            await scribe.write({f"k/{number}": b"new" if number % 2 else None for number in range(0, 400, 7)})
    until = [group for group in scribe.groups if group.last <= snapshot.position.revision]
    assert {row.key: row for row in rows} == fold(until)
    assert len(rows) == 400


async def load_then_follow_has_no_gap_and_no_repeat(harness: Harness) -> None:
    """Begun at any moment while groups land, it ends at the same rows."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    writer = spawn(scribe.write_many(40), name="writer")
    starts: list[tuple[Position, dict[Key, Row]]] = []
    async with asyncio.timeout(harness.patience_s):
        while not writer.done():
            starts.append(await loaded(store))
            await asyncio.sleep(0)
    await writer
    for position, rows in starts:
        assert rows == fold(group for group in scribe.groups if group.last <= position.revision)
        rest = await followed(store, position, scribe.head, harness.patience_s)
        assert rest == [group for group in scribe.groups if group.last > position.revision]
        assert fold(rest, rows) == fold(scribe.groups)


async def a_load_has_every_row_but_meta_head(harness: Harness) -> None:
    """Keys are exact text and values exact bytes, meta rows of the leader included."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    assert await loaded(store) == (ORIGIN, {})
    odd = ["a//b", "a/", "A", "a", "..", "ä/\u4e2d", "a b\n\t", "%2F", "'\"; --", "x" * 500, "\x01"]
    await scribe.write({META_TERM: b"t", META_EPOCH: b"e", **dict.fromkeys(odd, b"")})
    await scribe.write({odd[0]: bytes(range(256)), "a": None})
    position, rows = await loaded(store)
    assert position == scribe.head
    assert rows == fold(scribe.groups)
    assert META_HEAD not in rows

"""Cases of the store suite about what is written: Durable, Fenced, Head, Lease, Limits, Closed."""

import asyncio
from collections.abc import Callable

from callboard.model.errors import DeposedError, FullError, InvalidError, TooLargeError, UnavailableError
from callboard.model.rows import META_HEAD, ORIGIN, REVISION_LIMIT, Group, Key, Position, Revision, Row
from callboard.model.time import Instant
from callboard.net.tasks import spawn
from callboard.store.contract import Leadership
from callboard.testing.store_suite_kit import (
    Harness,
    Scribe,
    card,
    fold,
    followed,
    followed_to_the_end,
    loaded,
    next_of,
    refused,
    seen,
    watched_to_the_end,
)

# --- Durable -----------------------------------------------------------------------------------------------------------------------------


async def an_acknowledged_group_survives_a_kill(harness: Harness) -> None:
    """Rows, head and history are there, and the next leader goes on from them."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    for turn in range(1, 4):
        await scribe.write_many(turn)
        store = await harness.kill(store)
        assert await store.head() == scribe.head
        assert await loaded(store) == (scribe.head, fold(scribe.groups))
        assert await followed(store, ORIGIN, scribe.head, harness.patience_s) == scribe.groups
        groups = scribe.groups
        async with asyncio.timeout(harness.patience_s):
            scribe = await Scribe.elect(store, f"after kill {turn}")
        scribe.groups = groups


async def a_closed_store_opens_as_it_was(harness: Harness) -> None:
    """The quiet end: nothing is lost by `close`."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(10)
    await store.close()
    store = await harness.open()
    assert await loaded(store) == (scribe.head, fold(scribe.groups))
    assert await followed(store, ORIGIN, scribe.head, harness.patience_s) == scribe.groups


# --- Fenced ------------------------------------------------------------------------------------------------------------------------------


async def a_group_that_does_not_follow_meta_head_is_refused(harness: Harness) -> None:
    """Stale, ahead, or of another history; with rows and without."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(3)
    head = scribe.head
    wrong = [
        ORIGIN,
        scribe.groups[0].position,
        Position(head.revision, b"other"),
        Position(Revision(head.revision - 1), head.mark),
        Position(Revision(head.revision + 5), head.mark),
    ]
    await refused(DeposedError, scribe, [scribe.group(rows, after=after) for after in wrong for rows in ({"late": b"1"}, {})])
    await scribe.write({"good": b"1"})
    assert await followed(store, ORIGIN, scribe.head, harness.patience_s) == scribe.groups


async def of_two_groups_after_one_position_one_lands(harness: Harness) -> None:
    """Sent at the same time."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(1)
    rivals = [scribe.group({f"rival/{number}": b"1"}) for number in range(2)]
    results = await asyncio.gather(*(store.commit(group, scribe.leadership) for group in rivals), return_exceptions=True)
    assert sorted(isinstance(result, DeposedError) for result in results) == [False, True], results
    landed = rivals[0] if isinstance(results[1], DeposedError) else rivals[1]
    assert await store.head() == landed.position
    assert await followed(store, ORIGIN, landed.position, harness.patience_s) == [*scribe.groups, landed]


async def a_leader_that_resigned_is_refused(harness: Harness) -> None:
    """With nobody after it, and after another was elected; its fenced reads too."""
    store = await harness.open()
    first = await Scribe.elect(store)
    await first.write_many(2)
    await first.leadership.resign()
    await refused(DeposedError, first, [first.group({"late": b"1"}), first.group({})])
    async with asyncio.timeout(harness.patience_s):
        second = await Scribe.elect(store, "second")
    assert second.head == first.head
    await refused(DeposedError, first, [first.group({"late": b"2"}), first.group({})])
    await second.write({"good": b"1"})
    assert await followed(store, ORIGIN, second.head, harness.patience_s) == [*first.groups, *second.groups]


async def a_late_group_does_not_land_under_the_next_leader(harness: Harness) -> None:
    """It was sent before its leader resigned; once the next one is elected, it has landed or never will."""
    store = await harness.open()
    first = await Scribe.elect(store)
    await first.write_many(1)
    late = first.group({"late": b"1"})
    sending = spawn(store.commit(late, first.leadership), name="late")
    await asyncio.sleep(0)
    await first.leadership.resign()
    async with asyncio.timeout(harness.patience_s):
        second = await Scribe.elect(store, "second")
    await second.write({"good": b"1"})
    result = (await asyncio.gather(sending, return_exceptions=True))[0]
    landed = [] if isinstance(result, DeposedError) else [late]
    assert await followed(store, ORIGIN, second.head, harness.patience_s) == [*first.groups, *landed, *second.groups]


async def a_deposed_member_is_refused(harness: Harness) -> None:
    """Another member leads now; what the last one sends with the right `after` does not land."""
    first = await Scribe.elect(await harness.open())
    other = await harness.open()
    await first.write_many(2)
    await first.leadership.resign()
    async with asyncio.timeout(harness.patience_s):
        second = await Scribe.elect(other, "second")
    await refused(DeposedError, first, [first.group({"late": b"1"}), first.group({})])
    await second.write({"good": b"1"})
    await refused(DeposedError, first, [first.group({"late": b"2"}, after=second.head)])
    assert await followed(first.store, ORIGIN, second.head, harness.patience_s) == [*first.groups, *second.groups]


# --- Head --------------------------------------------------------------------------------------------------------------------------------


async def head_is_at_or_after_every_acknowledged_group(harness: Harness) -> None:
    """From the empty store on."""
    store = await harness.open()
    assert await store.head() == ORIGIN
    scribe = await Scribe.elect(store)
    for turn in range(20):
        group = await scribe.write({"k": b"%d" % turn})
        assert await store.head() == group.position


async def head_is_the_same_for_every_member(harness: Harness) -> None:
    """Also for those that have not followed."""
    scribe = await Scribe.elect(await harness.open())
    other = await harness.open()
    for turn in range(20):
        group = await scribe.write({"k": b"%d" % turn})
        assert await other.head() == group.position
    assert await followed(other, ORIGIN, scribe.head, harness.patience_s) == scribe.groups


# --- Lease -------------------------------------------------------------------------------------------------------------------------------


async def _one_after_the_other(harness: Harness, first: Scribe, campaign: Callable[[], "asyncio.Task[Leadership]"]) -> None:
    """Nobody else is elected before `first` resigns; then the others are, one after the other."""
    waiting = {campaign() for _ in range(2)}
    for turn in range(10):
        await first.write({"k": b"%d" % turn})
    assert not any(task.done() for task in waiting), "two lead"
    assert first.leadership.confirmed_until() != Instant(0)
    leading = first.leadership
    while waiting:
        await leading.resign()
        async with asyncio.timeout(harness.patience_s):
            await leading.lost()
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert leading.confirmed_until() == Instant(0)
        assert len(done) == 1, "two lead"
        leading = done.pop().result()


async def one_leads_at_a_time(harness: Harness) -> None:
    """Campaigns of one member queue."""
    store = await harness.open()
    first = await Scribe.elect(store)
    await _one_after_the_other(harness, first, lambda: spawn(store.campaign("again"), name="campaign"))


async def one_member_leads_at_a_time(harness: Harness) -> None:
    """Campaigns of several members queue."""
    first = await Scribe.elect(await harness.open())
    others = [await harness.open() for _ in range(2)]
    stores = iter(others)
    await _one_after_the_other(harness, first, lambda: spawn(next(stores).campaign("other"), name="campaign"))


async def a_closed_store_leads_no_more(harness: Harness) -> None:
    """And whoever opens next can."""
    store = await harness.open()
    first = await Scribe.elect(store)
    await first.write_many(1)
    await store.close()
    assert first.leadership.confirmed_until() == Instant(0)
    async with asyncio.timeout(harness.patience_s):
        await first.leadership.lost()
        second = await Scribe.elect(await harness.open(), "second")
    await second.write({"good": b"1"})


# --- Limits, Closed ----------------------------------------------------------------------------------------------------------------------


async def what_is_too_large_is_refused_whole(harness: Harness) -> None:
    """A value, the rows of a group, the bytes of a group; and what is exactly as large as allowed is not."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    caps = store.caps
    await scribe.write({"k": b"x" * caps.value_bytes})
    await scribe.write({f"k/{number}": b"" for number in range(caps.group_rows)})
    await scribe.write({f"k/{number}": b"" for number in range(caps.rows_limit)})
    values = caps.bytes_limit // caps.value_bytes + 1
    large = [
        scribe.group({"small": b"1", "large": b"x" * (caps.value_bytes + 1)}),
        scribe.group({f"many/{number}": b"" for number in range(caps.rows_limit + 1)}),
    ]
    if values <= caps.rows_limit:
        large.append(scribe.group({f"sum/{number}": b"x" * caps.value_bytes for number in range(values)}))
    await refused(TooLargeError, scribe, large)
    await scribe.write({"small": b"1"})


async def a_full_engine_takes_removals(harness: Harness) -> None:
    """It refuses groups that add, whole; groups that only remove pass; then there is room again."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    value = b"x" * store.caps.value_bytes
    step = max(1, min(20, store.caps.group_rows, store.caps.group_bytes // (len(value) + 20)))
    filled = 0
    try:
        while filled < 2000 + step:
            await scribe.write({f"fill/{filled + number}": value for number in range(step)})
            filled += step
    except FullError:
        pass
    else:
        raise AssertionError("the engine takes more than the harness says")
    await refused(FullError, scribe, [scribe.group({f"more/{number}": value for number in range(step)})])
    for start in range(0, filled, step):
        await scribe.write({f"fill/{start + number}": None for number in range(step)})
    await _write_once_there_is_room(scribe, harness.patience_s)
    assert await loaded(store) == (scribe.head, fold(scribe.groups))


async def _write_once_there_is_room(scribe: Scribe, patience_s: float) -> None:
    """An engine may need a moment to forget what was removed."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience_s
    while True:
        try:
            await scribe.write({"small": b"1"})
        except FullError:
            if loop.time() > end:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def a_malformed_group_is_refused(harness: Harness) -> None:
    """One that names meta/head, whose numbers do not grow, or whose mark is not new."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(2)
    good = scribe.group({"k": b"1"})
    row = {Key("k"): Row(Key("k"), b"1", good.last)}
    await refused(
        InvalidError,
        scribe,
        [
            scribe.group({META_HEAD: b"mine"}),
            Group(scribe.head, scribe.head.revision, good.last, b"m", row),
            Group(scribe.head, Revision(good.last + 1), good.last, b"m", row),
            Group(scribe.head, good.first, Revision(REVISION_LIMIT), b"m", row),
            Group(scribe.head, good.first, good.last, b"", row),
            Group(scribe.head, good.first, good.last, scribe.head.mark, row),
        ],
    )
    await scribe.commit(good)


async def an_open_store_is_healthy_and_a_closed_one_is_not(harness: Harness) -> None:
    """For people: what is wrong is said in a sentence."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(2)
    health = store.health()
    assert health.reachable, health
    assert not health.detail, health
    await store.close()
    health = store.health()
    assert not health.reachable, health
    assert health.detail, health


async def a_closed_store_answers_nothing(harness: Harness) -> None:
    """Open feeds end, memberships too; waiting campaigns and later calls are refused."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(2)
    membership = await store.join(card("a"))
    members = store.members()
    await seen(members, ["a"], harness.patience_s)
    following = spawn(followed_to_the_end(store.follow(scribe.head)), name="follower")
    watching = spawn(watched_to_the_end(members), name="watcher")
    campaigning = spawn(store.campaign("again"), name="campaign")
    await asyncio.sleep(0)
    await store.close()
    async with asyncio.timeout(harness.patience_s):
        assert await following == []
        assert not [card.name for cards in await watching for card in cards]
        await membership.lost()
    assert membership.confirmed_until() == Instant(0)
    commit = store.commit(scribe.group({"k": b"1"}), scribe.leadership)
    late = [campaigning, store.head(), store.load(), store.campaign("late"), commit, store.join(card("late"))]
    results = await asyncio.wait_for(asyncio.gather(*late, return_exceptions=True), harness.patience_s)
    assert all(isinstance(result, UnavailableError) for result in results), results
    try:
        await next_of(store.follow(scribe.head), harness.patience_s)
    except UnavailableError:
        pass
    else:
        raise AssertionError("a closed store can be followed")
    try:
        await asyncio.wait_for(anext(store.members()), harness.patience_s)
    except UnavailableError:
        return
    raise AssertionError("a closed store knows members")

"""Cases of the store suite about members: Present, Lease of a membership, and what several members on one engine see of each other."""

import asyncio
from typing import Any, Final

from callboard.model.errors import DeposedError, LockedError
from callboard.model.members import Card
from callboard.model.rows import ORIGIN, CommandId, Group, Outcome, Refusal
from callboard.model.time import Instant, Timestamp
from callboard.net.tasks import spawn
from callboard.store.contract import Store
from callboard.testing.store_suite_kit import Harness, Scribe, card, fold, followed, loaded, next_of, refused, seen, taken

ALL_FIELDS: Final[dict[str, Any]] = {
    "name": "näme-1",
    "nonce": "n/1",
    "url": "http://127.0.0.1:8500",
    "secret": "s\"e/c'ret",
    "level": 7,
    "program": "1.2.3",
    "started": Timestamp(17),
}

# --- Told --------------------------------------------------------------------------------------------------------------------------------


def _outcomes(turn: int) -> tuple[Outcome, ...]:
    """None, one, and many, of every kind that there is."""
    refusal = Refusal("unknown_instance", "wéb/1", "no such instance: \u4e2d")
    kinds = [
        Outcome(CommandId("door-a", turn), ORIGIN.revision, refusal=refusal),
        Outcome(CommandId("door-b", 2**40 + turn), ORIGIN.revision, changed=True, node="node-1"),
        Outcome(CommandId("door-b", turn), ORIGIN.revision),
    ]
    return tuple(kinds[number % 3] for number in range((0, 1, 3, 200)[turn % 4]))


async def _write_told(scribe: Scribe, turns: int) -> None:
    for turn in range(turns):
        group = scribe.group({f"k/{turn}": b"1"})
        await scribe.commit(Group(group.after, group.first, group.last, group.mark, group.rows, _outcomes(turn)))


async def outcomes_are_followed(harness: Harness) -> None:
    """Live and from the history, by the member that leads."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    feed = store.follow(ORIGIN)
    await _write_told(scribe, 8)
    told = [group.outcomes for group in await taken(feed, scribe.head, harness.patience_s)]
    assert told == [_outcomes(turn) for turn in range(8)]
    assert [group.outcomes for group in await followed(store, ORIGIN, scribe.head, harness.patience_s)] == told


async def every_member_is_told_the_outcomes(harness: Harness) -> None:
    """Also the one that does not lead; so a door knows what became of a command that it had sent to another member."""
    scribe = await Scribe.elect(await harness.open())
    other = await harness.open()
    feed = other.follow(ORIGIN)
    await _write_told(scribe, 8)
    told = [group.outcomes for group in await taken(feed, scribe.head, harness.patience_s)]
    assert told == [_outcomes(turn) for turn in range(8)]
    assert [group.outcomes for group in await followed(other, ORIGIN, scribe.head, harness.patience_s)] == told


# --- several members ---------------------------------------------------------------------------------------------------------------------


async def every_member_follows_the_same_groups(harness: Harness) -> None:
    """Whoever leads; live, and from the history."""
    stores = [await harness.open() for _ in range(3)]
    feeds = [store.follow(ORIGIN) for store in stores]
    groups: list[Group] = []
    for turn, store in enumerate(stores):
        async with asyncio.timeout(harness.patience_s):
            scribe = await Scribe.elect(store, f"leader {turn}")
        await scribe.write_many(6)
        await scribe.leadership.resign()
        groups += scribe.groups
    head = groups[-1].position
    for store, feed in zip(stores, feeds, strict=True):
        assert await taken(feed, head, harness.patience_s) == groups
        assert await followed(store, ORIGIN, head, harness.patience_s) == groups
        assert await loaded(store) == (head, fold(groups))


async def a_waiting_member_is_woken(harness: Harness) -> None:
    """One that follows at the head gets the group that another commits, without asking again."""
    scribe = await Scribe.elect(await harness.open())
    other = await harness.open()
    await scribe.write_many(2)
    feed = other.follow(scribe.head)
    for _ in range(5):
        waiting = spawn(next_of(feed, harness.patience_s), name="follower")
        await asyncio.sleep(0.01)
        assert await scribe.write({"k": b"1"}) == await waiting


async def a_member_that_comes_later_has_everything(harness: Harness) -> None:
    """Load at one member, follow at another: positions are the same everywhere."""
    first = await harness.open()
    scribe = await Scribe.elect(first)
    await scribe.write_many(5)
    position, rows = await loaded(first)
    await scribe.write_many(5)
    later = await harness.open()
    assert await loaded(later) == (scribe.head, fold(scribe.groups))
    assert fold(await followed(later, position, scribe.head, harness.patience_s), rows) == fold(scribe.groups)


async def a_member_that_closes_leaves_the_others_alone(harness: Harness) -> None:
    """Their feeds go on, and so does the lead of another."""
    scribe = await Scribe.elect(await harness.open())
    staying, leaving = await harness.open(), await harness.open()
    feed = staying.follow(ORIGIN)
    await scribe.write_many(3)
    await leaving.close()
    await scribe.write_many(3)
    assert await taken(feed, scribe.head, harness.patience_s) == scribe.groups


async def a_deposed_leader_is_told(harness: Harness) -> None:
    """The engine took the lead from it: `lost` returns, it is confirmed no longer, and another is elected."""
    first = await Scribe.elect(await harness.open())
    other = await harness.open()
    await first.write_many(2)
    await harness.depose()
    async with asyncio.timeout(harness.patience_s):
        await first.leadership.lost()
        assert first.leadership.confirmed_until() == Instant(0)
        second = await Scribe.elect(other, "second")
    await refused(DeposedError, first, [first.group({"late": b"1"}), first.group({})])
    await second.write({"good": b"1"})


async def a_deposed_leaders_late_group_never_lands(harness: Harness) -> None:
    """It may be on its way when the lead is taken: it landed before the next election, or never does."""
    first = await Scribe.elect(await harness.open())
    other = await harness.open()
    await first.write_many(1)
    late = first.group({"late": b"1"})
    sending = spawn(first.store.commit(late, first.leadership), name="late")
    await asyncio.sleep(0)
    await harness.depose()
    async with asyncio.timeout(harness.patience_s):
        second = await Scribe.elect(other, "second")
    landed = [late] if second.head == late.position else []
    await refused(DeposedError, first, [first.group({"later": b"1"}, after=second.head), first.group({}, after=second.head)])
    await second.write({"good": b"1"})
    result = (await asyncio.gather(sending, return_exceptions=True))[0]
    assert isinstance(result, Exception) or result == late.position, result
    assert not isinstance(result, DeposedError) or not landed, "a group that landed is told as refused"
    for store in (first.store, other):
        assert await followed(store, ORIGIN, second.head, harness.patience_s) == [*first.groups, *landed, *second.groups]


# --- Present -----------------------------------------------------------------------------------------------------------------------------


async def who_joins_is_seen_until_it_leaves(harness: Harness) -> None:
    """By itself; first of all `members` says that nobody is there."""
    store = await harness.open()
    members = store.members()
    assert await seen(members, [], harness.patience_s) == ()
    mine = Card(**ALL_FIELDS)
    membership = await store.join(mine)
    assert await seen(members, ["näme-1"], harness.patience_s) == (mine,)
    assert membership.confirmed_until() != Instant(0)
    await membership.leave()
    assert await seen(members, [], harness.patience_s) == ()
    async with asyncio.timeout(harness.patience_s):
        await membership.lost()
    assert membership.confirmed_until() == Instant(0)


async def presence_is_no_row(harness: Harness) -> None:
    """It is in no view, revision or backup: head, load and follow show nothing of it."""
    store = await harness.open()
    scribe = await Scribe.elect(store)
    await scribe.write_many(2)
    feed = store.follow(ORIGIN)
    membership = await store.join(card("a"))
    assert await store.head() == scribe.head
    await scribe.write_many(2)
    await membership.leave()
    await scribe.write_many(2)
    assert await taken(feed, scribe.head, harness.patience_s) == scribe.groups
    assert await loaded(store) == (scribe.head, fold(scribe.groups))


async def every_member_sees_everyone(harness: Harness) -> None:
    """By name, whoever was there first; also who comes later and looks for the first time."""
    stores = [await harness.open() for _ in range(3)]
    watching = [store.members() for store in stores]
    for store, name in zip(stores, ("c", "a", "b"), strict=True):
        await store.join(card(name))
    for members in watching:
        assert await seen(members, ["a", "b", "c"], harness.patience_s) == (card("a"), card("b"), card("c"))
    assert await seen((await harness.open()).members(), ["a", "b", "c"], harness.patience_s)


async def who_leaves_is_missed_by_everyone(harness: Harness) -> None:
    """By word, and by closing its store."""
    stores = [await harness.open() for _ in range(3)]
    memberships = [await store.join(card(f"m{number}")) for number, store in enumerate(stores)]
    members = stores[0].members()
    await seen(members, ["m0", "m1", "m2"], harness.patience_s)
    await memberships[1].leave()
    await seen(members, ["m0", "m2"], harness.patience_s)
    await stores[2].close()
    await seen(members, ["m0"], harness.patience_s)
    async with asyncio.timeout(harness.patience_s):
        await memberships[2].lost()
    assert memberships[2].confirmed_until() == Instant(0)


async def who_is_expelled_is_told_and_missed(harness: Harness) -> None:
    """The engine ended its lease: it hears so, the others too, and it may come back."""
    stores = [await harness.open() for _ in range(2)]
    lasting, lost = [await store.join(card(f"m{number}")) for number, store in enumerate(stores)]
    members = stores[0].members()
    await seen(members, ["m0", "m1"], harness.patience_s)
    await harness.expel("m1")
    await seen(members, ["m0"], harness.patience_s)
    async with asyncio.timeout(harness.patience_s):
        await lost.lost()
    assert lost.confirmed_until() == Instant(0)
    assert lasting.confirmed_until() != Instant(0)
    await stores[1].join(card("m1"))
    await seen(members, ["m0", "m1"], harness.patience_s)


# --- Lease of a membership ---------------------------------------------------------------------------------------------------------------


async def _refuse(store: Store, wanted: Card) -> None:
    try:
        await store.join(wanted)
    except LockedError:
        return
    raise AssertionError(f"two members are called {wanted.name}")


async def one_name_is_present_once(harness: Harness) -> None:
    """Another process of that name is refused, until the first one has left."""
    first, other = await harness.open(), await harness.open()
    membership = await first.join(card("twin", "first"))
    await _refuse(other, card("twin", "second"))
    assert membership.confirmed_until() != Instant(0)
    await membership.leave()
    async with asyncio.timeout(harness.patience_s):
        await other.join(card("twin", "second"))
    assert await seen(first.members(), ["twin"], harness.patience_s) == (card("twin", "second"),)
    await _refuse(first, card("twin", "first"))


async def who_joins_again_is_present_once(harness: Harness) -> None:
    """The same process: its new card counts, its earlier membership is over, and ends nothing any more."""
    store = await harness.open()
    earlier = await store.join(card("a"))
    again = Card(name="a", nonce=card("a").nonce, url="http://elsewhere:1")
    later = await store.join(again)
    assert earlier.confirmed_until() == Instant(0)
    await earlier.leave()
    assert later.confirmed_until() != Instant(0)
    assert await seen(store.members(), ["a"], harness.patience_s) == (again,)

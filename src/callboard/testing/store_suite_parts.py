"""Cases of the store suite about groups too large for one transaction: with parts they are whole all the same, without they are refused."""

import asyncio

from callboard.model.errors import CallboardError, DeposedError, TooLargeError
from callboard.model.rows import ORIGIN, Group, Key, Row
from callboard.net.tasks import spawn
from callboard.testing.store_suite_kit import Harness, Scribe, fold, followed, loaded, refused, taken


async def _larger(harness: Harness) -> tuple[Scribe, int]:
    """A leader, and a number of rows that does not go in one transaction."""
    scribe = await Scribe.elect(await harness.open())
    caps = scribe.store.caps
    count = min(3 * caps.group_rows + 1, caps.parts_rows or caps.group_rows + 1)
    assert count > caps.group_rows, "parts_rows must be larger than group_rows, or 0"
    return scribe, count


async def _refused_without_parts(scribe: Scribe, count: int) -> bool:
    """Where no group is carried in parts, a larger one is refused, and nothing of it lands."""
    if scribe.store.caps.parts_rows:
        return False
    await refused(TooLargeError, scribe, [scribe.group({f"p/{number}": b"x" for number in range(count)})])
    return True


async def a_larger_group_is_followed_whole(harness: Harness) -> None:
    """Puts and removals together, between small ones; live, from the history, and from every position."""
    scribe, count = await _larger(harness)
    if await _refused_without_parts(scribe, count):
        return
    feed = scribe.store.follow(ORIGIN)
    await scribe.write({"small": b"1", "p/0": b"old", "p/1": b"old"})
    await scribe.write({f"p/{number}": b"x" * (number % 60) for number in range(count)})
    await scribe.write({"small": b"2", "p/3": b"new"})
    await scribe.write({f"p/{number}": None if number % 2 else b"y" for number in range(count)})
    await scribe.write({"small": None})
    assert await taken(feed, scribe.head, harness.patience_s) == scribe.groups
    for place, position in enumerate(scribe.positions[:-1]):
        assert await followed(scribe.store, position, scribe.head, harness.patience_s) == scribe.groups[place:]
    assert await loaded(scribe.store) == (scribe.head, fold(scribe.groups))


async def a_larger_group_is_loaded_whole(harness: Harness) -> None:
    """Every load that is made while such groups are written shows all of a group, or nothing."""
    scribe, count = await _larger(harness)
    if await _refused_without_parts(scribe, count):
        return
    keys = [f"p/{number}" for number in range(count)]

    async def write() -> None:
        for turn in range(6):
            await scribe.write(dict.fromkeys(keys, b"%d" % turn))

    writer = spawn(write(), name="writer")
    try:
        async with asyncio.timeout(harness.patience_s):
            while not writer.done():
                position, rows = await loaded(scribe.store)
                assert len({row.value for row in rows.values()}) <= 1, f"a load at {position} shows half a group"
                assert len(rows) in {0, count}, f"a load at {position} shows {len(rows)} of {count} rows"
                await asyncio.sleep(0)
            await writer
    finally:
        writer.cancel()
    assert await loaded(scribe.store) == (scribe.head, fold(scribe.groups))


async def a_larger_group_sent_again_lands_once(harness: Harness) -> None:
    """As after an indeterminate end; and the same leader goes on after it."""
    scribe, count = await _larger(harness)
    if await _refused_without_parts(scribe, count):
        return
    group = await scribe.write({f"p/{number}": b"x" for number in range(count)})
    assert await scribe.store.commit(group, scribe.leadership) == group.position
    await scribe.write({"small": b"1"})
    assert await followed(scribe.store, ORIGIN, scribe.head, harness.patience_s) == scribe.groups


async def a_larger_group_is_fenced(harness: Harness) -> None:
    """With a wrong `after`, and after its leader has resigned: nothing of it lands, then or later."""
    scribe, count = await _larger(harness)
    if await _refused_without_parts(scribe, count):
        return
    await scribe.write_many(2)
    rows: dict[str, bytes | None] = {f"p/{number}": b"late" for number in range(count)}
    await refused(DeposedError, scribe, [scribe.group(rows, after=scribe.groups[0].position)])
    await scribe.leadership.resign()
    await refused(DeposedError, scribe, [scribe.group(rows)])
    async with asyncio.timeout(harness.patience_s):
        second = await Scribe.elect(scribe.store, "second")
    await second.write({"good": b"1"})
    groups = [*scribe.groups, *second.groups]
    assert await loaded(scribe.store) == (second.head, fold(groups))
    assert await followed(scribe.store, ORIGIN, second.head, harness.patience_s) == groups


async def a_deposed_leaders_larger_group_is_whole_or_nowhere(harness: Harness) -> None:
    """The lead is taken at many moments while it is written; the next leader finds all of it, or nothing, and may write over it."""
    scribe, count = await _larger(harness)
    if await _refused_without_parts(scribe, count):
        return
    groups: list[Group] = []
    for turn in range(8):
        store = await harness.open()
        rows = {f"p/{number}": b"%d" % turn for number in range(count)}
        late = scribe.group(rows)
        sending = spawn(scribe.store.commit(late, scribe.leadership), name="late")
        await asyncio.sleep(0.002 * turn)
        await harness.depose()
        async with asyncio.timeout(harness.patience_s):
            scribe = await Scribe.elect(store, f"leader {turn}")
        result = (await asyncio.gather(sending, return_exceptions=True))[0]
        assert result == late.position or isinstance(result, CallboardError), result
        if scribe.head == late.position:
            groups.append(late)
        expected: dict[Key, Row] = fold(groups)
        assert (await loaded(store))[1] == expected, f"after {turn} larger groups the rows are not those of whole groups"
        groups.append(await scribe.write({"small": b"%d" % turn, "p/1": None}))
    assert await loaded(scribe.store) == (scribe.head, fold(groups))
    assert await followed(scribe.store, ORIGIN, scribe.head, harness.patience_s) == groups

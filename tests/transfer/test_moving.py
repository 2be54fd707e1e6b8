"""What a store holds after it was filled, and when it is left as it was."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given

from callboard.core.catalog.codec import Epoch, Term, encode
from callboard.core.catalog.loading import Loader
from callboard.core.catalog.view import View
from callboard.model.errors import DeposedError, InvalidError
from callboard.model.rows import GLOBAL_FLOOR, META_EPOCH, META_TERM, REVISION_LIMIT, Group, Key, Revision, Row
from callboard.model.time import Timestamp
from callboard.server.transfer.errors import IncompatibleError, TransferError
from callboard.server.transfer.plan import MARGIN_COUNT, margin, moved
from callboard.server.transfer.state import State, digest, require_readable, take
from callboard.store.contract import Snapshot, Store
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.settings import MemorySettings
from callboard.testing.clock import VirtualClock
from callboard.testing.faults import Fault, FaultyStore
from callboard.testing.loop import run_virtual
from callboard.testing.store_suite_kit import card
from tests.core.histories import Maker, histories
from tests.core.world import answers, indexes
from tests.store.mutants import Passing
from tests.support import run
from tests.transfer.stage import catalog, hold, memory, move, quiet, sqlite, state

SPECIAL = {GLOBAL_FLOOR, META_EPOCH, META_TERM}
NODE = {Key("n/a"): Row(Key("n/a"), b'{"v":1,"name":"a","address":"10.0.0.1","nonce":"x"}', Revision(3))}
OLD = {Key("n/old"): Row(Key("n/old"), b'{"v":1,"name":"old","address":"10.0.0.1","nonce":"x"}', Revision(5))}


def plain(rows: dict[Key, Row]) -> dict[Key, Row]:
    """Without the rows that say which store this is, who led it and from where on it counts."""
    return {key: row for key, row in rows.items() if key not in SPECIAL}


def virtually(scenario: Coroutine[Any, Any, None]) -> None:
    """Run it without waiting."""
    run_virtual(scenario, VirtualClock())


def view_of(held: State) -> View:
    loader = Loader()
    loader.add(held.rows.values())
    return loader.finish(held.position)


@given(histories)
def test_a_store_holds_what_it_was_filled_with(history: list[Maker]) -> None:
    """Rows with their revisions; dump(fill(x)) == x."""

    async def scenario() -> None:
        source = await hold(await memory(), catalog(history, "source"))
        store = await memory()
        filled = await move(source, store, identity="source")
        after = await take(store, quiet, "")
        assert plain(dict(after.rows)) == plain(dict(source.rows))
        assert after.epoch == Epoch("source", 1)
        assert filled.digest == digest(after.rows)
        again = await memory()
        await move(after, again, identity="source")
        assert plain(dict((await take(again, quiet, "")).rows)) == plain(dict(after.rows))

    run(scenario())


@given(histories, histories)
def test_answers_are_those_of_the_source_and_no_index_falls(history: list[Maker], other: list[Maker]) -> None:
    """Neither below the source's nor below the target's, whatever was in it."""

    async def scenario() -> None:
        source = await hold(await memory(), catalog(history, "source"))
        store = await memory()
        target = await hold(store, catalog(other, "target"))
        await move(source, store, replace=True)
        after = view_of(await take(store, quiet, ""))
        assert answers(after) == answers(view_of(source))
        for before in (view_of(source), view_of(target)):
            assert after.revision > before.revision
            for topic, index in indexes(before).items():
                assert indexes(after)[topic] > index, topic

    run(scenario())


def test_numbers_given_away_since_the_backup_are_left_out() -> None:
    assert margin(Timestamp(0), Timestamp(10_000)) == 100_000 + MARGIN_COUNT
    assert margin(Timestamp(10_000), Timestamp(0)) == MARGIN_COUNT  # the clock was set back meanwhile
    group = moved(state(NODE, 50), state({}, 70), left_out=1000, store="s", mark=b"m")
    assert group.last == 70 + 1000 + 1
    with pytest.raises(InvalidError, match="clock"):
        moved(state(NODE, REVISION_LIMIT - 10), state({}, 0), left_out=1000, store="s", mark=b"m")


def test_the_number_of_terms_does_not_go_back() -> None:
    def led(member: str, number: int) -> State:
        return state({META_TERM: Row(META_TERM, encode(Term(member, number)), Revision(1))}, 1)

    row = moved(led("a", 3), led("b", 9), left_out=0, store="s", mark=b"m").rows[META_TERM]
    assert row is not None
    assert state({META_TERM: row}, 1).term == Term("a", 9)


# --- refusals


def test_a_store_that_is_not_empty_is_left_alone_and_its_contents_are_named() -> None:
    async def scenario() -> None:
        store = await memory()
        before = await hold(store, OLD)
        with pytest.raises(TransferError, match=r"not empty: it holds 1 nodes; with --replace"):
            await move(state(NODE, 9), store)
        assert await take(store, quiet, "") == before
        filled = await move(state(NODE, 9), store, replace=True)
        assert filled.replaced == 1
        assert plain(dict((await take(store, quiet, "")).rows)) == NODE

    run(scenario())


def test_a_store_with_servers_on_it_is_left_alone_and_they_are_named() -> None:
    async def scenario() -> None:
        engine = MemoryEngine()
        await (await memory(engine)).join(card("m1"))
        store = await memory(engine)
        with pytest.raises(TransferError, match=r"servers are running on the target: m1; stop all"):
            await move(state(NODE, 9), store)
        engine.expel("m1")
        await move(state(NODE, 9), store)

    virtually(scenario())


def test_a_server_that_goes_is_waited_for() -> None:
    async def scenario() -> None:
        engine = MemoryEngine()
        membership = await (await memory(engine)).join(card("m1"))
        store = await memory(engine)
        moving = asyncio.ensure_future(move(state(NODE, 9), store))
        await asyncio.sleep(0.1)
        await membership.leave()
        assert (await moving).rows == 3

    virtually(scenario())


def test_a_store_that_another_leads_is_left_alone() -> None:
    async def scenario() -> None:
        engine = MemoryEngine()
        await (await memory(engine)).campaign("m1")
        with pytest.raises(TransferError, match="another server leads the target"):
            await move(state(NODE, 9), await memory(engine))
        assert not engine.rows

    virtually(scenario())


def test_a_group_larger_than_the_target_takes_names_the_limit() -> None:
    async def scenario() -> None:
        store = await memory(MemoryEngine(MemorySettings(group_max_rows=2)))
        with pytest.raises(IncompatibleError, match=r"3 rows in one group, the store takes 2; raise"):
            await move(state(NODE, 9), store)
        assert not store.engine.rows

    run(scenario())


def test_rows_that_no_server_could_read_are_not_moved() -> None:
    newer = {META_EPOCH: Row(META_EPOCH, encode(Epoch("s", 99)), Revision(1))}
    with pytest.raises(IncompatibleError, match="level 99"):
        require_readable(state(newer, 1))


# --- faults


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.LANDED])
def test_a_commit_whose_end_is_not_known_is_settled(fault: Fault) -> None:
    async def scenario() -> None:
        faults = iter([fault, fault])
        inner = await memory()
        store = FaultyStore(inner, lambda: next(faults, Fault.NONE))
        await move(state(NODE, 9), store)
        assert plain(inner.engine.rows) == NODE
        assert inner.engine.stats.groups == 1

    virtually(scenario())


def test_a_lead_that_is_lost_changes_nothing() -> None:
    async def scenario() -> None:
        inner = await memory()
        store = FaultyStore(inner, lambda: Fault.DEPOSED)
        with pytest.raises((TransferError, DeposedError), match="lead"):
            await move(state(NODE, 9), store)
        assert not inner.engine.rows

    virtually(scenario())


def test_a_target_that_changed_after_it_was_looked_at_is_looked_at_again() -> None:
    """Nothing that a server wrote in between is removed unseen."""

    class Changing(Passing):
        async def campaign(self, member: str) -> object:  # type: ignore[override]
            if not (await self.store.head()).revision:
                await hold(self.store, OLD)
            return await self.store.campaign(member)

    async def scenario() -> None:
        store = Changing(await memory())
        with pytest.raises(TransferError, match="not empty"):
            await move(state(NODE, 9), cast(Store, store))

    run(scenario())


def test_a_store_that_holds_something_else_afterwards_is_told() -> None:
    class Forgetful(Passing):
        async def load(self) -> Snapshot:
            snapshot = await self.store.load()
            return Snapshot(snapshot.position, self._some(snapshot))

        async def _some(self, snapshot: Snapshot) -> AsyncIterator[Sequence[Row]]:
            async for batch in snapshot.batches:
                yield [row for row in batch if row.key != Key("n/a")]

    async def scenario() -> None:
        with pytest.raises(TransferError, match="row n/a differs; do not start a server"):
            await move(state(NODE, 9), Forgetful(await memory()))

    run(scenario())


def test_sqlite_takes_what_memory_held_and_gives_it_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        rows = {Key(f"x/{number}"): Row(Key(f"x/{number}"), b'{"v":1}', Revision(number + 1)) for number in range(3000)}
        source = await hold(await memory(), rows)
        store = await sqlite(tmp_path / "a")
        await move(source, store)
        held = await take(store, quiet, "")
        await store.close()
        other = await sqlite(tmp_path / "b")
        await move(held, other)
        assert plain(dict((await take(other, quiet, "")).rows)) == rows
        await other.close()

    run(scenario())


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from callboard.store.sqlite.engine import Engine
from tests.transfer.stage import move, sqlite, state
from tests.transfer.test_moving import NODE

written = getattr(Engine, "_change")
def die(self, *arguments, **named):
    written(self, *arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
Engine._change = die

async def main():
    await move(state(NODE, 9), await sqlite(Path(sys.argv[1])), replace=True)
asyncio.run(main())
"""


def test_one_that_is_killed_in_the_middle_leaves_the_old_state(tmp_path: Path) -> None:
    async def before() -> State:
        store = await sqlite(tmp_path)
        held = await hold(store, OLD)
        await store.close()
        return held

    async def after() -> State:
        store = await sqlite(tmp_path)
        held = await take(store, quiet, "")
        await store.close()
        return held

    held = run(before())
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60, cwd=Path(__file__).parents[2])
    assert ended.returncode == -signal.SIGKILL
    assert run(after()) == held


def test_a_group_is_one(tmp_path: Path) -> None:
    """Whatever it removes and puts, a follower sees it at once and whole."""

    async def scenario() -> None:
        store = await memory()
        before = await hold(store, OLD)
        await move(state(NODE, 9), store, replace=True)
        groups: list[Group] = []
        async for group in store.follow(before.position):
            groups.append(group)
            break
        assert groups[0].position == await store.head()
        assert groups[0].rows[Key("n/old")] is None

    run(scenario())

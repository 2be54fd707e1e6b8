"""Between SQLite and a real etcd and back, beside servers and without."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from callboard.cli.main import main
from callboard.model.rows import Key, Revision, Row
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.server.transfer.errors import TransferError
from callboard.server.transfer.filling import Patience, leading
from callboard.server.transfer.state import State, take
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.store import EtcdStore
from callboard.testing.etcd import Etcd
from callboard.testing.store_suite_kit import card
from tests.servers import free_port
from tests.support import run
from tests.transfer.stage import hold, move, quiet, sqlite
from tests.transfer.test_moving import plain

ROWS = {Key(f"x/{number}"): Row(Key(f"x/{number}"), b'{"v":1,"text":"\xc3\xa9"}', Revision(number + 1)) for number in range(3000)}
PATIENT = Patience(gone_s=0.5, lead_s=20.0)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    with Etcd.running(tmp_path_factory.mktemp("etcd")) as etcd:
        yield etcd


async def opened(engine: Etcd, prefix: str) -> EtcdStore:
    return await opened_at(engine.endpoints, prefix)


async def opened_at(endpoints: tuple[str, ...], prefix: str) -> EtcdStore:
    store = EtcdStore(EtcdSettings(endpoints=endpoints, prefix=prefix), SystemClock().now, SystemEntropy().nonce)
    await store.open()
    return store


def test_sqlite_to_etcd_and_back_is_the_same(engine: Etcd, tmp_path: Path) -> None:
    """In parts, for 3,000 rows are too many for one transaction of etcd."""

    async def scenario() -> None:
        origin = await sqlite(tmp_path / "a")
        source = await hold(origin, ROWS)
        await origin.close()
        store = await opened(engine, "there")
        assert store.caps.group_rows < len(ROWS)
        filled = await move(source, store, patience=PATIENT)
        held = await take(store, quiet, "")
        assert plain(dict(held.rows)) == ROWS
        assert held.position.revision == filled.revision > source.position.revision
        await store.close()
        target = await sqlite(tmp_path / "b")
        await move(held, target)
        assert plain(dict((await take(target, quiet, "")).rows)) == ROWS
        await target.close()

    run(scenario())


def test_what_was_there_is_replaced_as_one_group(engine: Etcd) -> None:
    async def scenario() -> None:
        store = await opened(engine, "replaced")
        before = await hold(store, ROWS)
        few = State(before.position, {key: ROWS[key] for key in list(ROWS)[:5]})
        feed = store.follow(before.position)
        await move(few, store, replace=True, patience=PATIENT)
        async with asyncio.timeout(20):
            group = await anext(feed)
        assert group.position == await store.head()
        assert sum(row is None for row in group.rows.values()) == len(ROWS) - 5
        assert plain(dict((await take(store, quiet, "")).rows)) == dict(few.rows)
        await store.close()

    run(scenario())


KILLED = """
import asyncio, os, signal, sys
from callboard.store.etcd.committing import Committer
from tests.transfer.stage import move, state
from tests.transfer.test_etcd import PATIENT, ROWS, opened_at

async def die(self, *arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(Committer, "_publish", die)

async def main():
    await move(state(ROWS, 9000), await opened_at((sys.argv[1],), "killed"), replace=True, patience=PATIENT)
asyncio.run(main())
"""


def test_one_that_is_killed_with_all_parts_written_leaves_the_old_state_and_can_be_done_again(engine: Etcd) -> None:
    """Its lead lasts until its lease has run out; then the next one leads and clears its parts away."""

    async def scenario() -> None:
        few = dict(list(ROWS.items())[:5])
        store = await opened(engine, "killed")
        before = await hold(store, few)
        words = [sys.executable, "-c", KILLED, engine.endpoints[0]]
        ended = await asyncio.to_thread(subprocess.run, words, check=False, timeout=60, cwd=Path(__file__).parents[2])
        assert ended.returncode == -signal.SIGKILL
        assert await take(store, quiet, "") == before
        await move(State(before.position, ROWS), store, replace=True, patience=PATIENT)
        assert plain(dict((await take(store, quiet, "")).rows)) == ROWS
        await store.close()

    run(scenario())


def test_servers_on_etcd_are_in_the_way_of_a_restore_and_not_of_a_backup(engine: Etcd) -> None:
    async def scenario() -> None:
        server, store = await opened(engine, "used"), await opened(engine, "used")
        before = await hold(server, ROWS)
        membership = await server.join(card("m1"))
        assert (await take(store, quiet, "")).rows == ROWS
        with pytest.raises(TransferError, match="servers are running on the target: m1"):
            await move(before, store, replace=True, patience=PATIENT)
        await membership.leave()
        async with leading(server, PATIENT, "the target"):
            with pytest.raises(TransferError, match="another server leads"):
                await move(before, store, replace=True, patience=Patience(0.5, 0.5))
        await move(before, store, replace=True, patience=PATIENT)
        await server.close()
        await store.close()

    run(scenario())


def test_the_commands_take_an_etcd_by_its_url(engine: Etcd, tmp_path: Path) -> None:
    async def prepared() -> None:
        store = await sqlite(tmp_path / "a")
        await hold(store, ROWS)
        await store.close()

    def told(*words: str) -> dict[str, Any]:
        result = CliRunner().invoke(main, [*words, "-o", "json"], env={"CALLBOARD_URL": None})
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    run(prepared())
    there, file = engine.url("cli"), str(tmp_path / "b.jsonl.gz")
    moved = told("migrate", f"sqlite:///{tmp_path}/a", there)
    saved = told("backup", file, "--store", there)
    assert (saved["rows"], saved["revision"], saved["store"]) == (moved["rows"], moved["revision"], moved["store"])
    assert told("restore", file, "--store", engine.url("restored"))["rows"] == moved["rows"]
    back = told("migrate", there, f"sqlite:///{tmp_path}/b")
    assert (back["rows"], back["store"]) == (moved["rows"], moved["store"])
    assert back["revision"] > moved["revision"]
    nobody = f"etcd://127.0.0.1:{free_port()}/x"
    environment = {"CALLBOARD_TUNE_ETCD_OPEN_TIMEOUT_MS": "300"}
    assert CliRunner().invoke(main, ["restore", file, "--store", nobody], env=environment).exit_code == 5

"""SQLite when the disk fails: after every COMMIT that reports an error it is known, or said not to be known, whether the group landed."""

import asyncio
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from callboard.model.errors import CompactedError, FullError, IndeterminateError, UnavailableError
from callboard.model.rows import ORIGIN
from callboard.net.tasks import spawn
from callboard.store.sqlite.database import DATABASE_NAME
from callboard.store.sqlite.directory import RESERVE_NAME
from callboard.store.sqlite.engine import Engine
from callboard.testing.store_suite_kit import Scribe, fold, followed, loaded, next_of, taken
from tests.store.test_sqlite_file import opened
from tests.support import PATIENCE_S, run


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to write beyond `size`: a real I/O error, in the middle of a transaction."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def failing_commit(monkeypatch: pytest.MonkeyPatch, *, landed: bool) -> None:
    """The next COMMIT reports an I/O error; `landed` says what the disk really did. No real disk can be made to do this."""
    real = Engine._commit  # noqa: SLF001 # the one statement that a disk can answer wrongly

    def commit(self: Engine, connection: sqlite3.Connection) -> None:
        monkeypatch.setattr(Engine, "_commit", real)
        if landed:
            real(self, connection)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Engine, "_commit", commit)


def test_a_commit_that_failed_and_did_not_land_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path))
        await scribe.write_many(3)
        failing_commit(monkeypatch, landed=False)
        with pytest.raises(UnavailableError, match="nothing was applied"):
            await scribe.write({"k": b"1"})
        await scribe.write({"k": b"2"})
        assert await followed(scribe.store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups
        assert await loaded(scribe.store) == (scribe.head, fold(scribe.groups))
        await scribe.store.close()

    run(scenario())


def test_a_commit_that_failed_but_landed_is_a_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path))
        await scribe.write_many(3)
        feed = scribe.store.follow(scribe.head)
        waiting = spawn(next_of(feed, PATIENCE_S), name="follower")
        failing_commit(monkeypatch, landed=True)
        group = await scribe.write({"k": b"1"})
        assert await waiting == group
        await scribe.write({"k": b"2"})
        assert await taken(feed, scribe.head, PATIENCE_S) == scribe.groups[-1:]
        assert await followed(scribe.store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups
        await scribe.store.close()

    run(scenario())


@pytest.mark.parametrize("landed", [False, True])
def test_unique_a_commit_of_unknown_end_is_indeterminate_and_sent_again_lands_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path, foreign_check_interval_ms=60_000))
        await scribe.write_many(3)
        waiting = spawn(next_of(scribe.store.follow(scribe.head), PATIENCE_S), name="follower")
        group, other = scribe.group({"k": b"1"}), scribe.group({"k": b"2"})
        failing_commit(monkeypatch, landed=landed)
        with monkeypatch.context() as broken:
            broken.setattr("callboard.store.sqlite.engine.connect_writer", _cannot_open)
            for _ in range(2):
                with pytest.raises(IndeterminateError):
                    await scribe.commit(group)
            with pytest.raises(UnavailableError):
                await scribe.commit(other)
        await scribe.commit(group)
        assert await waiting == group
        await scribe.write({"k": b"3"})
        assert await followed(scribe.store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups
        await scribe.store.close()

    run(scenario())


@pytest.mark.parametrize("landed", [False, True])
def test_unique_what_a_reader_keeps_in_the_log_is_not_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, landed: bool) -> None:
    """While another program reads, a failed COMMIT may still be in the log, where the next start would find it."""

    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path, busy_timeout_ms=1, foreign_check_interval_ms=60_000))
        await scribe.write_many(3)
        waiting = spawn(next_of(scribe.store.follow(scribe.head), PATIENCE_S), name="follower")
        group = scribe.group({"k": b"1"})
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as hand:
            hand.execute("BEGIN")
            hand.execute("SELECT count(*) FROM rows").fetchall()
            failing_commit(monkeypatch, landed=landed)
            for _ in range(2):
                with pytest.raises(IndeterminateError, match="another program is reading it"):
                    await scribe.commit(group)
        await scribe.commit(group)
        assert await waiting == group
        await scribe.write({"k": b"3"})
        assert await followed(scribe.store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups
        await scribe.store.close()

    run(scenario())


def _cannot_open(*_: object, **__: object) -> sqlite3.Connection:
    raise UnavailableError("the disk does not answer")


@pytest.mark.parametrize("room", [0, 1000, 5000, 20_000])
def test_a_disk_that_stops_in_the_middle_of_a_group_leaves_it_whole_or_out(tmp_path: Path, room: int) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path, reserve_bytes=0))
        await scribe.write_many(3)
        log = tmp_path / f"{DATABASE_NAME}-wal"
        group = scribe.group({f"k/{number}": b"x" * 1000 for number in range(50)})
        with files_no_larger_than(log.stat().st_size + room), pytest.raises((UnavailableError, IndeterminateError)):
            await scribe.commit(group)
        await scribe.commit(group)
        assert await followed(scribe.store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups
        assert await loaded(scribe.store) == (scribe.head, fold(scribe.groups))
        await scribe.store.close()

    run(scenario())


def test_a_full_database_gives_up_its_reserve_and_its_history_before_it_refuses_removals(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path, database_max_bytes=512 * 1024, reserve_bytes=4096, foreign_check_interval_ms=60_000)
        scribe = await Scribe.elect(store)
        await scribe.write({"first": b"1"})
        feed = store.follow(ORIGIN)
        assert await next_of(feed, PATIENCE_S) == scribe.groups[0]
        with pytest.raises(FullError, match=r"no room left .* raise database_max_bytes, or remove registrations"):
            await _fill(scribe)
        reserve = tmp_path / RESERVE_NAME
        assert reserve.stat().st_size == 4096
        while reserve.exists():
            await scribe.write({"absent": None})
        assert await taken(feed, scribe.head, PATIENCE_S) == scribe.groups[1:]
        await scribe.write({"k/0": None})
        await scribe.write({"again": b"1"})
        await store.close()
        store = await opened(tmp_path, reserve_bytes=4096)
        assert await loaded(store) == (scribe.head, fold(scribe.groups))
        with pytest.raises(CompactedError):
            await followed(store, ORIGIN, scribe.head, PATIENCE_S)
        assert reserve.stat().st_size == 4096
        await store.close()

    run(scenario())


async def _fill(scribe: Scribe) -> None:
    for number in range(200):
        await scribe.write({f"k/{number}": b"x" * 4000})


def test_a_damaged_page_is_said_to_be_damaged(tmp_path: Path) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path))
        for start in range(0, 1000, 100):
            await scribe.write({f"k/{start + number}": b"x" * 400 for number in range(100)})
        await scribe.store.close()
        with (tmp_path / DATABASE_NAME).open("r+b") as file:
            file.seek(20 * 4096)
            file.write(b"\xff" * 40 * 4096)
        store = await opened(tmp_path)
        with pytest.raises(UnavailableError, match=r"damaged .* restore it from a backup"):
            await loaded(store)
        await store.close()

    run(scenario())


def test_more_groups_than_may_wait_are_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path, writer_queue_max_count=2, busy_timeout_ms=10_000))
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as hand:
            hand.execute("BEGIN IMMEDIATE")  # the writer waits for it
            group = scribe.group({"k": b"1"})
            sent = [spawn(scribe.store.commit(group, scribe.leadership), name="commit") for _ in range(8)]
            done, waiting = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with pytest.raises(UnavailableError, match="jobs wait already"):
                    await task
            hand.execute("ROLLBACK")
        for task in waiting:
            assert await task == group.position
        assert await followed(scribe.store, ORIGIN, group.position, PATIENCE_S) == [group]
        await scribe.store.close()

    run(scenario())


def test_reliable_a_group_whose_sender_has_gone_is_followed(tmp_path: Path) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path))
        group = scribe.group({"k": b"1"})
        sending = spawn(scribe.commit(group), name="commit")
        waiting = spawn(next_of(scribe.store.follow(ORIGIN), PATIENCE_S), name="follower")
        await asyncio.sleep(0)
        sending.cancel()
        unseen: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
        assert await waiting == group
        assert unseen == []
        assert await scribe.store.head() == group.position
        await scribe.store.close()

    run(scenario())

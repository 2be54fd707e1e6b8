"""SQLite: the file and the directory: what is refused, what others do to it, how much it keeps."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from callboard.model.errors import CompactedError, DeposedError, DivergedError, UnavailableError
from callboard.model.rows import ORIGIN
from callboard.model.time import Timestamp
from callboard.net.tasks import spawn
from callboard.store.sqlite.database import DATABASE_NAME, SCHEMA_VERSION, connect_writer
from callboard.store.sqlite.engine import AT_ONCE_COUNT
from callboard.store.sqlite.settings import SqliteSettings
from callboard.store.sqlite.store import SqliteStore
from callboard.testing.store_suite_kit import Scribe, fold, followed, loaded, next_of
from tests.support import PATIENCE_S, run


class Wall:
    """A calendar that tests move."""

    def __init__(self) -> None:
        self.now_ms = 1_700_000_000_000

    def __call__(self) -> Timestamp:
        return Timestamp(self.now_ms)


async def opened(directory: Path, wall: Wall | None = None, **settings: int) -> SqliteStore:
    store = SqliteStore(SqliteSettings(path=str(directory), **settings), wall or Wall())
    try:
        await store.open()
    except BaseException:
        await store.close()
        raise
    return store


async def written(directory: Path, count: int = 5) -> Scribe:
    """A leader that has written something."""
    scribe = await Scribe.elect(await opened(directory, foreign_check_interval_ms=10))
    await scribe.write_many(count)
    return scribe


# --- what is refused ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"not a database at all, just some text" * 100, b"\x00" * 8192, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(content)
    with pytest.raises(UnavailableError, match=r"callboard\.db is damaged or not a database .* restore it from a backup"):
        run(opened(tmp_path))
    assert (tmp_path / DATABASE_NAME).read_bytes() == content


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
        other.commit()
    content = (tmp_path / DATABASE_NAME).read_bytes()
    with pytest.raises(UnavailableError, match="another program's database; choose another data directory"):
        run(opened(tmp_path))
    assert (tmp_path / DATABASE_NAME).read_bytes() == content


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    run(_write_and_close(tmp_path))
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 6}")
    content = (tmp_path / DATABASE_NAME).read_bytes()
    with pytest.raises(UnavailableError, match=f"has schema {SCHEMA_VERSION + 6}, this program reads up to {SCHEMA_VERSION}; start"):
        run(opened(tmp_path))
    assert (tmp_path / DATABASE_NAME).read_bytes() == content


@pytest.mark.parametrize(
    "damage",
    ["DELETE FROM head", "UPDATE head SET revision = 'x'", "UPDATE head SET revision = 9007199254740992", "UPDATE head SET mark = 'text'"],
)
def test_a_head_that_says_nothing_it_could_say_is_refused(tmp_path: Path, damage: str) -> None:
    run(_write_and_close(tmp_path))
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as hand:
        hand.execute(damage)
        hand.commit()
    with pytest.raises(UnavailableError, match=r"database is damaged \(its head is .* restore it from a backup"):
        run(opened(tmp_path))


def test_a_value_that_a_hand_has_turned_into_text_is_read_as_its_bytes(tmp_path: Path) -> None:
    async def read_again() -> set[type]:
        store = await opened(tmp_path)
        try:
            _, rows = await loaded(store)
            return {type(row.value) for row in rows.values()}
        finally:
            await store.close()

    run(_write_and_close(tmp_path))
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as hand:
        hand.execute("UPDATE rows SET value = CAST(value AS TEXT)")
        hand.commit()
    assert run(read_again()) == {bytes}


async def _write_and_close(directory: Path) -> Scribe:
    scribe = await written(directory)
    await scribe.store.close()
    return scribe


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot be used"):
        run(opened(tmp_path / "file" / "data"))


def test_only_the_owner_may_read_what_is_made(tmp_path: Path) -> None:
    async def scenario() -> None:
        scribe = await written(tmp_path / "above" / "data")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "above" / "data").iterdir()}
        assert set(modes.values()) == {0o600}, modes
        assert f"{DATABASE_NAME}-wal" in modes
        await scribe.store.close()

    mask = os.umask(0o022)
    try:
        run(scenario())
    finally:
        os.umask(mask)
    for made in (tmp_path / "above", tmp_path / "above" / "data"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_durable_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """What SQLite is told; that it then calls fdatasync before the answer is seen with strace, in `make interop`."""
    with closing(connect_writer(tmp_path, SqliteSettings(path=str(tmp_path)), create=True)) as connection:
        told = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "fullfsync")}
    assert told == {"journal_mode": "wal", "synchronous": 2, "fullfsync": 1}


# --- what other programs do --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["DELETE FROM rows", "UPDATE head SET revision = revision + 1", "UPDATE head SET mark = x'00'"])
def test_one_history_a_row_changed_by_hand_is_told_to_everyone(tmp_path: Path, statement: str) -> None:
    async def scenario() -> None:
        scribe = await written(tmp_path)
        waiting = spawn(next_of(scribe.store.follow(scribe.head), PATIENCE_S), name="follower")
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as hand:
            hand.execute(statement)
        with pytest.raises(DivergedError):
            await waiting
        await scribe.leadership.lost()
        with pytest.raises(DeposedError):
            await scribe.write({"late": b"1"})
        position, _ = await loaded(scribe.store)
        assert position == await scribe.store.head()
        second = await Scribe.elect(scribe.store, "second")
        await second.write({"good": b"1"})
        await scribe.store.close()

    run(scenario())


def test_fenced_a_group_sent_after_a_hand_has_changed_rows_does_not_land(tmp_path: Path) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path, foreign_check_interval_ms=60_000))
        await scribe.write_many(3)
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as hand:
            hand.execute("DELETE FROM rows")
        late = [spawn(scribe.commit(scribe.group({"late": b"1"})), name="late") for _ in range(2)]
        for sent in late:
            with pytest.raises(DeposedError):
                await sent
        assert (await loaded(scribe.store))[1] == {}
        await scribe.store.close()

    run(scenario())


def test_one_history_a_database_put_in_place_of_another_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        older = await _write_and_close(tmp_path / "older")
        scribe = await written(tmp_path / "data", 8)
        waiting = spawn(next_of(scribe.store.follow(scribe.head), PATIENCE_S), name="follower")
        (tmp_path / "older" / DATABASE_NAME).rename(tmp_path / "data" / DATABASE_NAME)
        with pytest.raises(DivergedError):
            await waiting
        assert (await loaded(scribe.store))[0] == older.head
        second = await Scribe.elect(scribe.store, "second")
        await second.write({"good": b"1"})
        await scribe.store.close()

    run(scenario())


@pytest.mark.parametrize("emptied", [False, True])
def test_a_database_that_is_gone_is_not_made_anew(tmp_path: Path, emptied: bool) -> None:
    async def scenario() -> None:
        scribe = await written(tmp_path)
        path = tmp_path / DATABASE_NAME
        kept = path.rename(tmp_path / "kept.db")
        if emptied:
            path.touch()
        with pytest.raises(UnavailableError, match=r"is gone|has been emptied"):
            await scribe.write({"lost": b"1"})
        with pytest.raises(UnavailableError):
            await scribe.store.load()
        kept.rename(path)
        await scribe.write({"good": b"1"})
        assert await loaded(scribe.store) == (scribe.head, fold(scribe.groups))
        await scribe.store.close()

    run(scenario())


def test_another_program_that_holds_the_file_makes_it_unavailable(tmp_path: Path) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path, busy_timeout_ms=1))
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as hand:
            hand.execute("BEGIN IMMEDIATE")
            with pytest.raises(UnavailableError, match="being written by another program"):
                await scribe.write({"k": b"1"})
            hand.execute("ROLLBACK")
        await scribe.write({"k": b"2"})
        await scribe.store.close()

    run(scenario())


# --- how much is kept --------------------------------------------------------------------------------------------------------------------


def test_the_changelog_is_trimmed_by_age(tmp_path: Path) -> None:
    async def scenario() -> None:
        wall = Wall()
        store = await opened(tmp_path, wall, changelog_max_age_s=60, feed_max_count=1)
        scribe = await Scribe.elect(store)
        for _ in range(5):
            wall.now_ms += 20_000
            await scribe.write_many(1)
        kept = scribe.positions[-5]  # written 60 s before the newest, so just kept
        assert await followed(scribe.store, kept, scribe.head, PATIENCE_S) == scribe.groups[-4:]
        with pytest.raises(CompactedError) as caught:
            await followed(scribe.store, scribe.positions[0], scribe.head, PATIENCE_S)
        assert caught.value.first == kept.revision
        wall.now_ms += 3_600_000
        await scribe.write_many(1)
        assert store.stats.changelog_count == 1
        await scribe.store.close()

    run(scenario())


def test_the_changelog_is_trimmed_by_size(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path, changelog_max_bytes=20_000)
        scribe = await Scribe.elect(store)
        for turn in range(30):
            await scribe.write({f"k/{turn}": b"x" * 1000})
            assert store.stats.changelog_bytes <= 20_000
        assert 10 < store.stats.changelog_count < 20
        await scribe.write({"large": b"x" * 100_000})
        assert store.stats.changelog_count == 1  # the newest is kept whatever its size
        await scribe.store.close()
        again = await opened(tmp_path, changelog_max_bytes=200_000)
        second = await Scribe.elect(again, "second")
        await second.write({"k": b"1"})
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as hand:
            kept = hand.execute("SELECT count(*), sum(bytes) FROM changelog").fetchone()
        assert (again.stats.changelog_count, again.stats.changelog_bytes) == kept
        await again.close()

    run(scenario())


def test_lower_limits_take_hold_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        scribe = await written(tmp_path, 300)
        await scribe.store.close()
        store = await opened(tmp_path, changelog_max_count=10)
        second = await Scribe.elect(store, "second")
        await second.write_many(8)
        assert store.stats.changelog_count == 10
        assert await loaded(store) == (second.head, fold([*scribe.groups, *second.groups]))
        await store.close()

    run(scenario())


def test_a_load_that_holds_the_log_too_long_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path, wal_checkpoint_bytes=64 * 1024, wal_max_bytes=256 * 1024, load_batch_max_rows=1)
        scribe = await Scribe.elect(store)
        await scribe.write_many(5)
        batches = (await store.load()).batches
        await anext(batches)
        for turn in range(100):
            await scribe.write({f"k/{turn}": b"x" * 10_000})
        with pytest.raises(CompactedError):
            await anext(batches)
        assert store.stats.wal_bytes < 512 * 1024
        assert await loaded(store) == (scribe.head, fold(scribe.groups))
        await store.close()
        assert not (tmp_path / f"{DATABASE_NAME}-wal").exists()

    run(scenario())


def test_a_load_that_is_broken_off_lets_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await opened(tmp_path, wal_checkpoint_bytes=64 * 1024, load_batch_max_rows=1)
        scribe = await Scribe.elect(store)
        await scribe.write_many(5)
        async for _ in (await store.load()).batches:
            break
        for turn in range(100):
            await scribe.write({f"k/{turn}": b"x" * 10_000})
        assert store.stats.wal_bytes < 256 * 1024
        await store.close()

    run(scenario())


def test_unique_no_trace_is_left_of_a_position_before_everything(tmp_path: Path) -> None:
    """An empty store that was closed is still empty."""

    async def scenario() -> None:
        await (await opened(tmp_path)).close()
        store = await opened(tmp_path)
        assert await loaded(store) == (ORIGIN, {})
        await store.close()

    run(scenario())


# --- many rows at once -------------------------------------------------------------------------------------------------------------------


def test_groups_of_every_size_are_written_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        scribe = await Scribe.elect(await opened(tmp_path))
        for count in (1, AT_ONCE_COUNT - 1, AT_ONCE_COUNT, AT_ONCE_COUNT + 1, 3 * AT_ONCE_COUNT, 3 * AT_ONCE_COUNT + 5):
            await scribe.write({f"k/{count - number}": b"%d" % count for number in range(count)})
            await scribe.write({f"n/{count}/{number}": b"new" for number in range(count)} | {f"k/{count}": None})
        assert await loaded(scribe.store) == (scribe.head, fold(scribe.groups))
        assert await followed(scribe.store, ORIGIN, scribe.head, PATIENCE_S) == scribe.groups
        await scribe.store.close()

    run(scenario())

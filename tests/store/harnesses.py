"""The engines under test, small enough that the suite can fill them and outrun their history."""

import asyncio
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from callboard.model.time import Timestamp
from callboard.store.contract import Store
from callboard.store.memory.engine import Backup, MemoryEngine
from callboard.store.memory.settings import MemorySettings
from callboard.store.memory.store import MemoryStore
from callboard.store.sqlite.database import DATABASE_NAME
from callboard.store.sqlite.settings import SqliteSettings
from callboard.store.sqlite.store import SqliteStore

HISTORY = 60


class MemoryHarness:
    """Several members on one engine."""

    deviations: Mapping[str, str] = {"an_acknowledged_group_survives_a_kill": "the rows are in the memory of the process"}
    patience_s = 60.0

    def __init__(self) -> None:
        self.engine = self._engine()

    def _engine(self) -> MemoryEngine:
        return MemoryEngine(
            MemorySettings(
                history_max_count=HISTORY,
                rows_max_count=1000,
                load_batch_max_rows=30,
                value_max_bytes=4000,
                group_max_rows=100,
                group_max_bytes=100_000,
            )
        )

    async def open(self) -> Store:
        store = MemoryStore(self.engine)
        await store.open()
        return store

    async def kill(self, store: Store) -> Store:
        self.engine = self._engine()
        return await self.open()

    async def backup(self) -> object:
        return self.engine.backup()

    async def rewind(self, backup: object) -> None:
        assert isinstance(backup, Backup)
        self.engine.restore(backup)

    async def depose(self) -> None:
        self.engine.depose()

    async def expel(self, name: str) -> None:
        self.engine.expel(name)

    async def close(self) -> None:
        self.engine.depose()


class SqliteHarness:
    """One member on one data directory. Time goes on by a millisecond a look."""

    deviations: Mapping[str, str] = dict.fromkeys(
        (
            "a_deposed_member_is_refused",
            "head_is_the_same_for_every_member",
            "one_member_leads_at_a_time",
            "every_member_follows_the_same_groups",
            "a_waiting_member_is_woken",
            "a_member_that_comes_later_has_everything",
            "a_member_that_closes_leaves_the_others_alone",
            "every_member_is_told_the_outcomes",
            "a_deposed_leader_is_told",
            "a_deposed_leaders_late_group_never_lands",
            "one_name_is_present_once",
            "every_member_sees_everyone",
            "who_leaves_is_missed_by_everyone",
            "who_is_expelled_is_told_and_missed",
        ),
        "a data directory has one member",
    )
    patience_s = 60.0

    def __init__(self, root: Path) -> None:
        self._root = root
        self._kills = 0
        self.directory = root / "data"
        self._opened: list[SqliteStore] = []
        self._now = 1_700_000_000_000

    def settings(self) -> SqliteSettings:
        return SqliteSettings(
            path=str(self.directory),
            changelog_max_count=HISTORY,
            feed_max_count=8,
            foreign_check_interval_ms=20,
            load_batch_max_rows=30,
            database_max_bytes=4 * 1024 * 1024,
            reserve_bytes=64 * 1024,
            wal_checkpoint_bytes=256 * 1024,
            value_max_bytes=4000,
            group_max_rows=100,
            group_max_bytes=100_000,
        )

    def wall(self) -> Timestamp:
        self._now += 1
        return Timestamp(self._now)

    def make(self) -> SqliteStore:
        return SqliteStore(self.settings(), self.wall)

    async def open(self) -> Store:
        store = self.make()
        await store.open()
        self._opened.append(store)
        return store

    async def kill(self, store: Store) -> Store:
        """What is in the files now is what a crashed process leaves; its lock goes with it, so the copy is opened."""
        self._kills += 1
        crashed, self.directory = self.directory, self._root / f"data-{self._kills}"
        shutil.copytree(crashed, self.directory)
        return await self.open()

    async def backup(self) -> object:
        copy = self._root / "backup.db"
        await asyncio.to_thread(_copy, self.directory / DATABASE_NAME, copy)
        return copy

    async def rewind(self, backup: object) -> None:
        assert isinstance(backup, Path)
        await asyncio.to_thread(_copy, backup, self.directory / DATABASE_NAME)

    async def depose(self) -> None:
        raise AssertionError("a lock of the kernel is taken from nobody")

    async def expel(self, name: str) -> None:
        raise AssertionError(f"{name} is present while it has the data directory")

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


def _copy(source: Path, target: Path) -> None:
    """As `sqlite3 target '.restore source'` does, also under a running server."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target, timeout=10)) as new:
        old.backup(new)

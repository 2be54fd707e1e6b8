"""SQLite on a disk that is really full: a small file system in memory, so this needs the right to mount one."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from callboard.model.errors import FullError
from callboard.testing.store_suite_kit import Scribe, fold, loaded
from tests.store.test_sqlite_file import opened
from tests.support import run

pytestmark = pytest.mark.interop


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "callboard-test", tmp_path], check=True)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", tmp_path], check=True)


async def _fill(scribe: Scribe) -> None:
    for turn in range(1000):
        await scribe.write({f"k/{turn}/{number}": b"x" * 4000 for number in range(10)})


def test_a_full_disk_takes_removals(small_disk: Path) -> None:
    async def scenario() -> None:
        store = await opened(small_disk / "data", reserve_bytes=2 << 20, wal_checkpoint_bytes=1 << 20)
        scribe = await Scribe.elect(store)
        with pytest.raises(FullError):
            await _fill(scribe)
        for group in scribe.groups[:]:
            await scribe.write(dict.fromkeys(group.rows))
        await scribe.write({"again": b"1"})
        assert await loaded(store) == (scribe.head, fold(scribe.groups))
        await store.close()
        store = await opened(small_disk / "data")
        assert await loaded(store) == (scribe.head, fold(scribe.groups))
        await store.close()

    run(scenario())

"""SQLite with real processes: who owns the directory, and what a crash leaves."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from callboard.model.errors import LockedError
from callboard.model.rows import Position, Revision
from callboard.model.time import Timestamp
from callboard.store.sqlite.settings import SqliteSettings
from callboard.store.sqlite.store import SqliteStore
from callboard.testing.store_suite_kit import followed, loaded
from tests.store.writer_process import KEYS
from tests.support import run

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 12


@contextmanager
def other_process(directory: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.store.writer_process", str(directory), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def make(directory: Path) -> SqliteStore:
    return SqliteStore(SqliteSettings(path=str(directory)), lambda: Timestamp(1))


async def open_and_close(directory: Path) -> None:
    store = make(directory)
    try:
        await store.open()
    finally:
        await store.close()


def test_a_second_process_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with other_process(tmp_path, "hold") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open 0\n"
        with pytest.raises(LockedError, match=f"data directory {tmp_path} is in use by pid {process.pid};") as caught:
            run(open_and_close(tmp_path))
        assert caught.value.pid == process.pid
    run(open_and_close(tmp_path))  # killed, it has left no lock behind


def test_a_second_store_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        first = make(tmp_path)
        await first.open()
        with pytest.raises(LockedError, match="in use by pid"):
            await open_and_close(tmp_path)
        await first.close()
        await open_and_close(tmp_path)

    run(scenario())


def crash(directory: Path, groups: int) -> tuple[int, int]:
    """Kill a writer after `groups` acknowledged groups: the revision it began at, and the last one it told anybody."""
    with other_process(directory, "write") as process:
        assert process.stdout is not None
        began = int(process.stdout.readline().split()[1])
        for _ in range(groups):
            process.stdout.readline()
        process.kill()
        told = [began, *(int(line.split()[1]) for line in process.stdout.read().split("\n")[:-1])]
    return began, max(began + groups, *told)


async def survivors(directory: Path, began: int, last: int) -> int:
    """Durable and Atomic after a crash: the revision the next start begins at."""
    store = make(directory)
    await store.open()
    head, rows = await loaded(store)
    assert head.revision >= last, f"acknowledged {last}, but the store is back at {head.revision}"
    if head.revision:
        assert {key: (int(row.value), row.revision) for key, row in rows.items()} == dict.fromkeys(KEYS, (head.revision, head.revision))
        start = Position(Revision(began), b"m%d" % began if began else b"")
        history = await followed(store, start, head, 60)
        assert [group.last for group in history] == list(range(began + 1, head.revision + 1))
    await store.close()
    return head.revision


def test_durable_every_acknowledged_group_survives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(9)
    revision = 0
    for _ in range(ROUNDS):
        began, last = crash(tmp_path, chance.randrange(60))
        assert began == revision
        revision = run(survivors(tmp_path, began, last))
    assert revision > 0

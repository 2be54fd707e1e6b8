from pathlib import Path

import pytest

from callboard.testing.store_suite import CASES, Case, check
from tests.store.harnesses import MemoryHarness, SqliteHarness
from tests.store.unix_harness import UnixHarness
from tests.support import run


@pytest.mark.parametrize("case", CASES, ids=str)
def test_memory_behind_a_socket(case: Case) -> None:
    deviations = {"an_acknowledged_group_survives_a_kill": "the rows are in the memory of the process that holds the engine"}

    async def checked() -> None:
        await check(case, UnixHarness(MemoryHarness(), deviations))

    run(checked())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sqlite_behind_a_socket(case: Case, tmp_path: Path) -> None:
    async def checked() -> None:
        await check(case, UnixHarness(SqliteHarness(tmp_path), {}))

    run(checked())

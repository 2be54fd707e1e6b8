from pathlib import Path

import pytest

from callboard.testing.store_suite import CASES, Case, NotConformingError, check
from tests.store.harnesses import MemoryHarness, SqliteHarness
from tests.support import run


@pytest.mark.parametrize("case", CASES, ids=str)
def test_memory(case: Case) -> None:
    run(check(case, MemoryHarness()))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sqlite(case: Case, tmp_path: Path) -> None:
    run(check(case, SqliteHarness(tmp_path)))


def test_a_deviation_that_is_not_needed_is_a_failure() -> None:
    harness = MemoryHarness()
    harness.deviations = {CASES[0].name: "no reason"}
    with pytest.raises(NotConformingError, match="but it passes"):
        run(check(CASES[0], harness))


def test_a_deviation_of_a_case_that_does_not_exist_is_a_failure() -> None:
    harness = MemoryHarness()
    harness.deviations = {"misspelt": "no reason"}
    with pytest.raises(NotConformingError, match="misspelt"):
        run(check(CASES[0], harness))

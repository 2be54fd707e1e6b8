"""Every guarantee has a picker that breaks it, and the suite says so by the guarantee's name."""

import pytest

from callboard.balance.picker import PICKERS
from callboard.testing.picker_suite import CASES, DEVIATIONS, Case, NotConformingError, check
from callboard.testing.picker_suite_kit import Make
from tests.balance.mutants import MUTANTS, Passing

P2C = DEVIATIONS["p2c"]


def broken(make: Make, cases: list[Case]) -> set[str]:
    """The guarantees whose cases fail."""
    found = set()
    for case in cases:
        try:
            check(case, make)
        except NotConformingError as error:
            found.add(str(error).partition(":")[0])
    return found


@pytest.mark.parametrize("name", MUTANTS)
def test_the_suite_names_the_guarantee_a_mutant_breaks(name: str) -> None:
    guarantee, make = MUTANTS[name]
    assert broken(make, [case for case in CASES if case.guarantee == guarantee]) == {guarantee}


def test_every_guarantee_has_a_mutant() -> None:
    assert {guarantee for guarantee, _ in MUTANTS.values()} == {case.guarantee for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_wrapping_itself_breaks_nothing(case: Case) -> None:
    check(case, Passing, P2C)


def test_the_table_of_deviations_is_about_pickers_that_exist() -> None:
    assert set(DEVIATIONS) <= set(PICKERS)

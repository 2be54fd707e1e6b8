import pytest

from callboard.balance.picker import PICKERS
from callboard.testing.picker_suite import CASES, DEVIATIONS, Case, NotConformingError, check


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", PICKERS)
def test_our_pickers(name: str, case: Case) -> None:
    check(case, PICKERS[name], DEVIATIONS.get(name, {}))


def test_a_deviation_that_is_not_needed_is_a_failure() -> None:
    with pytest.raises(NotConformingError, match="but it passes"):
        check(CASES[0], PICKERS["p2c"], {CASES[0].name: "no reason"})


def test_a_deviation_of_a_case_that_does_not_exist_is_a_failure() -> None:
    with pytest.raises(NotConformingError, match="misspelt"):
        check(CASES[0], PICKERS["p2c"], {"misspelt": "no reason"})

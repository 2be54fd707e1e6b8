"""The simulation finds every rule that is broken on purpose, within a bounded number of runs."""

from collections.abc import Iterator
from itertools import count, islice

import pytest

from callboard.testing.simulation.__main__ import results
from callboard.testing.simulation.plan import FAMILIES, family_of
from tests.mutants import Patch
from tests.simulation.mutants import MUTANTS, Mutant

SEEDS_MAX_COUNT = 300


def seeds_of(families: tuple[str, ...]) -> Iterator[int]:
    return islice((seed for seed in count() if family_of(seed) in families), SEEDS_MAX_COUNT)


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.rule for mutant in MUTANTS])
def test_each_broken_rule_is_found(mutant: Mutant, monkeypatch: Patch) -> None:
    assert set(mutant.families) <= set(FAMILIES)
    mutant.breaks(monkeypatch)
    assert any(result.broken for result in results(seeds_of(mutant.families))), f"not found in {SEEDS_MAX_COUNT} runs: {mutant.rule}"

"""No rule is broken, whatever breaks; and a seed that breaks one will always break it the same way."""

import os
import subprocess
import sys

import pytest

from callboard.testing.simulation.__main__ import main
from callboard.testing.simulation.plan import FAMILIES, family_of, plan
from callboard.testing.simulation.run import simulate
from tests.mutants import Patch
from tests.simulation.mutants import MUTANTS

ROUNDS = 4
_TRACE = "from callboard.testing.simulation.run import simulate; print('\\n'.join(simulate({seed}, tracing=True).lines))"


@pytest.mark.parametrize("family", FAMILIES)
def test_no_rule_is_broken(family: str) -> None:
    names = list(FAMILIES)
    for seed in range(names.index(family), len(names) * ROUNDS, len(names)):
        assert family_of(seed) == family
        result = simulate(seed)
        assert not result.broken, f"seed {seed}: {result.detail}"
        assert result.groups, f"seed {seed}: nothing happened"


def test_a_seed_gives_the_same_run_in_every_process() -> None:
    seed = list(FAMILIES).index("mixed")
    here = simulate(seed, tracing=True).lines
    for hashing in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", _TRACE.format(seed=seed)], env={**os.environ, "PYTHONHASHSEED": hashing}, check=True,
            capture_output=True, text=True,
        ).stdout.splitlines()  # fmt: skip
        assert there == here


def test_tracing_changes_nothing() -> None:
    traced, plain = simulate(1, tracing=True), simulate(1)
    assert (traced.steps, traced.groups, traced.wishes) == (plain.steps, plain.groups, plain.wishes)


def test_a_plan_is_the_seeds_alone() -> None:
    assert plan(7) == plan(7)
    assert plan(7) != plan(7 + len(FAMILIES))


def test_the_command_says_which_seed_fails_and_shows_its_trace(monkeypatch: Patch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "0..2"]) == 0
    assert "3 seeds" in capsys.readouterr().out
    next(mutant for mutant in MUTANTS if mutant.rule.startswith("told before")).breaks(monkeypatch)
    assert main(["--seeds", "0..50"]) == 1
    told = capsys.readouterr().out
    assert "Shown" in told
    assert "engine" in told
    seed = told.split()[1]
    assert main(["--trace", seed]) == 1
    assert "is done at" in capsys.readouterr().out
    assert main(["--seeds", "0..5", "--keep-going", "--json"]) == 1
    assert '"findings"' in capsys.readouterr().out

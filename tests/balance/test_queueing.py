"""The simulator agrees with queueing theory; then it judges the pickers. Seeds are fixed: tests/soak/test_queueing.py takes more."""

from random import Random

import pytest

from callboard.balance.picker import PICKERS
from callboard.testing.queueing import Run, clients_of, fleet, fullest_bin, random_sojourn, simulate, two_choices_sojourn

SEED = 1
ALIKE = fleet((500, 1.0))
MIXED = fleet((10, 10.0), (10, 20.0))


def mean_ms(policy: str, run: Run) -> float:
    return simulate(ALIKE, clients_of(PICKERS[policy], ALIKE, 1), run, Random(SEED)).mean_ms


def p99_ms(policy: str, run: Run, seed: int) -> float:
    return simulate(MIXED, clients_of(PICKERS[policy], MIXED, 10), run, Random(seed)).quantile_ms(0.99)


def test_the_formulae_give_the_published_figures() -> None:
    assert [round(random_sojourn(load), 3) for load in (0.5, 0.7, 0.9, 0.95)] == [2.0, 3.333, 10.0, 20.0]
    assert [round(two_choices_sojourn(load), 4) for load in (0.5, 0.7, 0.9, 0.95)] == [1.2657, 1.6145, 2.6141, 3.383]


@pytest.mark.parametrize(("load", "calls", "warm_up"), [(0.5, 150_000, 10_000), (0.7, 250_000, 20_000), (0.9, 1_200_000, 250_000)])
def test_blind_draws_take_as_long_as_theory_says(load: float, calls: int, warm_up: int) -> None:
    assert mean_ms("weighted_random", Run(load, calls, warm_up)) == pytest.approx(random_sojourn(load), rel=0.03)


@pytest.mark.parametrize(
    ("load", "calls", "warm_up"), [(0.5, 60_000, 10_000), (0.7, 80_000, 20_000), (0.9, 400_000, 60_000), (0.95, 800_000, 100_000)]
)
def test_p2c_takes_as_long_as_the_supermarket_model_says(load: float, calls: int, warm_up: int) -> None:
    assert mean_ms("p2c", Run(load, calls, warm_up)) == pytest.approx(two_choices_sojourn(load), rel=0.03)


@pytest.mark.parametrize("policy", ["p2c", "peak_ewma"])
def test_no_bin_of_ten_thousand_is_fuller_than_four(policy: str) -> None:
    fullest = [fullest_bin(PICKERS[policy], 10_000, Random(seed)) for seed in range(20)]
    assert sum(balls <= 4 for balls in fullest) >= 19


@pytest.mark.parametrize("seed", [1, 2])
def test_peak_ewma_beats_p2c_where_servers_differ(seed: int) -> None:
    run = Run(0.75, 50_000, 10_000)
    assert p99_ms("peak_ewma", run, seed) <= 0.75 * p99_ms("p2c", run, seed)


def test_a_seed_replays() -> None:
    run = Run(0.75, 2_000, 100)
    assert p99_ms("peak_ewma", run, 7) == p99_ms("peak_ewma", run, 7)

"""The long form of tests/balance/test_queueing.py: more seeds, and the load that takes millions of calls to settle. Writes its figures."""

import json
import time
from pathlib import Path
from random import Random
from statistics import fmean, median

import pytest

from bench.lab import machine
from callboard.balance.picker import PICKERS
from callboard.testing.queueing import Run, Times, clients_of, fleet, fullest_bin, random_sojourn, simulate, two_choices_sojourn

pytestmark = pytest.mark.soak
RESULT = Path(__file__).resolve().parents[2] / "bench" / "results" / "queueing.json"
ALIKE = fleet((500, 1.0))
MIXED = {
    "20 servers, 10 clients": (fleet((10, 10.0), (10, 20.0)), 10),
    "100 servers, 100 clients": (fleet((50, 10.0), (50, 20.0)), 100),
}
BALLS = 10_000
SEEDS = range(1, 11)
SETTLING = {
    "weighted_random": {0.5: (300_000, 20_000), 0.7: (600_000, 50_000), 0.9: (2_000_000, 400_000), 0.95: (8_000_000, 1_000_000)},
    "p2c": {0.5: (300_000, 20_000), 0.7: (600_000, 50_000), 0.9: (1_000_000, 100_000), 0.95: (2_000_000, 200_000)},
}
"""Calls and warm-up by load. Queues of one choice change so slowly that their mean needs millions of calls; and three seeds of them."""


def mean_ms(policy: str, run: Run) -> float:
    return fmean(simulate(ALIKE, clients_of(PICKERS[policy], ALIKE, 1), run, Random(seed)).mean_ms for seed in (1, 2, 3))


def expected_ms(policy: str, load: float) -> float:
    return two_choices_sojourn(load) if policy == "p2c" else random_sojourn(load)


def mixed(policy: str, name: str, load: float) -> dict[str, float]:
    """Medians over the seeds."""
    servers, clients = MIXED[name]
    times: list[Times] = [
        simulate(servers, clients_of(PICKERS[policy], servers, clients), Run(load, 50_000, 10_000), Random(seed)) for seed in SEEDS
    ]
    return {f"p{share:.0%}".rstrip("%"): round(median(each.quantile_ms(share) for each in times), 1) for share in (0.5, 0.99)}


@pytest.mark.timeout(3600)
def test_the_simulator_and_the_pickers_hold_over_many_seeds() -> None:
    begin = time.monotonic()
    theory = {
        policy: {load: (mean_ms(policy, Run(load, *counts)), expected_ms(policy, load)) for load, counts in SETTLING[policy].items()}
        for policy in SETTLING
    }
    fullest = {name: [fullest_bin(PICKERS[name], BALLS, Random(seed)) for seed in range(100)] for name in ("p2c", "peak_ewma")}
    ranking = {f"{name}, load {load}": {policy: mixed(policy, name, load) for policy in PICKERS} for name in MIXED for load in (0.75, 0.9)}
    figures = {"machine": machine(), "mean_and_theory_ms": theory, f"fullest_of_{BALLS}_bins": fullest, "mixed_speeds_ms": ranking}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({**figures, "seconds": round(time.monotonic() - begin, 1)}, indent=1) + "\n", encoding="utf-8")
    for policy, loads in theory.items():
        for load, (measured, wanted) in loads.items():
            assert measured == pytest.approx(wanted, rel=0.03), f"{policy} at {load}"
    assert all(sum(balls <= 4 for balls in found) >= 95 for found in fullest.values())
    judged = ranking["20 servers, 10 clients, load 0.75"]
    assert judged["peak_ewma"]["p99"] <= 0.75 * judged["p2c"]["p99"]

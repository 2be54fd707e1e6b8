"""The engine of the simulation is a store like any other, and fails only as it is told to."""

import pytest

from callboard.testing.simulation.loop import SimulationLoop, run_simulated
from callboard.testing.store_suite import CASES, Case, check
from tests.simulation.harness import LeasedHarness


@pytest.mark.parametrize("case", CASES, ids=str)
def test_memory_leased(case: Case) -> None:
    loop = SimulationLoop(limit_s=600)
    run_simulated(check(case, LeasedHarness(loop)), loop)

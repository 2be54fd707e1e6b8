"""The long form of tests/simulation: ten thousand runs. Writes what they came to as JSON."""

import json
import os
import time
from pathlib import Path

import msgspec
import pytest

from bench.lab import machine
from callboard.testing.simulation.__main__ import results
from callboard.testing.simulation.report import Report

pytestmark = pytest.mark.soak
RESULT = Path(__file__).resolve().parents[2] / "bench" / "results" / "simulation.json"


@pytest.mark.timeout(7200)
def test_no_rule_is_broken_in_ten_thousand_runs() -> None:
    first, count = int(os.environ.get("SOAK_SEED", "1")), int(os.environ.get("SOAK_SEEDS", "10000"))
    report, tree = Report.empty(), machine()  # asked at the beginning: what runs is what was loaded now
    begin = time.monotonic()
    for result in results(range(first, first + count)):
        report.add(result)
    report.seconds = round(time.monotonic() - begin, 1)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    told = {"machine": tree, "first_seed": first, **msgspec.to_builtins(report)}
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    assert not report.findings

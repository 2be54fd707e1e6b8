"""The fault table: what users of the SDK notice when something breaks. Nothing, it says, and is written down with the figures.

SOAK_SCALE=0.2 shortens the outages (with the settings); SOAK_SEED names another run.
"""

import json
import os
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.lab import machine
from tests.soak import report
from tests.soak.figures import table
from tests.soak.report import RESULT
from tests.soak.sdk_run import plan_of, run, server_settings_of, settings_of

pytestmark = pytest.mark.soak
PROVIDERS = 20
DRAIN_KNOWN_MAX_S = 1.0
QUICK_SCALE, QUICK_PROVIDERS = 0.05, 5
COUNTER_RUNS_MAX_COUNT = 10


@pytest.mark.timeout(3600)
def test_no_call_of_a_user_fails_whatever_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scale, seed = float(os.environ.get("SOAK_SCALE", "1")), int(os.environ.get("SOAK_SEED", "1"))
    plan = plan_of(scale, PROVIDERS)
    result = run(tmp_path, plan, settings_of(scale), seed=seed, server_settings=server_settings_of(scale))
    with capsys.disabled():
        sys.stdout.write(f"\n{table(result.rows)}\n")
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    told = {"machine": machine(), "seed": seed, "scale": scale, "plan": plan._asdict(), "phases": [row._asdict() for row in result.rows]}
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if scale >= 1:
        report.main()
    assert result.failures == ()
    (drained,) = [row for row in result.rows if row.phase == "rolling restart"]
    assert drained.known_s < DRAIN_KNOWN_MAX_S


@pytest.mark.parametrize(
    ("fault", "broken"),
    [("one instance killed", {"attempts_max_count": 1}), ("registry restarted empty", {"shrink_share": 1.0, "shrink_hold_ms": 0})],
)
def test_the_table_sees_what_is_broken(tmp_path: Path, fault: str, broken: dict[str, float]) -> None:
    """Without what protects users, they notice: else the table would prove nothing. Not each time: all may be back before one looks."""
    settings = replace(settings_of(QUICK_SCALE), **broken)
    plan = plan_of(QUICK_SCALE, QUICK_PROVIDERS)
    server_settings = server_settings_of(QUICK_SCALE)
    seeds = range(1, COUNTER_RUNS_MAX_COUNT + 1)
    folders = {seed: tmp_path / str(seed) for seed in seeds}
    for folder in folders.values():
        folder.mkdir()
    runs = (run(folder, plan, settings, seed=seed, server_settings=server_settings, faults=[fault]) for seed, folder in folders.items())
    assert any(one.failures for one in runs)

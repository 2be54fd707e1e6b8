"""The fault suite of the cluster: half an hour and fifty faults, with everything checked that clients are promised.

SOAK_SECONDS=180 makes it shorter (the faults that take minutes are left out below half an hour), SOAK_SEED names another run, and
SOAK_FAULTS="leader killed,watch stalled" chooses. The history of a run with a violation is kept in SOAK_KEEP, a folder.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.soak.cluster_faults import FAULTS, Fault, each_once
from tests.soak.cluster_report import RESULT, keep, table
from tests.soak.cluster_run import Result, run_in

FULL_S: Final = 2_000.0
LONG_MIN_S: Final = 1_800.0
SHORT: Final = ("leader killed", "engine leader killed", "leader paused", "machine cut off", "watch stalled", "member link cut")
"""What each kind of fault is represented by in the short form."""


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_nothing_promised_is_broken_over_half_an_hour_of_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seconds, seed = float(os.environ.get("SOAK_SECONDS", FULL_S)), int(os.environ.get("SOAK_SEED", "1"))
    chosen = os.environ.get("SOAK_FAULTS", "")
    names = chosen.split(",") if chosen else each_once(seed, long=seconds >= LONG_MIN_S)
    faults = {name: FAULTS[name] for name in names}
    result = _run(tmp_path, faults, seed, 0.0 if chosen else seconds, capsys)
    if seconds >= LONG_MIN_S and not chosen:
        keep(result, seed, RESULT)
    assert result.verdicts.counts == {}


@pytest.mark.interop
@pytest.mark.timeout(900)
def test_nothing_promised_is_broken_by_one_fault_of_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = _run(tmp_path, {name: FAULTS[name] for name in SHORT}, int(os.environ.get("SOAK_SEED", "1")), 0.0, capsys)
    assert result.verdicts.counts == {}


def _run(folder: Path, faults: dict[str, Fault], seed: int, seconds: float, capsys: pytest.CaptureFixture[str]) -> Result:
    result = run_in(folder, faults, seed=seed, seconds=seconds)
    with capsys.disabled():
        sys.stdout.write(f"\n{table(result)}\n")
    if result.verdicts.counts and (kept := os.environ.get("SOAK_KEEP")):
        for member in folder.glob("*"):
            for name in ("log", "history.jsonl.gz"):
                source = member / name if member.is_dir() else member
                if source.exists() and (member.is_dir() or member.name == name):
                    target = Path(kept) / f"seed-{seed}" / (f"{member.name}.log" if member.is_dir() else name)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, target)
    return result

"""The long form of tests/crash: two hundred kills. Writes what it saw as JSON."""

import json
import os
import time
from pathlib import Path

import pytest

from bench.lab import machine
from tests.crash.crash import crash_rounds

pytestmark = pytest.mark.soak
RESULT = Path(__file__).resolve().parents[2] / "bench" / "results" / "crash.json"


@pytest.mark.timeout(3600)
def test_durable_and_atomic_over_two_hundred_kills(tmp_path: Path) -> None:
    rounds, seed = int(os.environ.get("SOAK_ROUNDS", "200")), int(os.environ.get("SOAK_SEED", "1"))
    begin = time.monotonic()
    ledger = crash_rounds(tmp_path, rounds=rounds, seed=seed)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(
        json.dumps(
            {
                "machine": machine(),
                "rounds": rounds,
                "seed": seed,
                "seconds": round(time.monotonic() - begin, 1),
                "acknowledged": len(ledger.acknowledged),
                "removed": len(ledger.removed),
                "lost": 0,
                "half_written": 0,
            },
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    )

"""Durable and Atomic through the front door: kill -9 under load, restart, audit."""

from pathlib import Path

import pytest

from tests.crash.crash import crash_rounds


@pytest.mark.timeout(300)
def test_durable_and_atomic_over_fifteen_kills(tmp_path: Path) -> None:
    ledger = crash_rounds(tmp_path, rounds=15, seed=2026)
    assert len(ledger.acknowledged) > 100
    assert ledger.removed

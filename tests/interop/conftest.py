"""What the runs against foreign programs measured, written as JSON at the end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.lab import machine

RESULT = Path(__file__).resolve().parents[2] / "bench" / "results" / "interop.json"


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, object]]:
    """Put figures in; they are written when the session ends."""
    measured: dict[str, object] = {}
    yield measured
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"machine": machine(), "figures": measured}, indent=1) + "\n", encoding="utf-8")

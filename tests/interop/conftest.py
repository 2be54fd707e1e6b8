"""What the runs against foreign programs measured, and what these programs were seen to do; written at the end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.lab import machine
from tests.interop.programs import WITNESS, Witness

RESULT = Path(__file__).resolve().parents[2] / "bench" / "results" / "interop.json"


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, object]]:
    """Put figures in; they are written when the session ends."""
    measured: dict[str, object] = {}
    yield measured
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({"machine": machine(), "figures": measured}, indent=1) + "\n", encoding="utf-8")


def pytest_runtest_makereport(item: pytest.Function, call: pytest.CallInfo[None]) -> None:
    """A test has ended, or could not begin."""
    if call.when == "call" or call.excinfo is not None:
        item.config.stash.setdefault(WITNESS, Witness()).saw(item.originalname, held=call.excinfo is None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Only a run that chose no tests by name tells of a program as a whole."""
    witness = session.config.stash.get(WITNESS, None)
    named = session.config.option.keyword or any("::" in argument for argument in session.config.args)
    if witness is not None and not named:
        witness.tell()

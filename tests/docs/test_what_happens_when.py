"""docs/what-happens-when.md held against the code: its tests exist, its settings and their values are true, its log lines are written."""

import ast
import json
import re
from datetime import timedelta

import pytest
from msgspec.structs import fields

from callboard.client import events
from callboard.client.board_settings import BoardSettings
from callboard.client.settings import ClientSettings
from tests.house.documents import ROOT
from tests.soak import report
from tests.soak.faults import FAULTS

PAGE = (ROOT / "docs" / "what-happens-when.md").read_text("utf-8")
MUST_TELL = (
    "registry down", "link cut", "registry paused", "registry slow", "restart with empty state", "instance dies", "instance hangs",
    "loop blocked", "fork", "two processes, same port", "SIGTERM", "kill -9", "clock steps", "full disk",
)  # fmt: skip
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.partition(report.BEGIN)[0].splitlines()
    if line.startswith("| ") and not line.startswith(("| what", "|-"))
]
DEFAULTS = {field.name: field.default for field in fields(BoardSettings)}
CLIENT_DEFAULTS = {f"client.{field.name}": field.default for field in fields(ClientSettings)}
SPOKEN = {"days": timedelta(days=1), "s": timedelta(seconds=1)}
SOURCE = "\n".join(
    constant.value
    for path in sorted((ROOT / "src" / "callboard" / "client").rglob("*.py"))
    for constant in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
)


def test_it_tells_of_everything_that_may_happen() -> None:
    bold = {word for row in ROWS for word in re.findall(r"\*\*(.+?)\*\*", row[0])}
    assert set(MUST_TELL) - bold == set()
    assert {len(row) for row in ROWS} == {5}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_the_tests_it_names_exist(row: list[str]) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[4])
    assert named, "each row names a test"
    for path, function in named:
        functions = {node.name for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}
        assert function in functions, f"{path} has no {function}"


def test_its_settings_exist_and_have_the_values_it_says() -> None:
    for row in ROWS:
        for name, said, unit in re.findall(r"`([a-z_.]+)`(?: (\d[\d.]*)(?: (days|s)\b)?)?", row[3]):
            known = DEFAULTS | CLIENT_DEFAULTS
            assert name in known, f"{row[0]}: no setting {name}"
            if said:
                value = float(said) * (SPOKEN[unit].total_seconds() * 1000 if unit else 1)
                assert known[name] == value, f"{row[0]}: {name} is {known[name]}"


def test_its_log_lines_are_the_codes() -> None:
    for row in ROWS:
        for line in re.findall(r'"(.+?)"', row[2]):
            for part in filter(None, (part.strip() for part in line.split("..."))):
                assert part in SOURCE, f"{row[0]}: nobody says {part!r}"


def test_its_table_is_that_of_the_last_run() -> None:
    assert report.told() == PAGE, "python -m tests.soak.report"
    result = json.loads(report.RESULT.read_text("utf-8"))
    assert result["scale"] == 1
    assert [phase["failed"] for phase in result["phases"]] == [0] * len(FAULTS)


def test_its_events_are_the_codes() -> None:
    for row in ROWS:
        for event, states in re.findall(r"`([A-Z]\w+)`(?: \(([^)]+)\))?", row[2]):
            kind = getattr(events, event)
            for state in re.findall(r"`(\w+)`", states):
                assert state in kind._fields or state in str(kind.__annotations__["state"]), f"{event} has no {state}"

"""The table of expressions and verdicts: `bexpr_cases.txt`, which says what its letters mean."""

import json
from pathlib import Path
from typing import NamedTuple

SYNTAX = "S"
ERRORS = {"V": "is not valid", "O": "Invalid match operator", "C": "Failed to coerce value", "R": "Failed to compile regular expression"}
"""How the errors of the evaluation read."""


class Case(NamedTuple):
    verdict: str
    text: str


def cases() -> list[Case]:
    lines = Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines()
    return [_case(line) for line in lines if line and not line.startswith("#")]


def _case(line: str) -> Case:
    verdict, _, text = line.partition(" ")
    return Case(verdict, json.loads(text.removeprefix("json:")) if text.startswith("json:") else text)

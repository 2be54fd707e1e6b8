"""The library that Consul uses for filters (go-bexpr 0.1.2, from the Go module proxy) judges the table of verdicts and much more."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from callboard.core.filtering import compile_filter
from callboard.model.errors import InvalidError
from callboard.wire.bexpr import parse
from tests.core.filter_item import ITEM, RECORD
from tests.interop.environments import ROOT, need
from tests.wire.bexpr_cases import ERRORS, SYNTAX, cases

pytestmark = pytest.mark.interop

SOURCE = Path(__file__).parent / "oracles" / "bexpr"
RANDOM_COUNT = 20_000
SEED = 20_240_701
FIELDS = [
    "Name", "Port", "Small", "On", "Tags", "NoTags", "Ports", "Flags", "Meta", "Meta.env", "Meta.nokey", 'Meta["a.b"]', "Inner.Name",
    "Inner", "Inners", "Inners.Name", "Inners.Port", "Inners.Tags", "NoInners.Name", "Places.lan.Port", "Places.x.On", "Lists.full",
    "Lists.x", "Maps.one", "Maps.x.k", "Nope", "Inner.Nope", "not", "in", "is", "empty", "contains", "matches", "and", "or",
]  # fmt: skip
VALUES = [
    "web", '"web"', "`web`", "80", '"0x50"', "7", "-5", "true", "f", "env", "v1", '"a b"', '""', "a", "b.c", "not", "in", "is", "1.5",
    '"("', '"^w"', "`\\x77`", '"\\x77"', '"\\q"', "300", "01", "x",
]  # fmt: skip
OPERATORS = ["==", "!=", " == ", "\n!=\t", " contains ", " not contains ", " matches ", " not matches ", " is empty", " is not empty"]
TOKENS = [
    "not",
    "and",
    "or",
    "in",
    "is",
    "empty",
    "contains",
    "matches",
    "==",
    "!=",
    "(",
    ")",
    "[",
    "]",
    '"',
    "`",
    " ",
    "  ",
    "\n",
    ".",
    "-",
    "\\",
    ",",
]


def _oracle(folder: Path) -> Path:
    """The program, built anew: `go` keeps what it has compiled."""
    shutil.copytree(SOURCE, folder / "source")
    cache = ROOT / ".cache" / "interop" / "go"
    environment = {
        **os.environ, "GOPATH": str(cache), "GOCACHE": str(cache / "build"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }  # fmt: skip
    program = folder / "oracle"
    words = [need("go"), "build", "-o", str(program), "."]
    subprocess.run(words, cwd=folder / "source", env=environment, check=True, timeout=300, capture_output=True)
    return program


def _asked(program: Path, texts: list[str]) -> list[str]:
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    return subprocess.run([str(program)], input=lines, capture_output=True, text=True, check=True, timeout=300).stdout.splitlines()


def _ours(text: str) -> str:
    try:
        expression = parse(text)
    except InvalidError:
        return SYNTAX
    try:
        return "T" if compile_filter(expression, RECORD)(ITEM) else "F"
    except InvalidError as error:
        return next(letter for letter, part in ERRORS.items() if part in str(error))


def _expression(chance: random.Random, depth: int) -> str:
    kind = chance.random()
    if depth == 0 or kind < 0.4:
        field, value = chance.choice(FIELDS), chance.choice(VALUES)
        if kind < 0.1:
            return f"{value} {chance.choice(['in', 'not in'])} {field}"
        operator = chance.choice(OPERATORS)
        return f"{field}{operator}" + ("" if operator.endswith("empty") else value)
    if kind < 0.55:
        return f"not {_expression(chance, depth - 1)}"
    if kind < 0.75:
        return f"({_expression(chance, depth - 1)})"
    return f"{_expression(chance, depth - 1)} {chance.choice(['and', 'or'])} {_expression(chance, depth - 1)}"


def _random(chance: random.Random) -> str:
    """A sentence of the language, now and then with something taken out, put in, or said twice; short, for the library takes exponential
    time where parentheses stand in each other."""
    text = _expression(chance, 2)
    for _ in range(chance.choice([0, 0, 0, 1, 1, 2, 4])):
        at = chance.randrange(len(text) + 1)
        end = min(len(text), at + chance.randrange(4))
        text = text[:at] + chance.choice(["", "", chance.choice(TOKENS), f" {chance.choice(TOKENS)} ", text[at:end] * 2]) + text[end:]
    return text


def test_the_library_of_consul_agrees(tmp_path: Path) -> None:
    program = _oracle(tmp_path)
    table = cases()
    said = _asked(program, [case.text for case in table])
    assert [(case.text, case.verdict) for case in table] == [(case.text, letter) for case, letter in zip(table, said, strict=True)]
    chance = random.Random(SEED)
    texts = [_random(chance) for _ in range(RANDOM_COUNT)]
    ours = [(text, _ours(text)) for text in texts]
    differences = [(pair, letter) for pair, letter in zip(ours, _asked(program, texts), strict=True) if pair[1] != letter]
    assert not differences, f"{len(differences)} of {RANDOM_COUNT}: {differences[:10]}"
    assert {letter for _, letter in ours} == {"T", "F", SYNTAX, *ERRORS}

"""The guide is followed to the letter: its blocks go into a copy of `src`, and the suite it ends with runs on that."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "adding-a-frontend.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+) (\S+/\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEPS_MAX = 6


class Block(NamedTuple):
    """A block of the guide that is a file, or a change of one."""

    language: str
    path: str
    text: str


BLOCKS = [Block(*found.groups()) for found in BLOCK.finditer(GUIDE)]


def apply(before: str, diff: str) -> str:
    """Put each added line after the line that the diff shows before it."""
    lines = before.splitlines()
    place = 0
    for line in diff.splitlines():
        if line.startswith("+"):
            place += 1
            lines.insert(place, line[1:])
        else:
            place = lines.index(line[1:])
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, with the guide followed."""
    house = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "src", house / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", house)
    for block in BLOCKS:
        path = house / block.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(apply(path.read_text("utf-8"), block.text) if block.language == "diff" else block.text, "utf-8")
    return house


def run(house: Path, *words: str) -> None:
    """A tool in the copy, on the code of the copy."""
    environment = {**os.environ, "PYTHONPATH": str(house / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *words], cwd=house, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_takes_at_most_six_steps() -> None:
    steps = re.findall(r"^## (\d+)\. ", GUIDE, re.MULTILINE)
    assert steps == [str(number) for number in range(1, len(steps) + 1)]
    assert len(steps) <= STEPS_MAX


def test_outside_the_new_folder_it_adds_one_line_and_its_import() -> None:
    (table,) = [block for block in BLOCKS if block.language == "diff"]
    added = [line for line in table.text.splitlines() if line.startswith("+")]
    assert len([line for line in added if not line.startswith("+from ")]) == 1
    assert len(added) == 2
    new = {block.path for block in BLOCKS if block.language != "diff"}
    assert [path for path in new if (ROOT / path).exists()] == []


def test_the_suite_passes_on_what_the_guide_builds(house: Path) -> None:
    run(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib", "tests/frontend/plain")


def test_what_the_guide_builds_passes_the_checks_that_all_code_passes(house: Path) -> None:
    files = [block.path for block in BLOCKS if block.path.endswith(".py") and block.language == "python"]
    run(house, "-m", "ruff", "check", "--no-cache", *files)
    run(house, "-m", "ruff", "format", "--no-cache", "--check", *files)
    run(house, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])")
    run(house, "-m", "mypy", "--cache-dir", str(house / ".mypy_cache"), *files)

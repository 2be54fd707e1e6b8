"""docs/deploying.md held against the program and the files: its commands are run, its files are there, its figures are the code's."""

import re
from pathlib import Path

from callboard.cli.completing import WAIT_MS
from callboard.cli.doctor.reaching import CLOCK_WARN_S
from tests.deploy.tools import DEPLOY
from tests.docs.following import World, steps_of
from tests.house.documents import ROOT

PAGE = (ROOT / "docs" / "deploying.md").read_text("utf-8")


def test_its_commands_work_as_they_are_written(tmp_path: Path) -> None:
    World(tmp_path / "page").follow(steps_of(PAGE, "docs/deploying.md"))


def test_every_file_to_deploy_is_named() -> None:
    named = {(ROOT / "docs" / link).resolve() for link in re.findall(r"\]\((\.\./deploy/[^)]+)\)", PAGE)}
    assert {path for path in DEPLOY.rglob("*") if path.is_file()} == named


def test_its_figures_are_those_of_the_program() -> None:
    assert f"off by {CLOCK_WARN_S:.0f} s or more" in PAGE
    assert f"within {WAIT_MS} ms" in PAGE

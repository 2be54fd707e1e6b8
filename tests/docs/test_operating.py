"""docs/operating.md held against the program: its cluster is started and broken as it says, and its settings are those of the code."""

import json
import os
import re
from pathlib import Path

import pytest
from msgspec.structs import fields

from callboard.cli.transfer.command import backup, migrate, restore
from callboard.server.settings import ROOMS
from callboard.server.transfer.opening import LARGE, MIB
from callboard.server.transfer.plan import MARGIN_COUNT, MARGIN_PER_S_COUNT
from callboard.testing.etcd import binary
from tests.docs.following import World, steps_of
from tests.house.documents import ROOT
from tests.interop.environments import need

PAGE = (ROOT / "docs" / "operating.md").read_text("utf-8")
SECTIONS = re.split(r"^(?=## (?:TLS|Upgrade)$)", PAGE, flags=re.MULTILINE)
"""What stands before the section about TLS, that section, and what follows."""
SETTINGS = re.findall(r"`tune\.(\w+)\.(\w+)`(?: (\d+))?", PAGE)
MUST_TELL = (
    "leader dies", "leader is paused", "engine leader dies", "engine down", "member cut off", "quota full", "clock steps", "restore",
    "two versions at once",
)  # fmt: skip


def test_its_cluster_works_as_it_is_written(tmp_path: Path) -> None:
    world = World(tmp_path / "page")
    tools = Path(world.environment["PATH"].partition(os.pathsep)[0])
    (tools / "etcd").symlink_to(binary())
    before, _, after = SECTIONS
    world.follow(steps_of(before + after, "docs/operating.md"))


@pytest.mark.interop  # openssl
def test_its_certificates_work_as_they_are_written(tmp_path: Path) -> None:
    need("openssl")
    World(tmp_path / "page").follow(steps_of(SECTIONS[1], "docs/operating.md, TLS"))


@pytest.mark.parametrize(("room", "field", "said"), SETTINGS)
def test_settings_that_it_names_are_there_and_have_this_default(room: str, field: str, said: str) -> None:
    default = {each.name: each.default for each in fields(ROOMS[room])}[field]
    assert not said or json.loads(said) == default


def test_it_tells_of_everything_that_may_happen() -> None:
    bold = set(re.findall(r"^\| \*\*(.+?)\*\*", PAGE, re.MULTILINE))
    assert set(MUST_TELL) - bold == set()


def test_the_numbers_of_a_restore_are_those_of_the_program() -> None:
    assert MARGIN_PER_S_COUNT == 10_000
    assert "10,000 for each second, and a million" in PAGE
    assert MARGIN_COUNT == 1_000_000
    assert LARGE == {
        "sqlite": {"group_max_rows": 100_000_000, "group_max_bytes": 512 * MIB},
        "etcd": {"parts_max_rows": 5_000_000, "parts_max_bytes": 1024 * MIB},
    }
    assert "up to 5,000,000 rows and 1 GiB, on SQLite 512 MiB" in PAGE


def test_commands_that_it_names_are_there() -> None:
    assert [command.name for command in (backup, restore, migrate)] == ["backup", "restore", "migrate"]

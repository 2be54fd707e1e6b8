import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINNED = {canonicalize_name(name): version for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", LOCK, re.MULTILINE)}


def declared() -> list[Requirement]:
    """Every requirement of the project: base, extras, dev."""
    project = PROJECT["project"]
    texts = [*project["dependencies"], *chain(*project["optional-dependencies"].values()), *PROJECT["dependency-groups"]["dev"]]
    return [requirement for requirement in map(Requirement, texts) if requirement.name != project["name"]]


@pytest.mark.parametrize("requirement", declared(), ids=str)
def test_the_lock_satisfies_what_is_declared(requirement: Requirement) -> None:
    version = PINNED.get(canonicalize_name(requirement.name))
    assert version is not None, f"{requirement.name} is not in requirements.lock: make lock"
    assert requirement.specifier.contains(version), f"requirements.lock has {requirement.name} {version}: make lock"


def test_the_lock_names_no_registry_no_path_and_hashes_everything() -> None:
    lines = [line for line in LOCK.splitlines() if not line.lstrip().startswith("#")]
    assert [line for line in lines if "://" in line or re.match(r"\s*(-i|-f|-e|--(?!hash=))", line)] == []
    entries = re.split(r"^(?=\S)", "\n".join(lines), flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_extra_all_is_every_other_extra() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    found, further = set[str](), {"all"}
    while further:
        found |= further
        asked = (Requirement(line) for name in further for line in extras[name])
        further = {extra for requirement in asked if requirement.name == "callboard" for extra in requirement.extras}
    assert found == extras.keys()


def test_the_wheel_has_types_licence_command_and_nothing_beside_the_package(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        meta = next(name.rpartition("/")[0] for name in names if name.endswith("/METADATA"))
        metadata = Parser().parsestr(archive.read(f"{meta}/METADATA").decode())
        commands = archive.read(f"{meta}/entry_points.txt").decode()
    assert {name.partition("/")[0] for name in names} == {"callboard", meta}
    assert "callboard/py.typed" in names
    assert f"{meta}/licenses/LICENSE" in names
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "callboard = callboard.cli.main:main" in commands

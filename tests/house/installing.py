"""Installations as users have them: an environment with the wheel and nothing but what the wheel asks for.

`copied` takes the packages from the environment the tests run in, which has the locked versions, and so needs no package index;
`from_index` asks the index, as a user does. Both live as long as the folder they are made in.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CALLBOARD = "callboard"


class Installation(NamedTuple):
    """An environment, and how long it took to install into it."""

    home: Path
    seconds: float

    @property
    def binaries(self) -> Path:
        return self.home / "bin"

    @property
    def packages(self) -> Path:
        (found,) = (self.home / "lib").glob("python*/site-packages")
        return found

    def run(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """One of its programs, with nothing of the outside: no PYTHONPATH, no CALLBOARD_*."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD_", "CONSUL_", "PYTHON"))}
        path = str(self.binaries / words[0])
        return subprocess.run(
            [path, *words[1:]], env={**inherited, **environment}, cwd=self.home, capture_output=True, text=True, timeout=60, check=False
        )

    def python(self, code: str, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A Python program in it."""
        return self.run("python", *options, "-c", code, **environment)

    def sizes(self) -> dict[str, int]:
        """Bytes on disk of each package, without what Python compiles at the first import."""
        listed = self.python(
            "import importlib.metadata as m, json; print(json.dumps({d.name: sum(p.locate().stat().st_size for p in d.files or ()"
            " if '__pycache__' not in p.parts and p.locate().is_file()) for d in m.distributions()}))"
        )
        found: dict[str, int] = json.loads(listed.stdout)
        return {canonicalize_name(name): size for name, size in sorted(found.items())}


def build_wheel(folder: Path) -> Path:
    """The wheel, as a release has it."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def uv() -> str:
    """The uv that make has set up."""
    found = sorted((ROOT / ".cache").glob("tools-*/bin/uv"))
    if not found:
        raise AssertionError("uv is missing below .cache; every make target sets it up")
    return str(found[-1])


def copied(home: Path, wheel: Path, *extras: str) -> Installation:
    """The wheel, and what it asks for (with these extras) from the environment of the tests."""
    begin = time.monotonic()
    _empty(home)
    _uv("pip", "install", "--offline", "--no-deps", "--python", str(home / "bin" / "python"), str(wheel))
    made = Installation(home, 0)
    for found in closure([CALLBOARD], extras):
        if found.name != CALLBOARD:
            _copy(found, made)
    return made._replace(seconds=time.monotonic() - begin)


def from_index(home: Path, wheel: Path, *extras: str) -> Installation:
    """The wheel, and what it asks for from the package index, in the versions of the lock."""
    begin = time.monotonic()
    _empty(home)
    asked = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    pins = home / "constraints.txt"
    pins.write_text(
        "\n".join(f"{found.name}=={found.version}" for found in closure([CALLBOARD], extras) if found.name != CALLBOARD), "utf-8"
    )
    _uv("pip", "install", "--python", str(home / "bin" / "python"), "--constraints", str(pins), asked)
    return Installation(home, time.monotonic() - begin)


def closure(names: Iterable[str], extras: Iterable[str] = ()) -> list[Distribution]:
    """What is installed with these packages: them, and all they require here."""
    found: dict[str, Distribution] = {}
    waiting = [(name, frozenset(extras)) for name in names]
    while waiting:
        name, wanted = waiting.pop()
        if (key := canonicalize_name(name)) in found:
            continue
        found[key] = distribution(name)
        for requirement in map(Requirement, found[key].requires or ()):
            if _asked_for(requirement, wanted):
                waiting += [(requirement.name, frozenset(requirement.extras))]
    return list(found.values())


def _asked_for(requirement: Requirement, extras: frozenset[str]) -> bool:
    return requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""}))


def _copy(found: Distribution, made: Installation) -> None:
    for path in found.files or ():
        target = made.packages / path
        if ".." not in path.parts and "__pycache__" not in path.parts:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(path.locate()), target)
    for command in found.entry_points.select(group="console_scripts"):
        script = made.binaries / command.name
        start = f"from {command.module} import {command.attr} as run\nraise SystemExit(run())"
        script.write_text(f"#!{made.binaries / 'python'}\n{start}\n", "utf-8")
        script.chmod(0o755)


def _empty(home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    _uv("venv", "--offline", "--python", sys.executable, str(home))


def _uv(*words: str) -> Any:
    environment = {**os.environ, "UV_NO_CONFIG": "1", "UV_SYSTEM_CERTS": "1", "UV_LINK_MODE": "copy"}
    done = subprocess.run([uv(), *words, "--quiet"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

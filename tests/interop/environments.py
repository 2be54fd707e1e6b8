"""Environments of foreign clients: one each, for several install the same package name. Made once, below .cache, from the package index."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = {"python-consul2": "python-consul2==0.1.5", "consulate": "consulate==0.6.0", "py-consul": "py-consul==1.8.0"}
"""Newest releases. The first two are old, which is why they are here: their users have no others."""


def uv() -> str:
    """The uv that make has set up."""
    found = sorted((ROOT / ".cache").glob("tools-*/bin/uv"))
    if not found:
        raise AssertionError("uv is missing below .cache; run `make interop`, which sets it up")
    return str(found[-1])


def python_of(client: str) -> str:
    """The interpreter of a client's environment."""
    home = ROOT / ".cache" / "interop" / client
    python = home / "bin" / "python"
    done = home / ".installed"
    if not done.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "UV_NO_CONFIG": "1", "UV_SYSTEM_CERTS": "1"}
        subprocess.run([uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], check=True, env=environment)
        # Their age needs an old setuptools: newer ones have no pkg_resources.
        subprocess.run(
            [uv(), "pip", "install", "--quiet", "--python", str(python), CLIENTS[client], "setuptools<80"], check=True, env=environment
        )  # fmt: skip
        done.touch()
    return str(python)


def need(program: str) -> str:
    """The path of a program that must be there; its absence fails the test and says what installs it."""
    for folder in (*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/sbin"):
        path = Path(folder) / program
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    raise AssertionError(f"{program} is missing; tools/install-interop installs it")

"""A real browser for tests: Debian's Chromium, led by Playwright in an environment of its own, and the rules of axe-core."""

import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

from tests.interop import environments
from tests.interop.environments import need, uv

ROOT: Final = environments.ROOT

PLAYWRIGHT: Final = "playwright==1.65.2"
AXE: Final = "axe-core@4.14.1"
AXE_SHA256: Final = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745"
"""Of the package as npm delivers it."""


def playwright_python() -> str:
    """The interpreter that has Playwright; it brings no browser."""
    home = ROOT / ".cache" / "interop" / "ui"
    python, done = home / "bin" / "python", home / f".{PLAYWRIGHT}"
    if not done.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "UV_NO_CONFIG": "1", "UV_SYSTEM_CERTS": "1"}
        subprocess.run([uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], check=True, env=environment)
        subprocess.run([uv(), "pip", "install", "--quiet", "--python", str(python), PLAYWRIGHT], check=True, env=environment)
        done.touch()
    return str(python)


def axe() -> Path:
    """The script with the rules."""
    home = ROOT / ".cache" / "interop" / "axe"
    script = home / "package" / "axe.min.js"
    if not script.exists():
        home.mkdir(parents=True, exist_ok=True)
        subprocess.run([need("npm"), "pack", "--silent", AXE], check=True, cwd=home, stdout=subprocess.DEVNULL)
        (package,) = home.glob("*.tgz")
        if hashlib.sha256(package.read_bytes()).hexdigest() != AXE_SHA256:
            raise AssertionError(f"{package} is not the {AXE} that was looked at")
        with tarfile.open(package) as archive:
            archive.extract("package/axe.min.js", home, filter="data")
    return script


def story_command(story: str, url: str) -> list[str]:
    """The program that plays a story in a browser of its own; to be run in `ROOT`."""
    return [playwright_python(), "-m", "tests.interop.clients.ui", story, url, need("chromium"), str(axe())]

"""What reads the description of the API: an environment with schemathesis, a TypeScript and a Go client. Made once, below .cache."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from tests.interop.environments import ROOT, need, uv

CLIENTS = Path(__file__).parent / "clients"
HOME = ROOT / ".cache" / "interop"
READERS = ("schemathesis==4.32.5", "openapi-spec-validator==0.9.0")
INSTALLING_TIMEOUT_S = 600


def run(words: list[str], folder: Path, environment: Mapping[str, str] | None = None, timeout_s: int = INSTALLING_TIMEOUT_S) -> str:
    """What a program prints. Raises `AssertionError` with all it said when it fails."""
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=timeout_s, check=False
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def reader(program: str) -> str:
    """A program of the environment with schemathesis."""
    home = HOME / "openapi-readers"
    done = home / ".installed"
    said = "\n".join(READERS)
    if not done.exists() or done.read_text("utf-8") != said:
        home.parent.mkdir(parents=True, exist_ok=True)
        environment = {"UV_NO_CONFIG": "1", "UV_SYSTEM_CERTS": "1"}
        run([uv(), "venv", "--quiet", "--clear", "--python", sys.executable, str(home)], ROOT, environment)
        run([uv(), "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), *READERS], ROOT, environment)
        done.write_text(said, "utf-8")
    return str(home / "bin" / program)


def typescript(description: Path, url: str) -> str:
    """What the TypeScript client prints: generated from the description, compiled strictly, run against a server."""
    home = _copied("openapi-ts", {"package.json", "package-lock.json"}, [need("npm"), "ci"])
    node, modules = need("node"), home / "node_modules"
    run(
        [node, str(modules / "openapi-typescript" / "bin" / "cli.js"), str(description), "--default-non-nullable=false", "-o", "api.ts"],
        home,
    )
    run([node, str(modules / "typescript" / "bin" / "tsc"), "-p", "."], home)
    return run([node, "out/main.js", url], home, timeout_s=60)


def go(description: Path, url: str) -> str:
    """The same in Go."""
    home = _copied("openapi-go", {"go.mod", "go.sum"}, [need("go"), "mod", "download"])
    (home / "api").mkdir(exist_ok=True)
    run([need("go"), "tool", "oapi-codegen", "-config", "oapi-codegen.yaml", str(description)], home)
    run([need("go"), "vet", "./..."], home)
    run([need("go"), "build", "-o", "story", "."], home)
    return run([str(home / "story"), url], home, timeout_s=60)


def _copied(name: str, pinning: set[str], install: list[str]) -> Path:
    """A client's folder below .cache, with what its lock files pin installed."""
    source, home = CLIENTS / name, HOME / name
    home.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        shutil.copy(file, home / file.name)
    done = home / ".installed"
    pinned = sha256(b"".join((source / file).read_bytes() for file in sorted(pinning))).hexdigest()
    if not done.exists() or done.read_text("utf-8") != pinned:
        run(install, home)
        done.write_text(pinned, "utf-8")
    return home

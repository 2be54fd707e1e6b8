"""Programs written with foreign Consul clients: how each is made below .cache, of what version its client is, and how it is started.

A client's packages are what its lock file (or its pin) says, and are fetched once; its program is built anew for each run.
"""

import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from tests.interop.environments import CLIENTS, need, python_of
from tests.interop.openapi_tools import HOME, run

SOURCES = Path(__file__).parent / "clients"
JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class Foreign(NamedTuple):
    """A client in the form of a program that takes the address of a server and tells stories."""

    version: str
    command: Callable[[], list[str]]
    stories_count: int


def _home(name: str, pins: tuple[str, ...], install: list[str]) -> Path:
    """The folder of a program below .cache with its sources of now, and installed what `pins` name."""
    source, home = SOURCES / name, HOME / name
    pinned = sha256(b"".join((source / file).read_bytes() for file in pins)).hexdigest()
    done = home / ".installed"
    if not done.exists() or done.read_text("utf-8") != pinned:
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(source, home)
        run(install, home)
        done.write_text(pinned, "utf-8")
    shutil.copytree(source, home, dirs_exist_ok=True)
    return home


def _pinned(file: str, pattern: str) -> str:
    found = re.search(pattern, (SOURCES / file).read_text("utf-8"))
    assert found, f"{file} does not say {pattern}"
    return found[1]


def _python(client: str, script: str) -> Callable[[], list[str]]:
    return lambda: [python_of(client), "-m", f"tests.interop.clients.{script}", client]


def _node() -> list[str]:
    home = _home("consul-node", ("package.json", "package-lock.json"), [need("npm"), "ci", "--ignore-scripts", "--silent"])
    return [need("node"), str(home / "main.js")]


def _go(name: str) -> Callable[[], list[str]]:
    def command() -> list[str]:
        # Building fetches only what is needed for it; `mod download` would fetch everything a module names.
        home = _home(name, ("go.mod", "go.sum"), [need("go"), "build", "-o", "program", "."])
        run([need("go"), "vet", "./..."], home)
        run([need("go"), "build", "-o", "program", "."], home)
        return [str(home / "program")]

    return command


def _java(program: str) -> Callable[[], list[str]]:
    def command() -> list[str]:
        fetch = [need("mvn"), "--quiet", "--batch-mode", JARS, "-DoutputDirectory=jars"]
        home = _home("consul-java", ("pom.xml",), fetch)
        run(
            [
                need("javac"),
                "-nowarn",
                "-Xlint:none",
                "-cp",
                "jars/*",
                "-d",
                "classes",
                *(file.name for file in sorted(home.glob("*.java"))),
            ],
            home,
        )
        return [need("java"), "-cp", f"{home}/classes:{home}/jars/*", program]

    return command


FOREIGN = {
    "python-consul2": Foreign(CLIENTS["python-consul2"].partition("==")[2], _python("python-consul2", "consul_python"), 16),
    "py-consul": Foreign(CLIENTS["py-consul"].partition("==")[2], _python("py-consul", "consul_python"), 28),
    "consulate": Foreign(CLIENTS["consulate"].partition("==")[2], _python("consulate", "consul_consulate"), 7),
    "npm consul": Foreign(_pinned("consul-node/package.json", r'"consul": "([\d.]+)"'), _node, 14),
    "hashicorp/consul/api (Go)": Foreign(_pinned("consul-go/go.mod", r"hashicorp/consul/api v([\d.]+)"), _go("consul-go"), 41),
    "com.orbitz.consul (Java)": Foreign(
        _pinned("consul-java/pom.xml", r"consul-client</artifactId>\s*<version>([\d.]+)"), _java("Orbitz"), 12
    ),
    "com.ecwid.consul (Java)": Foreign(_pinned("consul-java/pom.xml", r"consul-api</artifactId>\s*<version>([\d.]+)"), _java("Spring"), 10),
}

PROMETHEUS_SD = Foreign(_pinned("prometheus-sd/go.mod", r"prometheus/prometheus v([\d.]+)"), _go("prometheus-sd"), 0)
"""Prometheus' own discovery of Consul's services, as a program: what Debian packs as Prometheus was built without it."""

"""The quick start of the README, done as it is written there: every command runs, and says what the page says."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.house.documents import ROOT, Block, blocks
from tests.servers import ENDED_S, free_port

README = ROOT / "README.md"
SERVE = "callboard serve --dev"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
TARGETS = set(re.findall(r"^\.PHONY: (\S+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@dataclass
class Step:
    """Something to do, and what the page says comes of it; `...` stands for anything."""

    place: str
    command: list[str]
    shown: str
    output: list[str]

    def check(self, said: str) -> None:
        """Hold what was said against the page."""
        pattern = "\n".join(re.escape(line).replace(r"\.\.\.", ".*") for line in self.output)
        assert re.fullmatch(pattern, said.strip()), f"{self.place}: {self.shown}\nthe page says:\n{pattern}\nit said:\n{said}"


def steps() -> list[Step]:
    """Every command of the page, and every Python example, in order."""
    found: list[Step] = []
    for block in blocks(README):
        if block.language == "console":
            found += console(block)
        elif block.language == "python":
            found.append(Step(block.place, [sys.executable, "-c", block.text], "the example", []))
        elif block.language == "text":
            found[-1].output += block.text.splitlines()
    return found


def console(block: Block) -> list[Step]:
    """Lines with `$` are commands; those below are what they print."""
    found: list[Step] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Step(block.place, ["bash", "-c", line[2:]], line[2:], []))
        else:
            found[-1].output.append(line)
    return found


@dataclass
class World:
    """Where the page happens: a directory of its own, and free ports instead of the usual ones."""

    directory: Path
    http: int
    dns: int

    def to_here(self, text: str) -> str:
        return text.replace("127.0.0.1:8500", f"127.0.0.1:{self.http}").replace("127.0.0.1:8600", f"127.0.0.1:{self.dns}")

    def start(self, step: Step) -> "subprocess.Popen[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD_", "CONSUL_"))}
        environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment["PATH"]))
        if SERVE in step.shown:
            environment |= {"CALLBOARD_HTTP": f"127.0.0.1:{self.http}", "CALLBOARD_DNS": f"127.0.0.1:{self.dns}"}
        else:
            environment["CALLBOARD_URL"] = f"http://127.0.0.1:{self.http}"
        command = [self.to_here(word) for word in step.command]
        if SERVE in step.shown:
            command[-1] = f"exec {command[-1]}"  # so that it is the server that is ended, not the shell
        return subprocess.Popen(command, env=environment, cwd=self.directory, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, free_port(), free_port())


def test_the_quick_start_works_as_it_is_written(world: World) -> None:
    server: subprocess.Popen[str] | None = None
    try:
        for step in steps():
            if step.shown.startswith(("make ", "pip install ")):
                continue  # test_what_sets_up_is_there
            assert step.shown.startswith(("callboard ", "the example")), f"{step.place}: a machine may not have {step.shown!r}"
            step.output = [world.to_here(line) for line in step.output]
            process = world.start(step)
            assert process.stdout is not None
            if SERVE in step.shown:
                server = process
                step.check(process.stdout.readline())
            else:
                said, _ = process.communicate(timeout=60)
                assert process.returncode == 0, step.shown
                step.check(said)
    finally:
        if server is not None:
            server.terminate()
            assert server.wait(ENDED_S) == 0
            server.communicate()
    assert server is not None
    assert list(world.directory.iterdir()) == [], "--dev keeps nothing on disk"


def test_what_sets_up_is_there() -> None:
    made, installed = [], []
    for step in steps():
        if step.shown.startswith("make "):
            made.append(step.shown.removeprefix("make "))
        elif step.shown.startswith("pip install "):
            installed += re.findall(r"\[(\w+)\]", step.shown)
    assert made == ["run", "test"]
    assert set(made) <= TARGETS
    assert installed
    assert set(installed) <= EXTRAS.keys()


def test_the_ready_line_is_json_as_the_page_shows_it() -> None:
    (step,) = [step for step in steps() if step.shown == SERVE]
    shown = json.loads(step.output[0].replace(",...", ""))
    assert list(shown) == ["ready", "http", "dns"]


def test_what_it_claims_is_what_was_measured() -> None:
    peer = {figure["name"]: figure["values"] for figure in measured("peer")["figures"]}
    assert all(peer[name]["peer_over_ours"] > 20 for name in ("hot_health_read", "durable_register", "ttl_heartbeat", "dns_srv"))
    (million,) = measured("scale_1m")["figures"]
    assert million["values"]["beats_per_second"] > 30_000
    assert {phase["failed"] for phase in measured("sdk-faults")["phases"]} == {0}


def measured(name: str) -> dict[str, Any]:
    """The result of the last run of that name."""
    result: dict[str, Any] = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text("utf-8"))
    return result

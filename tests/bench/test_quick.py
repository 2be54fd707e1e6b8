"""`python -m bench --quick` runs: some figures against a real server and beside a peer; `make interop` takes all of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.figures import FIGURES
from bench.lab import CORES, callboard
from bench.requests import ask

ROOT = Path(__file__).resolve().parents[2]


def run(out: Path, *words: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench", "--quick", *words, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})})
    assert done.returncode == 0, done.stdout + done.stderr
    taken: dict[str, Any] = json.loads(out.read_text("utf-8"))
    assert taken["quick"]
    return taken


def test_figures_are_taken_and_written(tmp_path: Path) -> None:
    names = ["hot_read_unique", "restart"]
    taken = run(tmp_path / "out.json", *names)
    assert [figure["name"] for figure in taken["figures"]] == names
    unique = taken["figures"][0]
    assert unique["values"]["of_bare"] > 0
    assert len(unique["samples"]["ours"]) == taken["plan"]["pairs"]


def test_a_peer_is_measured_and_left_as_it_was(tmp_path: Path) -> None:
    peer = callboard("--dev", core=frozenset(CORES))
    try:
        environment = {"PEER": f"http://127.0.0.1:{peer.http[1]}", "PEER_DNS": f"127.0.0.1:{peer.dns[1]}", "PEER_NAME": "other"}
        taken = run(tmp_path / "out.json", "hot_health_read", "dns_srv", environment=environment)
        assert ask(peer, "/v1/agent/services") == {}
    finally:
        peer.stop()
    assert taken["peer"]["name"] == "other"
    for figure in taken["figures"]:
        assert figure["values"]["peer_cpu_us"] > 0


def test_an_unknown_figure_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "nonsense"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "hot_health_read" in done.stderr


@pytest.mark.interop
def test_all_figures(tmp_path: Path) -> None:
    taken = run(tmp_path / "out.json")
    assert {figure["name"] for figure in taken["figures"]} | set(taken["absent"]) == set(FIGURES)
    assert taken["failed"] == {}

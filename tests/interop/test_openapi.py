"""The description of the API, read by those who know nothing else of it: a validator, a fuzzer, and generated clients."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.openapi_tools import CLIENTS, go, reader, run, typescript
from tests.servers import ServerProcess, running_server

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

WAIT_MS = "50"
"""A read that waits is soon answered: a fuzzer asks for waits of years."""
EXAMPLES_COUNT = "40"
SEEDS = ("1", "2")
BLIND = "use_after_free,ensure_resource_availability"
"""Checks that take the path for the whole identity of a thing: an instance has its name space and its node in the query."""
STREAMS = "watch"
"""Operations whose answer has no end; the generated clients read them."""


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    waits = {"CALLBOARD_TUNE_NATIVE_WAIT_MAX_MS": WAIT_MS, "CALLBOARD_TUNE_NATIVE_WAIT_DEFAULT_MS": WAIT_MS}
    with running_server("--dev", environment=waits) as process:
        yield process


@pytest.fixture
def description(server: ServerProcess, tmp_path: Path) -> Path:
    file = tmp_path / "openapi.json"
    with urllib.request.urlopen(server.url + "/api/v1/openapi.json", timeout=60) as response:
        file.write_bytes(response.read())
    return file


def schemathesis(server: ServerProcess, folder: Path, hooks: str, *arguments: str, excluded: tuple[str, ...] = ()) -> str:
    words = [
        reader("schemathesis"), "run", f"{server.url}/api/v1/openapi.json", "--continue-on-failure", "--no-color",
        "--exclude-operation-id", STREAMS, "--exclude-checks", ",".join((BLIND, *excluded)), "--max-examples", EXAMPLES_COUNT,
        "--generation-database", "none", *arguments,
    ]  # fmt: skip
    return run(words, folder, {"SCHEMATHESIS_HOOKS": hooks, "PYTHONPATH": str(CLIENTS)})


def failures(server: ServerProcess) -> int:
    """Handlers that raised something unexpected."""
    with urllib.request.urlopen(server.url + "/metrics", timeout=60) as response:
        lines = response.read().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith("callboard_http_failures")).split()[1]))


def test_it_is_a_valid_document(description: Path, tmp_path: Path) -> None:
    run([reader("openapi-spec-validator"), "--schema", "3.1", str(description)], tmp_path)


def test_its_examples_fit_its_schemas(description: Path, tmp_path: Path) -> None:
    said = run([reader("python"), str(CLIENTS / "openapi_examples.py"), str(description)], tmp_path)
    assert int(said) >= 30


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_sent_is_answered_as_described(server: ServerProcess, tmp_path: Path, seed: str) -> None:
    """Good and bad requests, one by one and in chains: no failure, no undescribed status, bodies as described, bad ones refused."""
    said = schemathesis(server, tmp_path, "openapi_hooks", "--seed", seed, excluded=("positive_data_acceptance",))
    assert "Stateful" in said
    assert failures(server) == 0


def test_whatever_fits_the_description_is_taken(server: ServerProcess, tmp_path: Path) -> None:
    words = ("--mode", "positive", "--generation-codec", "ascii", "--seed", "1")
    schemathesis(server, tmp_path, "openapi_meaningful", *words)
    assert failures(server) == 0


def story(name: str, service: str) -> Any:
    found = ["192.0.2.1:8080 1.2.3"]
    return {
        "written": {"id": name, "service": service, "changed": True}, "warned": [], "turned": True, "found": found,
        "event": {"event": "added", "id": name, "status": "passing"}, "instance": {"status": "passing", "outputs": ["fine"]},
        "index": True, "drained": [], "shown": found, "renewed": 1, "unknown": ["nobody unknown_instance"],
    }  # fmt: skip


def test_a_generated_typescript_client_works(server: ServerProcess, description: Path) -> None:
    told = json.loads(typescript(description, server.url))
    refused = {"refused": {"status": 400, "code": "invalid", "field": "prot"}, "gone": {"status": 404, "code": "unknown_instance"}}
    assert told == {**story("ts/1", "typescript"), **refused}


def test_a_generated_go_client_works(server: ServerProcess, description: Path) -> None:
    told = json.loads(go(description, server.url))
    assert told == {**story("go/1", "go"), "refused": "400 invalid prot", "gone": "404 unknown_instance"}

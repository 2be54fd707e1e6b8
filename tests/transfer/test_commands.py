"""`backup`, `restore` and `migrate` as a person runs them, on real servers and data directories."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from callboard.cli.main import main
from callboard.cli.transfer.progress import line
from callboard.client import Client, ClientSettings
from callboard.client.backup import backup_pieces
from callboard.wire.backup import Header, Reader
from callboard.wire.native import CheckRequest, Registration
from tests.servers import ServerProcess, durable_server, running_server

COUNT = 40


def call(*arguments: object, url: str = "") -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env={"CALLBOARD_URL": url, "CALLBOARD_NAMESPACE": None})


def told(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def asking(server: ServerProcess) -> Client:
    return Client(ClientSettings(urls=(server.url,)))


def fill(server: ServerProcess) -> None:
    with asking(server) as client:
        for number in range(COUNT):
            client.put(Registration(service=f"s{number % 3}", id=f"i{number}", port=80, checks=(CheckRequest(ttl_ms=600_000),)))
        client.deregister("i7")


def ids(server: ServerProcess) -> set[str]:
    with asking(server) as client:
        return {found.id for number in range(3) for found in client.instances(f"s{number}").instances}


def revision(server: ServerProcess) -> int:
    with asking(server) as client:
        return client.status().revision


ALL = {f"i{number}" for number in range(COUNT)} - {"i7"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a catalog, at rest."""
    data = tmp_path_factory.mktemp("source")
    with durable_server(data) as server:
        fill(server)
    return data


@pytest.fixture(scope="module")
def saved(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it."""
    path = tmp_path_factory.mktemp("saved") / "b.jsonl.gz"
    assert call("backup", path, "--store", f"sqlite:///{source}").exit_code == 0
    return path


def header_of(path: Path) -> Header:
    reader = Reader()
    for text in gzip.decompress(path.read_bytes()).splitlines(keepends=True):
        reader.take(text)
    return reader.finish()


def test_a_running_server_gives_a_backup_of_what_is_registered(tmp_path: Path) -> None:
    with durable_server(tmp_path / "data", "--datacenter", "north") as server:
        fill(server)
        result = call("backup", tmp_path / "b.jsonl.gz", url=server.url)
        at = revision(server)
    assert result.exit_code == 0, result.output
    header = header_of(tmp_path / "b.jsonl.gz")
    assert (header.datacenter, header.revision) == ("north", at)
    assert f"rows at revision {at}" in result.stdout
    target = tmp_path / "restored"
    assert call("restore", tmp_path / "b.jsonl.gz", "--store", f"sqlite:///{target}").exit_code == 0
    with durable_server(target) as server:
        assert ids(server) == ALL
        assert revision(server) > at + 1_000_000


def test_a_restored_store_is_another_one(saved: Path, tmp_path: Path) -> None:
    """Clients that go on with an old event id are told to begin anew."""
    result = told(call("restore", saved, "--store", f"sqlite:///{tmp_path}/data", "-o", "json"))
    header = header_of(saved)
    assert result["store"] != header.store
    assert result["revision"] > header.revision + 1_000_000
    assert result["replaced"] == 0
    with durable_server(tmp_path / "data") as server:
        assert ids(server) == ALL


def test_a_migrated_store_is_the_same_one_and_goes_on_from_there(source: Path, tmp_path: Path) -> None:
    target = f"sqlite:///{tmp_path}/data"
    result = call("migrate", f"sqlite:///{source}", target, "-o", "json")
    assert told(result)["store"]
    again = call("backup", tmp_path / "b.jsonl.gz", "--store", target, "-o", "json")
    assert told(again)["store"] == told(result)["store"]
    assert told(again)["revision"] == told(result)["revision"]
    with durable_server(tmp_path / "data") as server:
        assert ids(server) == ALL
        assert revision(server) == told(result)["revision"] + 1


def test_a_store_in_use_is_refused(saved: Path, tmp_path: Path) -> None:
    with durable_server(tmp_path / "data") as server:
        store = f"sqlite:///{tmp_path}/data"
        for command in (
            ("restore", saved, "--store", store),
            ("backup", tmp_path / "x", "--store", store),
            ("migrate", store, f"sqlite:///{tmp_path}/o"),
        ):
            result = call(*command)
            assert result.exit_code == 1
            assert f"in use by pid {server.ready['pid']}" in result.stderr
    assert not (tmp_path / "x").exists()


def test_what_is_there_is_replaced_only_when_that_is_said(saved: Path, tmp_path: Path) -> None:
    with durable_server(tmp_path / "data") as server, asking(server) as client:
        client.put(Registration(service="s0", id="mine"))
        before = revision(server)
    store = f"sqlite:///{tmp_path}/data"
    result = call("restore", saved, "--store", store)
    assert result.exit_code == 1
    assert "not empty: it holds 2 instances" in result.stderr
    with durable_server(tmp_path / "data") as server:
        assert ids(server) == {"mine"}
    result = call("restore", saved, "--store", store, "--replace")
    assert result.exit_code == 0
    assert "were removed; verified" in result.stdout
    with durable_server(tmp_path / "data") as server:
        assert ids(server) == ALL
        assert revision(server) > before


def test_a_damaged_backup_is_refused_and_the_store_is_not_touched(saved: Path, tmp_path: Path) -> None:
    lines = gzip.decompress(saved.read_bytes()).splitlines(keepends=True)
    path = tmp_path / "b.jsonl"
    path.write_bytes(b"".join(lines).replace(b'"service":"s0"', b'"service":"s1"', 1))
    result = call("restore", path, "--store", f"sqlite:///{tmp_path}/data")
    assert (result.exit_code, f"line {len(lines)}: the backup was damaged" in result.stderr) == (1, True), result.output
    path.write_bytes(b"".join(lines[:9]))
    result = call("restore", path, "--store", f"sqlite:///{tmp_path}/data")
    assert result.exit_code == 1
    assert "line 10: the backup was cut off: after 8 rows" in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_newer_backup_is_incompatible(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    path.write_bytes(gzip.decompress(saved.read_bytes()).replace(b'"format":1', b'"format":2', 1))
    assert call("restore", path, "--store", f"sqlite:///{tmp_path}/data").exit_code == 4


def test_usage(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("restore", saved).exit_code == 2
    assert call("restore", tmp_path / "none", "--store", "sqlite:///x").exit_code == 2
    assert call("restore", saved, "--store", "memory:").exit_code == 2
    assert call("restore", saved, "--store", "nats://x").exit_code == 2
    assert call("migrate", "sqlite:///x", "sqlite:///x").exit_code == 2
    assert call("migrate", "sqlite:///none", "sqlite:///x").exit_code == 2
    assert call("backup", "b", "--store", "sqlite:///none").exit_code == 2
    assert not list(tmp_path.iterdir())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "callboard.db").touch()
    assert call("backup", "b", "--store", "sqlite:///data").exit_code == 1
    assert call("backup", tmp_path / "no" / "b", "--store", f"sqlite:///{tmp_path}/data").exit_code == 1
    assert call("backup", tmp_path / "b", url="http://127.0.0.1:9").exit_code == 5
    assert list(tmp_path.glob("*b*")) == []


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server("--dev") as process:
        yield process


def test_a_backup_that_breaks_off_is_not_kept(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(server)
    monkeypatch.setattr("callboard.cli.transfer.asking.backup_pieces", lambda settings: iter([b"".join(backup_pieces(settings))[:-30]]))
    result = call("backup", tmp_path / "b.jsonl", url=server.url)
    assert result.exit_code == 1
    assert "cut off" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_memory_store_gives_a_backup_too(server: ServerProcess, tmp_path: Path) -> None:
    assert told(call("backup", tmp_path / "b.jsonl", "-o", "json", url=server.url))["rows"] > 2 * (COUNT - 1)
    assert (tmp_path / "b.jsonl").stat().st_mode & 0o777 == 0o600


def test_asking_a_server_needs_no_package_of_the_server(server: ServerProcess, tmp_path: Path) -> None:
    program = f"""
import sys
for name in ("uvicorn", "starlette", "httptools", "rich", "prometheus_client", "uvloop"):
    sys.modules[name] = None
from callboard.cli.main import main
main(["backup", {str(tmp_path / "b")!r}, "--url", {server.url!r}], standalone_mode=True)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b").exists()


def test_progress_is_one_line() -> None:
    assert line("writing", 512, 1024) == "writing [############------------] 512 of 1,024 rows"
    assert line("reading", 5000, 0) == "reading: 5,000 rows"
    assert line("waiting for m1 to be gone", 0, 0) == "waiting for m1 to be gone"

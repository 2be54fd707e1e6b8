"""Open files: connections must never take those that probes and the store need."""

import json
import resource
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from callboard.server import files
from tests.servers import ServerProcess, durable_server


@pytest.mark.parametrize(
    ("soft", "wanted", "share", "room"),
    [(1024, 110_000, 0.75, 384), (1024, 100, 0.75, 100), (64, 110_000, 0.75, 24), (1_048_576, 110_000, 0.75, 110_000), (2, 9, 0.25, 1)],
)
def test_connections_leave_files_for_probes_and_the_store(
    monkeypatch: pytest.MonkeyPatch, soft: int, wanted: int, share: float, room: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert files.connections_room(wanted, share) == room


def test_the_limit_of_open_files_is_raised_to_what_the_system_allows(tmp_path: Path) -> None:
    with durable_server(tmp_path) as server:
        soft, hard = resource.prlimit(server.popen.pid, resource.RLIMIT_NOFILE)
        assert soft == hard


def critical_since(server: ServerProcess, deadline_s: float) -> bool:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        with urlopen(f"{server.url}/v1/health/state/critical", timeout=5) as response:
            if json.loads(response.read()):
                return True
        time.sleep(0.05)
    return False

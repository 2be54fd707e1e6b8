"""Open files: connections must never take those that probes and the store need."""

import resource
import subprocess
import sys

import pytest

from callboard.server import files

RAISED = """
import resource
from callboard.server.files import raise_open_files_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
raise_open_files_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64 or hard <= 64)
"""


@pytest.mark.parametrize(
    ("soft", "wanted", "share", "room"),
    [(1024, 110_000, 0.75, 384), (1024, 100, 0.75, 100), (64, 110_000, 0.75, 24), (1_048_576, 110_000, 0.75, 110_000), (2, 9, 0.25, 1)],
)
def test_connections_leave_files_for_probes_and_the_store(
    monkeypatch: pytest.MonkeyPatch, soft: int, wanted: int, share: float, room: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, soft))
    assert files.connections_room(wanted, share) == room


def test_the_limit_of_open_files_is_raised_to_what_the_system_allows() -> None:
    ended = subprocess.run([sys.executable, "-c", RAISED], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "True\n"

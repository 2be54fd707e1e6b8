"""One registry for all programs of a test file; each test has a name space and a folder for locks of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integrations.processes.programs import Stage
from tests.servers import ServerProcess, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server("--dev") as running:
        yield running


@pytest.fixture
def stage(server: ServerProcess, tmp_path: Path) -> Stage:
    return Stage(server, tmp_path)

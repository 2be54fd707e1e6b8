from collections.abc import Iterator

import pytest

from callboard.client import Client, ClientSettings
from tests.servers import ServerProcess, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """A real server, for all tests of a module: each has a name space of its own."""
    with running_server("--dev") as process:
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(ClientSettings(urls=(server.url,))) as asking:
        yield asking


@pytest.fixture
def space(request: pytest.FixtureRequest) -> str:
    """A name space that no other test uses."""
    return str(request.node.name)

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from callboard.cli.main import main
from callboard.client import Client, ClientSettings
from tests.servers import ServerProcess, running_server

Run = Callable[..., Result]


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


@pytest.fixture
def run(server: ServerProcess, space: str) -> Run:
    """Run a command against the server, in the test's name space."""

    def running(*arguments: str) -> Result:
        environment = {"CALLBOARD_URL": server.url, "CALLBOARD_NAMESPACE": space, "NO_COLOR": None}
        return CliRunner().invoke(main, arguments, env=environment)

    return running

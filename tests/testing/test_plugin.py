"""The pytest plug-in, used by projects as they use it: pytest in a process of its own, on test files written here."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest

from callboard.client import CheckRequest, Client, ClientSettings, Registration, UnreachableError
from callboard.client.engine import ClosedError
from callboard.testing.server import Server, ServerError
from tests.support import poll_until

ROOT = Path(__file__).resolve().parents[2]
pytest_plugins = ["pytester"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server.running(tmp_path / "registry") as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(ClientSettings(urls=server.urls, timeout_ms=60_000)) as client:
        yield client


@pytest.fixture
def hasty(server: Server) -> Iterator[Client]:
    """For servers that do not answer."""
    with Client(ClientSettings(urls=server.urls, timeout_ms=500)) as client:
        yield client


def register(client: Client, service: str) -> None:
    with client.register(Registration(service=service, port=1, checks=(CheckRequest(ttl_ms=60_000),))):
        pass


def put(url: str, service: str) -> None:
    """Through Consul's door: it stays."""
    body = json.dumps({"Name": service, "Port": 1}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{url}/v1/agent/service/register", body, method="PUT"), timeout=60).close()


def names(client: Client) -> set[str]:
    return {service.name for service in client.services().services}


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def run_pytest(pytester: pytest.Pytester, text: str, *options: str, environment: dict[str, str] | None = None) -> pytest.RunResult:
    """As a project runs it that has this plug-in and no other."""
    pytester.makepyfile(test_project=textwrap.dedent(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "callboard.testing.plugin", *options, timeout=100)


# --- what it costs those who do not use it ------------------------------------------------------------------------------------------------


def test_it_imports_nothing_but_pytest_until_a_fixture_is_used(pytester: pytest.Pytester) -> None:
    result = run_pytest(
        pytester,
        """
        import sys

        def test_before():
            loaded = {name for name in sys.modules if name.partition(".")[0] == "callboard"}
            assert loaded == {"callboard", "callboard.testing", "callboard.testing.plugin"}
            assert not {"msgspec", "click", "asyncio", "httptools", "uvicorn", "starlette"} & sys.modules.keys()

        def test_use(callboard_server):
            assert "callboard.testing.server" in sys.modules
            assert not [name for name in sys.modules if name.startswith("callboard.server")], "the server is a process of its own"
        """,
    )
    result.assert_outcomes(passed=2)


def test_loading_it_imports_no_module_beside_pytests_own() -> None:
    code = "import sys, pytest; before = set(sys.modules); import callboard.testing.plugin; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['callboard', 'callboard.testing', 'callboard.testing.plugin']"


# --- the fixture --------------------------------------------------------------------------------------------------------------------------


def test_the_environment_names_the_server_and_nothing_of_the_outside(pytester: pytest.Pytester) -> None:
    result = run_pytest(
        pytester,
        """
        import os

        def test_it(callboard_server):
            named = {name: value for name, value in os.environ.items() if name.startswith(("CALLBOARD_", "CONSUL_"))}
            assert named == {"CALLBOARD_URL": callboard_server.url, "CALLBOARD_SNAPSHOTS": str(callboard_server.snapshots)}

        def test_put_back():
            assert os.environ["CALLBOARD_URL"] == "http://outside:1"
            assert "CALLBOARD_SNAPSHOTS" not in os.environ
        """,
        environment={"CALLBOARD_URL": "http://outside:1", "CALLBOARD_HTTP": "127.0.0.1:1", "CONSUL_HTTP_ADDR": "outside:2"},
    )
    result.assert_outcomes(passed=2)


def test_every_test_gets_a_server_of_its_own_also_under_xdist(pytester: pytest.Pytester) -> None:
    result = run_pytest(
        pytester,
        """
        import pytest
        from callboard.client import Client, CheckRequest, Registration

        @pytest.mark.parametrize("number", range(4))
        def test_it(callboard_server, number):
            with Client() as client:
                assert client.services().services == ()
                with client.register(Registration(service="web", port=1, checks=(CheckRequest(ttl_ms=60_000),))):
                    assert [service.name for service in client.services().services] == ["web"]
        """,
        "-p",
        "xdist.plugin",
        "-n",
        "2",
    )
    result.assert_outcomes(passed=4)


def test_the_server_ends_when_the_test_fails_or_is_killed(pytester: pytest.Pytester) -> None:
    result = run_pytest(
        pytester,
        """
        import os, pathlib, pytest, signal

        @pytest.mark.parametrize("state", ["running", "pause", "partition", "kill"])
        def test_fails(callboard_server, state):
            with pathlib.Path("pids").open("a") as pids:
                print(callboard_server.pid, file=pids)
            if state != "running":
                getattr(callboard_server, state)()
            assert False

        def test_is_killed(callboard_server):
            with pathlib.Path("pids").open("a") as pids:
                print(callboard_server.pid, file=pids)
            callboard_server.pause()
            os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    assert result.ret == -signal.SIGKILL
    pids = [int(line) for line in (pytester.path / "pids").read_text().split()]
    assert len(pids) == 5
    poll_until(lambda: not [pid for pid in pids if alive(pid)])


def test_without_the_extra_server_it_says_what_to_install(pytester: pytest.Pytester) -> None:
    result = run_pytest(
        pytester,
        """
        import sys

        def test_it(monkeypatch, request):
            monkeypatch.setitem(sys.modules, "uvicorn", None)
            request.getfixturevalue("callboard_server")
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ServerError: a server needs uvicorn, not installed here; try: pip install 'callboard?server,testing?'*"])


# --- what can happen to the server --------------------------------------------------------------------------------------------------------


def test_restart_keeps_addresses_and_rows_and_loses_them_when_told_to(server: Server, client: Client) -> None:
    put(server.url, "web")
    before = (server.url, server.direct_url, server.dns, server.pid)
    server.restart()
    assert (server.url, server.direct_url, server.dns) == before[:3]
    assert server.pid != before[3]
    assert names(client) == {"web"}
    server.restart(lose_state=True)
    assert names(client) == set()


def test_a_killed_server_refuses_and_comes_back_with_its_rows(server: Server, client: Client) -> None:
    put(server.url, "web")
    server.kill()
    with pytest.raises(UnreachableError, match="refused"):
        client.services()
    with pytest.raises(ServerError, match=r"does not run; start\(\) it"):
        _ = server.pid
    server.start()
    assert names(client) == {"web"}


def test_a_paused_server_takes_connections_and_does_not_answer_until_it_is_resumed(server: Server, client: Client, hasty: Client) -> None:
    server.pause()
    begin = time.monotonic()
    with pytest.raises(UnreachableError):
        hasty.services()
    assert time.monotonic() - begin >= 0.4
    server.resume()
    assert names(client) == set()


def test_a_partition_is_silent_and_ends_with_its_block(server: Server, client: Client, hasty: Client) -> None:
    with server.partition(), Client(ClientSettings(urls=(server.direct_url,))) as beside:
        with pytest.raises(UnreachableError):
            hasty.services()
        assert names(beside) == set(), "the server itself is well"
    assert names(client) == set()


def test_a_partition_can_refuse_and_outlasts_a_restart(server: Server, client: Client) -> None:
    server.partition(refuse=True)
    server.restart()
    with pytest.raises(UnreachableError, match="refused"):
        client.services()
    server.heal()
    assert names(client) == set()


def test_a_paused_server_can_be_stopped_killed_and_restarted(server: Server, client: Client) -> None:
    server.pause()
    server.restart()
    assert names(client) == set()
    server.pause()
    server.kill()
    server.start()
    server.stop()
    server.start()
    assert names(client) == set()


def test_a_server_that_ended_by_itself_is_told_with_the_end_of_its_log(server: Server) -> None:
    pid = server.pid
    os.kill(pid, signal.SIGKILL)

    def told() -> str:
        try:
            return str(server.pid)
        except ServerError as error:
            return str(error)

    poll_until(lambda: told() == "the server ended by itself with exit code -9")
    server.start()
    assert server.pid != pid


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(ServerError, match=r"the server did not start; its log ends:\n.*data"), Server.running(tmp_path):
        pass


def test_dns_answers_where_it_says(server: Server) -> None:
    put(server.url, "web")
    host, port = server.dns
    answer = dns.query.udp(dns.message.make_query("web.service.consul", "A"), host, port=port, timeout=60)
    assert "127.0.0.1" in answer.to_text()


def test_a_board_of_connect_is_on_the_server_and_closed_with_it(tmp_path: Path) -> None:
    with Server.running(tmp_path) as server:
        board = server.connect(namespace="mine")
        with board.register("web", port=1, wait_for_port=False) as web:
            web.wait(60)
            assert [service.name for service in board.services().services] == ["web"]
            with board.service("web").pick() as endpoint:
                assert endpoint.port == 1
        held = board.register("kept", port=2, wait_for_port=False)
        held.wait(60)
        server.pause()
    assert held.state == "ended", "closed while it could still sign out"
    with pytest.raises(ClosedError):
        board.service("web")


def test_a_board_lives_on_what_it_knew_when_the_server_is_gone(server: Server) -> None:
    put(server.url, "web")
    before = server.connect()
    assert [state.id for state in before.service("web").snapshot.instances] == ["web"]
    poll_until(lambda: list(server.snapshots.rglob("web.json")))
    server.kill()
    with before.service("web").pick() as endpoint:
        assert endpoint.id == "web"
    after = server.connect()
    assert after.service("web").snapshot.stale, "from the disk"


def test_the_plug_in_is_declared_for_pytest() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]["pytest11"]
    assert declared == {"callboard": "callboard.testing.plugin"}

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callboard.client import CheckRequest, Client, ClientSettings, InvalidRequestError, Registration, UnreachableError
from callboard.model.check import Status
from callboard.model.instance import Phase
from tests.servers import ServerProcess, free_port, running_server
from tests.support import Stopwatch, poll_until

TTL_MS = 1_500


def web(space: str, *checks: CheckRequest, name: str = "web-1") -> Registration:
    return Registration(
        service="web", id=name, namespace=space, address="10.0.0.1", port=8080, checks=checks or (CheckRequest(ttl_ms=TTL_MS),)
    )


def status_of(client: Client, space: str, name: str = "web-1") -> Status | None:
    return next((found.status for found in client.instances("web", namespace=space).instances if found.id == name), None)


def test_it_passes_at_once_and_as_long_as_it_lives_and_is_gone_after(client: Client, space: str) -> None:
    with client.register(web(space)) as registered:
        assert (registered.id, registered.node) == ("web-1", "callboard")
        revision = client.instance("web-1", namespace=space).modified
        until = time.monotonic() + 1.5 * TTL_MS / 1000
        while time.monotonic() < until:
            assert status_of(client, space) is Status.PASSING
        assert client.instance("web-1", namespace=space).modified == revision, "heartbeats change nothing"
    assert status_of(client, space) is None
    registered.close()


def test_without_a_ttl_check_there_is_no_thread_to_keep(client: Client, space: str) -> None:
    with client.register(web(space, CheckRequest(tcp="127.0.0.1:1", interval_ms=60_000))):
        assert status_of(client, space) is Status.CRITICAL
    assert status_of(client, space) is None


def test_checks_that_are_not_named_any_more_go(client: Client, space: str) -> None:
    client.put(web(space, CheckRequest(id="old", tcp="127.0.0.1:1", interval_ms=60_000)))
    with client.register(web(space)):
        assert status_of(client, space) is Status.PASSING


def test_an_instance_that_was_signed_out_by_others_signs_in_again(client: Client, space: str) -> None:
    with client.register(web(space)):
        client.deregister("web-1", namespace=space)
        poll_until(lambda: status_of(client, space) is Status.PASSING)


def test_equal_ids_on_other_nodes_are_left_alone(client: Client, space: str) -> None:
    other = Registration(service="web", id="web-1", namespace=space, node="other", checks=(CheckRequest(ttl_ms=60_000, status="passing"),))
    client.put(other)
    with client.register(web(space)) as registered:
        client.deregister("web-1", node=registered.node, namespace=space)
        poll_until(lambda: len(client.instances("web", namespace=space).instances) == 2)
    (left,) = client.instances("web", namespace=space).instances
    assert left.node == "other"


def test_an_instance_whose_checks_were_taken_away_signs_in_again(client: Client, space: str) -> None:
    with client.register(web(space)):
        client.put(Registration(service="web", id="web-1", namespace=space, replace_checks=True))
        poll_until(lambda: "ttl" in {check.kind for check in client.instance("web-1", namespace=space).checks})


def test_draining_is_kept_over_a_new_sign_in(client: Client, space: str) -> None:
    with client.register(web(space)) as registered:
        registered.drain()
        assert client.instance("web-1", namespace=space).phase is Phase.DRAINING
        client.deregister("web-1", namespace=space)
        poll_until(lambda: status_of(client, space) is not None)
        assert client.instance("web-1", namespace=space).phase is Phase.DRAINING


def test_a_server_that_forgot_everything_is_told_again(space: str) -> None:
    port = free_port()
    address = ("--dev", "--http", f"127.0.0.1:{port}")
    settings = ClientSettings(urls=(f"http://127.0.0.1:{port}",))
    with Client(settings) as client:
        with running_server(*address):
            registered = client.register(web(space))
        with pytest.raises(UnreachableError):
            client.status()
        with running_server(*address):
            poll_until(lambda: status_of(client, space) is Status.PASSING)
            registered.close()
            assert status_of(client, space) is None


def test_a_server_that_is_gone_does_not_hold_up_the_end(space: str, caplog: pytest.LogCaptureFixture) -> None:
    with running_server("--dev") as server, Client(ClientSettings(urls=(server.url,))) as client:
        registered = client.register(web(space))
    poll_until(lambda: "are not heard" in caplog.text)
    with Stopwatch() as watch:
        registered.close()
    assert watch.seconds < 5
    assert "could not be signed out" in caplog.text


def test_a_frozen_server_is_survived(space: str, caplog: pytest.LogCaptureFixture) -> None:
    with running_server("--dev") as server, Client(ClientSettings(urls=(server.url,))) as client, client.register(web(space)):
        server.popen.send_signal(signal.SIGSTOP)
        time.sleep(2.5 * TTL_MS / 1000)  # long enough for several beats to fail
        server.popen.send_signal(signal.SIGCONT)
        poll_until(lambda: status_of(client, space) is Status.PASSING)


def test_what_cannot_be_registered_is_refused_where_it_is_asked_for(client: Client) -> None:
    with pytest.raises(InvalidRequestError, match="service"):
        client.register(Registration(service="", checks=(CheckRequest(ttl_ms=1000),)))


FORKING = """
import os, sys
from callboard.client import CheckRequest, Client, ClientSettings, Registration
with Client(ClientSettings(urls=(sys.argv[1],))) as client:
    with client.register(Registration(service="forked", namespace=sys.argv[2], checks=(CheckRequest(ttl_ms=60_000),))):
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert len(client.instances("forked", namespace=sys.argv[2]).instances) == 1
    there = client.instances("forked", namespace=sys.argv[2]).instances
    assert len(there) == (0 if child else 1), there
"""


def test_a_forked_child_does_not_sign_its_parent_out(server: ServerProcess, space: str) -> None:
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, server.url, space], check=True, timeout=90)


def test_a_process_that_is_killed_is_noticed_by_its_ttl(server: ServerProcess, client: Client, space: str, tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text(
        "import sys\n"
        "from callboard.client import CheckRequest, Client, ClientSettings, Registration\n"
        "registration = Registration(service='web', id='web-1', namespace=sys.argv[2], checks=(CheckRequest(ttl_ms=600),))\n"
        "Client(ClientSettings(urls=(sys.argv[1],))).register(registration)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, str(script), server.url, space], stdin=subprocess.PIPE) as process:
        poll_until(lambda: status_of(client, space) is Status.PASSING)
        process.kill()
    poll_until(lambda: status_of(client, space) is Status.CRITICAL)

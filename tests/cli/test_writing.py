import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from callboard.client import Client, Registration
from callboard.model.check import Status
from callboard.model.instance import Phase
from tests.cli.conftest import Run
from tests.servers import ServerProcess
from tests.support import poll_until


def test_what_is_registered_is_what_was_said(run: Run, client: Client, space: str) -> None:
    said = [
        "register", "web", "--id", "web-7", "--address", "10.0.0.7", "--port", "8080", "--tag", "v1", "--tag", "blue", "--meta", "zone=a",
        "--weight", "5", "--node", "n7", "--ttl", "1m", "--http", "http://127.0.0.1:1/health", "--tcp", "127.0.0.1:1", "--interval", "1h",
        "--udp", "127.0.0.1:1", "--grpc", "127.0.0.1:1/web", "--h2ping", "127.0.0.1:1",
        "--check-timeout", "1s", "--deregister-after", "2h",
    ]  # fmt: skip
    shown = run(*said)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"registered web-7 on n7 in {space} (revision ")
    found = client.instance("web-7", node="n7", namespace=space)
    assert (found.service, found.address, found.port, set(found.tags)) == ("web", "10.0.0.7", 8080, {"v1", "blue"})
    assert (found.meta, found.weights.passing) == ({"zone": "a"}, 5)
    assert sorted(check.kind for check in found.checks) == ["grpc", "h2ping", "http", "tcp", "ttl", "udp"]
    assert "--hold" in shown.stderr
    assert "was so already" in run(*said).stdout


@pytest.mark.parametrize(("name", "why"), [("we b", "its name has ' '"), ("a" * 64, "its name has more than 63 characters")])
def test_a_name_that_dns_can_never_find_is_taken_and_told(run: Run, name: str, why: str) -> None:
    shown = run("register", name, "--port", "1")
    assert shown.exit_code == 0
    assert f"{name!r} cannot be found over DNS: {why}" in shown.stderr


def test_registering_again_replaces_the_checks(run: Run, client: Client, space: str) -> None:
    run("register", "web", "--tcp", "127.0.0.1:1", "--interval", "1h")
    assert client.instance("web", namespace=space).status is Status.CRITICAL
    run("register", "web")
    assert client.instance("web", namespace=space).status is Status.PASSING


def test_drain_and_back(run: Run, client: Client, space: str) -> None:
    run("register", "web", "--port", "1")
    assert run("drain", "web").stdout.startswith("draining web on callboard")
    assert client.instance("web", namespace=space).phase is Phase.DRAINING
    assert run("drain", "web", "--off").stdout.startswith("serving web on ")
    assert client.instance("web", namespace=space).phase is Phase.SERVING


def test_who_needs_heartbeats_is_told(run: Run) -> None:
    assert "--hold" in run("register", "web", "--ttl", "1m").stderr
    assert run("register", "web", "--tcp", "127.0.0.1:1").stderr == ""


def test_deregister_and_what_is_not_there(run: Run, client: Client, space: str) -> None:
    run("register", "web")
    assert run("deregister", "web").stdout.startswith("deregistered web on callboard")
    assert client.services(namespace=space).services == ()
    for command in ("deregister", "drain"):
        shown = run(command, "web")
        assert (shown.exit_code, shown.stdout) == (3, "")
        assert "web" in shown.stderr


def test_an_id_on_two_nodes_is_asked_back_for(run: Run, client: Client, space: str) -> None:
    for node in ("n1", "n2"):
        client.put(Registration(service="web", namespace=space, node=node))
    shown = run("deregister", "web")
    assert shown.exit_code == 2
    assert "n1" in shown.stderr
    assert run("deregister", "web", "--node", "n1").exit_code == 0


def test_hold_sends_heartbeats_and_signs_out_at_sigterm(server: ServerProcess, client: Client, space: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "callboard", "register", "web", "--ttl", "2s", "--hold", "--namespace", space, "--url", server.url]
    with (tmp_path / "err").open("w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("registered web")
            turned = client.instance("web", namespace=space).modified
            with client.watch("web", namespace=space) as watch:
                assert next(iter(watch)).kind == "added"
            poll_until(lambda: "holding" in (tmp_path / "err").read_text())
            assert client.instance("web", namespace=space).modified == turned
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert client.services(namespace=space).services == ()


def test_output_of_the_ids_can_be_taken_up_by_the_shell(run: Run) -> None:
    run("register", "web", "--id", "a b")
    assert run("instances", "web", "-o", "name").stdout == "a b\n"
    assert json.loads(run("instances", "web", "-o", "jsonl").stdout)["id"] == "a b"

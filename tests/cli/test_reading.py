import json
import os
import pty
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from callboard import __version__
from callboard.cli.main import main
from callboard.client import CheckRequest, Client, Registration, Weights
from tests.cli.conftest import Run
from tests.client.broken import answer, broken_server
from tests.servers import ServerProcess


def sign_in(client: Client, space: str) -> None:
    """Three of `web`: one passes, one is critical, one drains. And one of `api`."""
    for number, (name, status) in enumerate((("web-1", "passing"), ("web-2", "critical"), ("web-3", "passing"))):
        check = CheckRequest(ttl_ms=600_000, status="passing" if status == "passing" else "critical")
        client.put(
            Registration(
                service="web", id=name, namespace=space, address="10.0.0.1", port=8080 + number, tags=("v1",), meta={"zone": "a"},
                weights=Weights(passing=3), checks=(check,),
            )
        )  # fmt: skip
    client.drain("web-3", namespace=space)
    client.put(Registration(service="api", namespace=space, address="10.0.0.2", port=9))


def test_services_as_a_table(run: Run, client: Client, space: str) -> None:
    sign_in(client, space)
    shown = run("services")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        "SERVICE  INSTANCES  PASSING  WARNING  CRITICAL  TAGS",
        "api      1          1        0        0         -",
        "web      3          2        0        1         v1",
    ]
    assert shown.stderr == ""


def test_services_in_the_other_forms(run: Run, client: Client, space: str) -> None:
    sign_in(client, space)
    assert run("services", "-o", "name").stdout.splitlines() == ["api", "web"]
    document = json.loads(run("services", "-o", "json").stdout)
    assert [service["name"] for service in document["services"]] == ["api", "web"]
    assert document["revision"] > 0
    lines = [json.loads(line) for line in run("services", "-o", "jsonl").stdout.splitlines()]
    assert lines == document["services"]
    assert run("services", "-o", "wide").stdout.splitlines()[0].split() == [
        "SERVICE", "INSTANCES", "PASSING", "WARNING", "CRITICAL", "MAINTENANCE", "DRAINING", "NAMESPACE", "TAGS",
    ]  # fmt: skip


def test_nobody_there_is_no_error_and_says_what_to_try(run: Run) -> None:
    shown = run("services")
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert "callboard register" in shown.stderr
    assert json.loads(run("services", "-o", "json").stdout)["services"] == []


def test_instances_in_every_form(run: Run, client: Client, space: str) -> None:
    sign_in(client, space)
    shown = run("instances", "web").stdout.splitlines()
    assert shown[0].split() == ["ID", "NODE", "ADDRESS", "STATUS", "PHASE", "TAGS"]
    assert [line.split() for line in shown[1:]] == [
        ["web-1", "callboard", "10.0.0.1:8080", "passing", "serving", "v1"],
        ["web-2", "callboard", "10.0.0.1:8081", "critical", "serving", "v1"],
        ["web-3", "callboard", "10.0.0.1:8082", "passing", "draining", "v1"],
    ]
    wide = run("instances", "web", "-o", "wide").stdout.splitlines()
    assert "service:web-2=critical" in wide[2]
    assert "zone=a" in wide[1]
    assert "3/1" in wide[1]
    assert run("instances", "web", "-o", "name").stdout.splitlines() == ["web-1", "web-2", "web-3"]
    document = json.loads(run("instances", "web", "-o", "json").stdout)
    assert document["service"] == "web"
    assert [json.loads(line) for line in run("instances", "web", "-o", "jsonl").stdout.splitlines()] == document["instances"]


def test_resolve_says_whom_to_call_and_on_stderr_why_not_the_others(run: Run, client: Client, space: str) -> None:
    sign_in(client, space)
    shown = run("resolve", "web")
    assert shown.exit_code == 0
    assert [line.split() for line in shown.stdout.splitlines()] == [
        ["ADDRESS", "ID", "NODE", "STATUS", "TAGS"],
        ["10.0.0.1:8080", "web-1", "callboard", "passing", "v1"],
    ]
    assert "left out: web-2 on callboard: critical: check service:web-2" in shown.stderr
    assert "left out: web-3 on callboard: draining" in shown.stderr
    named = run("resolve", "web", "-o", "name")
    assert (named.stdout, named.stderr) == ("10.0.0.1:8080\n", "")
    document = json.loads(run("resolve", "web", "-o", "json").stdout)
    assert {judged["id"]: judged["kept"] for judged in document["considered"]} == {"web-1": True, "web-2": False, "web-3": False}
    assert json.loads(run("resolve", "web", "-o", "jsonl").stdout)["weight"] == 3


def test_resolve_narrows_by_tag_health_and_number(run: Run, client: Client, space: str) -> None:
    for number, tags in enumerate((("v1",), ("v1", "blue"), ("v2",))):
        check = CheckRequest(ttl_ms=600_000, status="warning" if number == 0 else "passing")
        client.put(Registration(service="web", id=f"web-{number}", namespace=space, port=number + 1, tags=tags, checks=(check,)))
    assert len(run("resolve", "web", "-o", "name").stdout.splitlines()) == 3
    assert len(run("resolve", "web", "-o", "name", "--tag", "v1").stdout.splitlines()) == 2
    assert run("resolve", "web", "-o", "name", "--tag", "v1", "--tag", "blue").stdout == "127.0.0.1:2\n"
    assert run("resolve", "web", "-o", "name", "--tag", "v1", "--passing-only").stdout == "127.0.0.1:2\n"
    assert len(run("resolve", "web", "-o", "name", "--limit", "1").stdout.splitlines()) == 1


def sign_in_versions(client: Client, space: str) -> None:
    """One of `web` in each version."""
    for number, version in enumerate(("1.9.0", "2.1.0", "2.4.1", "3.0.0-rc.1"), start=1):
        meta = {"version": version, "zone": "a", "env": "prod" if number > 1 else "test"}
        client.put(Registration(service="web", id=f"web-{version}", namespace=space, address="10.0.0.1", port=number, meta=meta))


def test_resolve_by_version_range_preference_and_label(run: Run, client: Client, space: str) -> None:
    sign_in_versions(client, space)

    def found(*arguments: str) -> list[str]:
        return [line.rpartition(":")[2] for line in run("resolve", "web", "-o", "name", *arguments).stdout.splitlines()]

    assert found("--version", ">=2,<3") == ["2", "3"]
    assert found("--version", "^2", "--prefer", "latest") == ["3"]
    assert found("--version", "^2", "--prefer", "oldest") == ["2"]
    assert found("--version", "^4", "--fallback", "1.x") == ["1"]
    assert found("--version", "^4", "--fallback", "any") == ["1", "2", "3", "4"]
    assert found("--version", ">=3.0.0-rc.1") == ["4"]
    assert found("--label", "env=prod", "--label", "zone=a") == ["2", "3", "4"]
    assert found("--zone", "a") == ["1", "2", "3", "4"]


def test_resolve_shows_versions_when_there_are_any(run: Run, client: Client, space: str) -> None:
    client.put(Registration(service="web", namespace=space, address="10.0.0.1", port=9))
    assert run("resolve", "web").stdout.splitlines()[0].split() == ["ADDRESS", "ID", "NODE", "STATUS", "TAGS"]
    sign_in_versions(client, space)
    lines = [line.split() for line in run("resolve", "web", "-o", "wide").stdout.splitlines()]
    assert lines[0] == ["ADDRESS", "ID", "NODE", "STATUS", "VERSION", "WEIGHT", "ZONE", "TAGS"]
    assert lines[1:3] == [
        ["10.0.0.1:9", "web", "callboard", "passing", "-", "1", "-", "-"],
        ["10.0.0.1:1", "web-1.9.0", "callboard", "passing", "1.9.0", "1", "a", "-"],
    ]
    assert json.loads(run("resolve", "web", "-o", "json", "--version", "1.x").stdout)["endpoints"][0]["version"] == "1.9.0"


def test_resolve_says_that_it_fell_back_and_why_the_others_are_left_out(run: Run, client: Client, space: str) -> None:
    sign_in_versions(client, space)
    shown = run("resolve", "web", "--version", "^4", "--fallback", "2.x")
    assert "these are of the fallback" in shown.stderr
    assert "left out: web-1.9.0 on callboard: version 1.9.0 is not ^4 or 2.x" in shown.stderr
    nobody = run("resolve", "web", "--version", "^4")
    assert (nobody.exit_code, nobody.stdout) == (4, "")
    assert "version 1.9.0 is not ^4" in nobody.stderr


def test_resolve_advises_by_the_reasons(run: Run, client: Client, space: str) -> None:
    sign_in_versions(client, space)
    choice = run("resolve", "web", "--version", "^4").stderr
    assert "none of 'web' is what was asked for; look at --version, --tag and --label" in choice
    assert "checks" not in choice
    assert "look at --version" in run("resolve", "web", "--tag", "no-such-tag").stderr
    assert "look at --version" in run("resolve", "web", "--label", "env=nowhere").stderr
    client.put(
        Registration(service="web", id="web-ill", namespace=space, port=9, checks=(CheckRequest(ttl_ms=600_000, status="critical"),))
    )
    assert "look at --version" in run("resolve", "web", "--version", "^4").stderr
    client.put(
        Registration(
            service="web", id="web-4", namespace=space, port=9, meta={"version": "4.0.0"},
            checks=(CheckRequest(ttl_ms=600_000, status="critical"),),
        )
    )  # fmt: skip
    assert "`callboard instances web -o wide` shows the checks" in run("resolve", "web", "--version", "^4").stderr


def test_a_version_that_is_no_range_is_a_wrong_usage_that_names_it(run: Run) -> None:
    shown = run("resolve", "web", "--version", "banana")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert "version: 'banana' is no version range" in shown.stderr


def test_the_name_space_may_come_from_the_environment(server: ServerProcess, client: Client, space: str) -> None:
    client.put(Registration(service="web", namespace=space))
    environment = {"CALLBOARD_URL": server.url, "CALLBOARD_NAMESPACE": space}
    shown = [CliRunner().invoke(main, ["services", "-o", "name", *more], env=environment).stdout for more in ((), ("--namespace", "x"))]
    assert shown == ["web\n", ""]


def test_exit_code_3_not_found(run: Run) -> None:
    for command in ("instances", "resolve"):
        shown = run(command, "nope")
        assert (shown.exit_code, shown.stdout) == (3, "")
        assert "callboard services" in shown.stderr


def test_exit_code_4_when_nobody_is_fit_to_be_called(run: Run, client: Client, space: str) -> None:
    client.put(Registration(service="web", namespace=space))
    client.drain("web", namespace=space)
    shown = run("resolve", "web")
    assert (shown.exit_code, shown.stdout) == (4, "")
    assert "draining" in shown.stderr


def test_status_in_every_form(run: Run, server: ServerProcess) -> None:
    member = server.ready["member"]
    lines = run("status").stdout.splitlines()
    titles = ["MEMBER", "READY", "LEADER", "VERSION", "REVISION", "SERVICES", "INSTANCES", "MEMBERS", "AGE_MS", "STORE"]
    assert lines[0].split() == titles
    assert lines[1].split()[:3] == [member, "yes", member]
    assert lines[1].split()[-3:] == ["1", "0", "reachable"]
    assert run("status", "-o", "name").stdout.strip() == member
    assert json.loads(run("status", "-o", "json").stdout)["ready"] is True
    assert json.loads(run("status", "-o", "jsonl").stdout)["datacenter"] == "dc1"
    assert run("status", "-o", "wide").stdout.splitlines()[0].split()[-4:] == ["NODE", "DATACENTER", "CHECKS", "NODES"]


def test_members_in_every_form(run: Run, server: ServerProcess) -> None:
    member = server.ready["member"]
    shown = run("members")
    assert shown.exit_code == 0
    titles, line = shown.stdout.splitlines()
    assert titles.split() == ["MEMBER", "LEADER", "URL", "VERSION", "STARTED"]
    assert line.split()[:4] == [member, "yes", server.url, __version__]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.split()[4])
    assert run("members", "-o", "name").stdout.strip() == member
    document = json.loads(run("members", "-o", "json").stdout)
    assert (document["leader"], [one["name"] for one in document["members"]]) == (member, [member])
    assert json.loads(run("members", "-o", "jsonl").stdout) == document["members"][0]
    assert run("members", "-o", "wide").stdout.splitlines()[0].split()[-1] == "LEVEL"


LEADERLESS: dict[str, object] = {
    "status": {
        "member": "m1", "node": "n", "datacenter": "dc1", "version": "1", "ready": True, "leader": "", "revision": 5, "services": 0,
        "instances": 0, "checks": 0, "nodes": 0, "members": 3, "age_ms": 7_000,
        "store": {"reachable": False, "detail": "etcd does not answer", "version": "", "size_bytes": 0, "size_max_bytes": 0},
    },
    "members": {"members": [{"name": "m1", "url": "", "level": 1, "program": "1", "started_ms": 0, "leading": False}], "leader": ""},
}  # fmt: skip


@pytest.mark.parametrize("command", LEADERLESS)
def test_without_a_leader_the_exit_code_is_4_and_what_is_known_is_shown(command: str) -> None:
    with broken_server(answer("200 OK", json.dumps(LEADERLESS[command]).encode())) as server:
        shown = CliRunner().invoke(main, [command, "--url", server.url])
    assert shown.exit_code == 4
    assert shown.stdout.splitlines()[1].split()[0] == "m1"
    assert "knows of no leader" in shown.stderr
    assert command == "members" or "store: etcd does not answer" in shown.stderr


def test_a_server_of_an_earlier_version_has_a_status_too() -> None:
    earlier = {
        "member": "m1", "node": "n", "datacenter": "dc1", "version": "0", "ready": True, "leader": "m1", "revision": 5, "services": 0,
        "instances": 0, "checks": 0, "nodes": 0,
    }  # fmt: skip
    with broken_server(answer("200 OK", json.dumps(earlier).encode())) as server:
        shown = CliRunner().invoke(main, ["status", "--url", server.url])
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[1].split()[-3:] == ["1", "0", "-"]


@pytest.mark.parametrize("command", ["services", "instances", "resolve", "status", "members", "watch"])
def test_every_reading_command_has_the_same_options(run: Run, command: str) -> None:
    shown = run(command, "--help").stdout
    for option in ("--output", "--url", "--timeout"):
        assert option in shown
    assert ("--namespace" in shown) == (command not in {"status", "members"}), "only where it makes a difference"


def on_a_terminal(server: ServerProcess, space: str, **environment: str) -> str:
    """What `callboard instances web` writes to a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "callboard", "instances", "web", "--namespace", space, "--url", server.url]
    inherited = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "TERM"}}
    subprocess.run(command, stdout=theirs, check=True, timeout=60, env={**inherited, "TERM": "xterm", **environment})
    os.close(theirs)
    try:
        return os.read(ours, 65536).decode()
    finally:
        os.close(ours)


def test_colour_is_for_terminals_that_want_it(server: ServerProcess, client: Client, space: str, run: Run) -> None:
    client.put(Registration(service="web", namespace=space))
    assert "\x1b[32mpassing" in on_a_terminal(server, space)
    assert "\x1b" not in on_a_terminal(server, space, NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(server, space, TERM="dumb")
    assert "\x1b" not in run("instances", "web").stdout

"""The main job on real input: services sign in through unmodified Consul clients, are found at four doors, and vanish when killed."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.interop.environments import CLIENTS, need, python_of
from tests.servers import ServerProcess, durable_server, free_port
from tests.support import PATIENCE_S

pytestmark = pytest.mark.interop

INTERVAL_S = 1
TIMEOUT_S = 1
TTL_S = 2
SLACK_S = 1
SCRIPT = Path(__file__).parent / "clients" / "instance.py"


def fetch(server: ServerProcess, path: str) -> object:
    with urllib.request.urlopen(server.url + path, timeout=60) as response:
        return json.load(response)


def found_by_dig(server: ServerProcess) -> set[int]:
    host, port = server.dns
    words = [need("dig"), f"@{host}", "-p", str(port), "+short", "web.service.consul", "SRV"]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    return {int(line.split()[2]) for line in lines if line}


def found_by_consul(server: ServerProcess) -> set[int]:
    entries = fetch(server, "/v1/health/service/web?passing")
    assert isinstance(entries, list)
    return {entry["Service"]["Port"] for entry in entries}


def found_by_native(server: ServerProcess) -> set[int]:
    answer = fetch(server, "/api/v1/resolve/web?passing_only=true")
    assert isinstance(answer, dict)
    return {endpoint["port"] for endpoint in answer["endpoints"]}


def found_by_prometheus(server: ServerProcess) -> set[int]:
    groups = fetch(server, "/sd/prometheus?service=web&passing_only=true")
    assert isinstance(groups, list)
    return {int(target.rsplit(":", 1)[1]) for group in groups for target in group["targets"]}


DOORS: dict[str, Callable[[ServerProcess], set[int]]] = {
    "dig SRV": found_by_dig,
    "/v1/health/service": found_by_consul,
    "/api/v1/resolve": found_by_native,
    "/sd/prometheus": found_by_prometheus,
}


def until_all_say(server: ServerProcess, expected: set[int]) -> float:
    """Seconds until all four doors answer `expected`. The limit is written down beside them: in virtual time it is held to the millisecond,
    here others use the machine.
    """
    begin = time.monotonic()
    while True:
        answers = {door: ask(server) for door, ask in DOORS.items()}
        seconds = time.monotonic() - begin
        if all(answer == expected for answer in answers.values()):
            return seconds
        assert seconds < PATIENCE_S, f"after {seconds:.1f} s the doors say {answers}, not {expected}"
        time.sleep(0.02)


@contextmanager
def instance(client: str, kind: str, server: ServerProcess, port: int) -> Iterator[subprocess.Popen[str]]:
    seconds = TTL_S if kind == "ttl" else INTERVAL_S
    words = [python_of(client), str(SCRIPT), client, kind, str(server.http[1]), str(port), f"web-{kind}", str(seconds)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "registered\n"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", CLIENTS)
def test_signed_in_checked_found_gone_and_back(client: str, tmp_path: Path, figures: dict[str, object]) -> None:
    with durable_server(tmp_path / "data") as server, ExitStack() as stack:
        ports = {kind: free_port() for kind in ("http", "tcp", "ttl")}
        processes = {kind: stack.enter_context(instance(client, kind, server, port)) for kind, port in ports.items()}
        everyone = set(ports.values())
        until_all_say(server, everyone)
        for kind, port in ports.items():
            limit = TTL_S + SLACK_S if kind == "ttl" else INTERVAL_S + TIMEOUT_S + SLACK_S
            processes[kind].kill()
            gone = until_all_say(server, everyone - {port})
            stack.enter_context(instance(client, kind, server, port))
            back = until_all_say(server, everyone)
            figures[f"{client} {kind}"] = {"gone_s": round(gone, 2), "back_s": round(back, 2), "limit_s": limit}

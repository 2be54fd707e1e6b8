"""Two hosts register the same Name without ID and Address: two instances, each with its own address, found and removed on its own.

The hosts are network namespaces joined to ours by veth pairs, made by this test, below 10.98.0.0/16 and inside this machine.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.interop.environments import need
from tests.servers import running_server

pytestmark = pytest.mark.interop

CALL = """
import sys, urllib.request
method, url, body = sys.argv[1:4]
request = urllib.request.Request(url, data=body.encode() or None, method=method)
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


def ip(*words: str) -> None:
    subprocess.run([need("ip"), *words], check=True)


@contextmanager
def host(number: int) -> Iterator[tuple[str, str, str]]:
    """A namespace with an address; answers its name, its address, and ours as it sees us."""
    name, link = f"cb{os.getpid()}h{number}", f"cb{os.getpid() % 10_000}v{number}"
    ours, theirs = f"10.98.{number}.1", f"10.98.{number}.2"
    ip("netns", "add", name)
    try:
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", f"{ours}/24", "dev", link)
        ip("link", "set", link, "up")
        ip("-n", name, "addr", "add", f"{theirs}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield name, theirs, ours
    finally:
        ip("netns", "del", name)


def call_from(namespace: str, method: str, url: str, body: str = "") -> str:
    words = [need("ip"), "netns", "exec", namespace, sys.executable, "-c", CALL, method, url, body]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def addresses(url: str) -> dict[str, str]:
    """Node and effective address of each instance of web."""
    with urllib.request.urlopen(f"{url}/v1/health/service/web", timeout=60) as response:
        return {entry["Node"]["Node"]: entry["Service"]["Address"] or entry["Node"]["Address"] for entry in json.load(response)}


def test_equal_names_on_two_hosts_are_two_instances(tmp_path: Path) -> None:
    with ExitStack() as stack:
        hosts = [stack.enter_context(host(number)) for number in (1, 2)]
        listen = [word for _, _, ours in hosts for word in ("--http", f"{ours}:0")]
        server = stack.enter_context(running_server("--data", str(tmp_path / "data"), "--http", "127.0.0.1:0", *listen))
        local, *outer = server.ready["http"]
        for (name, _, _), url in zip(hosts, outer, strict=True):
            call_from(name, "PUT", f"{url}/v1/agent/service/register", '{"Name":"web","Port":80}')
        assert addresses(local) == {theirs.replace(".", "-"): theirs for _, theirs, _ in hosts}
        for (name, theirs, _), url in zip(hosts, outer, strict=True):
            services = json.loads(call_from(name, "GET", f"{url}/v1/agent/services"))
            assert list(services) == ["web"]
            call_from(name, "PUT", f"{url}/v1/agent/service/deregister/web")
            assert theirs not in addresses(local).values()
        assert addresses(local) == {}

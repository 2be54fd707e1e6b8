"""Who calls and by which name, on a whole server: proxies that are trusted, and names that are not this machine's."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.servers import ServerProcess, running_server

THROUGH = {"X-Forwarded-For": "203.0.113.1, 198.51.100.9"}


def call(server: ServerProcess, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    asked = urllib.request.Request(server.url + path, data, headers or {}, method=method)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return bytes(answer.read())


@pytest.mark.parametrize(("flags", "node"), [((), "callboard"), (("--trusted-proxy", "127.0.0.0/8"), "198-51-100-9")])
def test_an_instance_belongs_to_the_node_that_a_trusted_proxy_names(flags: tuple[str, ...], node: str) -> None:
    with running_server("--dev", *flags) as server:
        call(server, "PUT", "/v1/agent/service/register", {"Name": "web", "Port": 80}, THROUGH)
        (found,) = json.loads(call(server, "GET", "/v1/catalog/service/web"))
        assert found["Node"] == node
        assert found["Address"] == ("198.51.100.9" if flags else "127.0.0.1")


def test_what_is_no_network_ends_the_start() -> None:
    words = [sys.executable, "-m", "callboard", "serve", "--dev", "--http", "0", "--dns", "", "--trusted-proxy", "10.0.0.0/99"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "trusted_proxy: '10.0.0.0/99' must be an address or a network" in done.stderr


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("localhost:8500", True), ("registry.example.org", True), ("a.b.example.net:80", True), ("consul.service.consul:8500", True),
        ("our.name", True), ("evil.example", False),
    ],
)  # fmt: skip
def test_names_of_this_machine_are_served(named: ServerProcess, host: str, served: bool) -> None:
    for path in ("/v1/catalog/services", "/api/v1/services", "/metrics", "/"):
        if served:
            assert call(named, "GET", path, headers={"Host": host})
        else:
            with pytest.raises(urllib.error.HTTPError) as caught:
                call(named, "GET", path, headers={"Host": host})
            assert caught.value.code == 403
            assert b"allowed_hosts" in caught.value.read()
            caught.value.close()


@pytest.fixture(scope="module")
def named() -> Iterator[ServerProcess]:
    environment = {"CALLBOARD_TUNE_HTTP_ALLOWED_HOSTS": "registry.example.org,.example.net"}
    with running_server("--dev", "--advertise", "our.name", environment=environment) as server:
        yield server

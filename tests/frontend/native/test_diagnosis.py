"""A server dials itself and the caller for a diagnosis, and nobody else."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.certificates import Authority
from tests.frontend.native.conftest import Api
from tests.servers import ServerProcess, free_port, running_server


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server("--dev") as process:
        yield process


def ask(server: ServerProcess, query: str = "", **headers: str) -> dict[str, object]:
    connection = HTTPConnection(*server.http, timeout=60)
    try:
        connection.request("GET", f"/api/v1/diagnosis{query}", headers=headers)
        told: dict[str, object] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return told


def test_it_tells_where_it_listens_and_what_it_has_room_for(server: ServerProcess) -> None:
    told = ask(server)
    assert told["member"] == server.ready["member"]
    assert told["advertised"] == {"address": "{}:{}".format(*server.http), "reachable": True, "detail": ""}
    assert told["caller"] is None
    machine = told["machine"]
    assert isinstance(machine, dict)
    assert (machine["http"], machine["dns"], machine["store"]) == ([server.url], server.ready["dns"], "memory")
    assert (machine["store_durable"], machine["data"]) == (False, "")
    assert 0 < machine["files_open"] < machine["files_max"]
    assert machine["value_max_bytes"] > 0


def test_it_dials_the_caller_and_nobody_whom_the_caller_names(server: ServerProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        told = ask(server, f"?port={port}", **{"X-Forwarded-For": "192.0.2.9", "X-Callboard-Node": "192.0.2.9"})
        assert told["caller"] == {"address": f"127.0.0.1:{port}", "reachable": True, "detail": ""}
    closed = free_port()
    told = ask(server, f"?port={closed}")
    assert told["caller"] == {"address": f"127.0.0.1:{closed}", "reachable": False, "detail": "connection refused"}


@contextlib.contextmanager
def elsewhere(body: bytes) -> Iterator[int]:
    """Somebody else who answers with `body` at another address of this machine; the port."""
    with socket.create_server(("127.0.0.2", 0)) as listening:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    with taken:
                        if taken.recv(4096):
                            taken.sendall(body)

        thread = threading.Thread(target=answer)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (ok(b'{"member":"somebody"}'), "another server, somebody, answers there"),
        (ok(b"hello"), "something else answers there (status 200)"),
        (b"SSH-2.0-x\r\n", "something takes connections there, and does not answer as this server does"),
    ],
)
def test_who_takes_connections_at_the_advertised_address_may_be_somebody_else(body: bytes, detail: str) -> None:
    with elsewhere(body) as port, running_server("--dev", "--advertise", "127.0.0.2", "--http", f"127.0.0.1:{port}") as server:
        told = ask(server)["advertised"]
    assert isinstance(told, dict)
    assert (told["address"], told["reachable"]) == (f"127.0.0.2:{port}", False)
    assert told["detail"].startswith(detail)


@contextlib.contextmanager
def only_secured(*files: str) -> Iterator[str]:
    """The URL of a server that serves nothing without TLS."""
    words = [sys.executable, "-m", "callboard", "serve", "--dev", "--dns", "", "--https", "127.0.0.1:0", *files]
    popen = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "CALLBOARD_HTTP": ""})
    assert popen.stdout is not None
    server = ServerProcess(popen, json.loads(popen.stdout.readline()))
    try:
        yield str(server.ready["https"][0])
    finally:
        server.stop()


def test_itself_is_known_over_tls_also_when_only_callers_have_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server", "registry.example.org")
    trust = authority.client(authority.issue("me", "me"))
    trust.check_hostname = False
    files = ("--tls-cert", cert, "--tls-key", key)
    for words in (files, (*files, "--tls-client-ca", authority.ca)):
        with only_secured(*words) as url, urlopen(f"{url}/api/v1/diagnosis", timeout=60, context=trust) as answer:
            told = json.loads(answer.read())["advertised"]
        assert told == {"address": url.removeprefix("https://"), "reachable": True, "detail": ""}


@pytest.mark.parametrize("parameter", ["host=192.0.2.1", "address=192.0.2.1:80", "url=http://192.0.2.1/", "caller=192.0.2.1"])
def test_no_parameter_names_a_host(api: Api, parameter: str) -> None:
    assert api.problem("GET", f"/diagnosis?{parameter}")[:2] == (400, "invalid")


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", ""])
def test_a_port_that_is_none(api: Api, port: str) -> None:
    assert api.problem("GET", f"/diagnosis?port={port}") == (400, "invalid", "port")


def test_only_some_at_a_time() -> None:
    with running_server("--dev", "--advertise", "192.0.2.1", environment={"CALLBOARD_TUNE_NATIVE_DIAGNOSES_MAX_COUNT": "1"}) as server:

        async def several() -> list[int]:
            async def status() -> int:
                reader, writer = await asyncio.open_connection(*server.http)
                writer.write(b"GET /api/v1/diagnosis HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                line = await reader.readline()
                writer.close()
                return int(line.split()[1])

            return await asyncio.gather(*(status() for _ in range(4)))

        statuses = asyncio.run(several())
    assert set(statuses) <= {200, 429}
    assert 200 in statuses

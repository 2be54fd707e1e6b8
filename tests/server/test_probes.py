"""Every kind of probe through a real server process, and what becomes of the programs it runs when it ends or may run none."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc

from tests.certificates import Authority, Pair
from tests.servers import SOON_S, ServerProcess, running_server, start_server
from tests.support import PATIENCE_S, Stopwatch, poll_until

SCRIPTS = "--enable-script-checks"


def ask(server: ServerProcess, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """Status and body of an answer."""
    with closing(http.client.HTTPConnection(*server.http, timeout=60)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        return answer.status, answer.read()


def register(server: ServerProcess, service: str, **checks: dict[str, Any]) -> None:
    """Register a service; each check has its name as id."""
    body = {"Name": service, "ID": service, "Checks": [{"CheckID": name, "Interval": "1s", **check} for name, check in checks.items()]}
    status, said = ask(server, "PUT", "/v1/agent/service/register", body)
    assert status == 200, said


def checks(server: ServerProcess) -> dict[str, dict[str, Any]]:
    """The checks on this node."""
    return dict(json.loads(ask(server, "GET", "/v1/agent/checks")[1]))


def turned(server: ServerProcess, status: str, *names: str) -> dict[str, str]:
    """Outputs of these checks, once all have this status."""
    seen: dict[str, Any] = {}

    def so() -> bool:
        seen.clear()
        seen.update(checks(server))
        return all(seen[name]["Status"] == status and (seen[name]["Output"] or name == "script") for name in names)

    try:
        poll_until(so, PATIENCE_S, every_s=0.1)
    except AssertionError:
        raise AssertionError({name: (seen[name]["Status"], seen[name]["Output"]) for name in names}) from None
    return {name: str(seen[name]["Output"]) for name in names}


class _Fine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"fine")

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def https_server(pair: Pair) -> Iterator[int]:
    """A server over TLS; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Fine) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class _Serving(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    def service(self, _details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"\x08\x01")


@contextmanager
def grpc_server(pair: Pair | None) -> Iterator[int]:
    """A server with gRPC's health service; its port."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool, handlers=(_Serving(),))
        if pair is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            pem = Path(pair.key).read_bytes(), Path(pair.cert).read_bytes()
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pem]))
        server.start()
        try:
            yield port
        finally:
            server.stop(0).wait()


def test_every_kind_of_probe_finds_out_who_is_there_and_who_has_gone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("leaf")
    flag = tmp_path / "well"
    flag.touch()
    trusting = {"CALLBOARD_TUNE_REGISTRY_PROBE_CA_FILE": authority.ca}
    asked = ("https", "tcp-tls", "grpc", "grpc-tls", "h2ping", "h2ping-tls", "udp", "script")
    with running_server("--dev", SCRIPTS, environment=trusting) as server:
        with ExitStack() as stack:
            web, secure = stack.enter_context(https_server(pair)), stack.enter_context(grpc_server(pair))
            plain = stack.enter_context(grpc_server(None))
            silent = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            silent.bind(("127.0.0.1", 0))
            tls: dict[str, Any] = {"TLSServerName": "localhost"}
            register(
                server, "db",
                **{
                    "https": {"HTTP": f"https://localhost:{web}/"},
                    "tcp-tls": {"TCP": f"127.0.0.1:{web}", "TCPUseTLS": True, **tls},
                    "grpc": {"GRPC": f"127.0.0.1:{plain}/db"},
                    "grpc-tls": {"GRPC": f"127.0.0.1:{secure}", "GRPCUseTLS": True, **tls},
                    "h2ping": {"H2PING": f"127.0.0.1:{plain}", "H2PingUseTLS": False},
                    "h2ping-tls": {"H2PING": f"127.0.0.1:{secure}", "H2PingUseTLS": True, **tls},
                    "udp": {"UDP": f"127.0.0.1:{silent.getsockname()[1]}", "Timeout": "200ms"},
                    "script": {"Args": ["/bin/sh", "-c", f"test -e {flag} || exit 2"]},
                },
            )  # fmt: skip
            register(server, "front", alias={"AliasService": "db", "Interval": 0})
            said = turned(server, "passing", *asked, "alias")
            assert said["https"].endswith("200 OK Output: fine")
            assert said["alias"] == "All checks passing."
        flag.unlink()
        turned(server, "critical", *asked, "alias")


def running(process: int) -> bool:
    """Whether a process goes on."""
    try:
        return Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_server_that_stops_ends_in_time_and_takes_all_its_programs_with_it(tmp_path: Path) -> None:
    stubborn = f"trap '' TERM INT HUP; echo $$ > {tmp_path}/$0.new; mv {tmp_path}/$0.new {tmp_path}/$0.pid; sleep 300 & wait; sleep 300"
    server = start_server("--dev", SCRIPTS)
    try:
        register(server, "web", **{f"c{n}": {"Args": ["/bin/sh", "-c", stubborn, f"c{n}"], "Timeout": "300s"} for n in range(10)})
        found = poll_until(lambda: there if len(there := list(tmp_path.glob("*.pid"))) == 10 else None, PATIENCE_S)
        groups = [int(file.read_text("ascii")) for file in found]
        with Stopwatch() as watch:
            server.popen.send_signal(signal.SIGTERM)
            assert server.popen.wait(timeout=60) == 0
        assert watch.seconds < SOON_S
        poll_until(lambda: not any(running(process) for group in groups for process in _members(group)), PATIENCE_S)
    finally:
        server.stop()
        for file in tmp_path.glob("*.pid"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(int(file.read_text("ascii")), signal.SIGKILL)


def _members(group: int) -> list[int]:
    """Processes of a group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == group:
                found.append(int(folder.name))
    return found


def test_scripts_of_a_store_are_not_run_by_a_server_that_may_not(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    data = ("--data", str(tmp_path / "data"))
    with running_server(*data, SCRIPTS) as server:
        register(server, "web", script={"Args": ["/usr/bin/touch", str(ran)]})
        poll_until(ran.exists, PATIENCE_S)
        kept = ask(server, "GET", "/v1/snapshot")[1]
    ran.unlink()
    with running_server(*data) as server:
        assert "Scripts are disabled on member" in turned(server, "critical", "script")["script"]
        for path, body in (
            ("/v1/agent/check/register", {"Name": "s", "Args": ["touch", str(ran)], "Interval": "1s"}),
            ("/v1/agent/check/register", {"Name": "s", "ScriptArgs": ["touch", str(ran)], "Interval": "1s"}),
            ("/v1/agent/service/register", {"Name": "s", "Check": {"Args": ["touch", str(ran)], "Interval": "1s"}}),
            (
                "/v1/agent/service/register",
                {"Name": "s", "Connect": {"SidecarService": {"Checks": [{"Args": ["touch", str(ran)], "Interval": "1s"}]}}},
            ),
            ("/api/v1/instances", {"service": "s", "checks": [{"script": ["touch", str(ran)], "interval_ms": 1000}]}),
        ):
            status, said = ask(server, "PUT", path, body)
            assert status == 400, (path, status, said)
            assert b"script" in said.lower()
        definition = {"Args": ["touch", str(ran)], "ScriptArgs": ["touch", str(ran)], "IntervalDuration": "1s"}
        outside = {"Node": "other", "Address": "127.0.0.9", "Check": {"CheckID": "x", "Name": "x", "Definition": definition}}
        ask(server, "PUT", "/v1/catalog/register", outside)
        ask(server, "PUT", "/v1/txn", [{"Check": {"Verb": "set", "Check": {"Node": "other", "CheckID": "y", "Definition": definition}}}])
        time.sleep(2.5)
        assert not ran.exists()
    with running_server("--dev") as server, closing(http.client.HTTPConnection(*server.http, timeout=60)) as connection:
        connection.request("PUT", "/v1/snapshot", kept)
        assert connection.getresponse().status == 200
        poll_until(lambda: b"Scripts are disabled on member" in ask(server, "GET", "/v1/health/state/critical")[1], PATIENCE_S, every_s=0.1)
        assert not ran.exists()

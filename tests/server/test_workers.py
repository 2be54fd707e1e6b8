"""`callboard serve --workers N` as people run it: real processes on one port."""

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from callboard.model.errors import InvalidError
from callboard.server.settings import load
from callboard.server.stores import hold_for_workers
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from tests.certificates import Authority
from tests.servers import ServerProcess, durable_server, free_port, running_server, start_server
from tests.support import PATIENCE_S, poll_until

CONNECTIONS = 24


def ask(
    server: ServerProcess, method: str, path: str, body: object = None, on: http.client.HTTPConnection | None = None
) -> tuple[int, bytes]:
    """Over a connection of its own, or over one that is there. A process that died may have taken the connection with it."""
    connection = on or http.client.HTTPConnection(*server.http, timeout=PATIENCE_S)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        if on is None:
            connection.close()


def get(server: ServerProcess, path: str, on: http.client.HTTPConnection | None = None) -> Any:
    status, body = ask(server, "GET", path, on=on)
    assert status == 200, body
    return json.loads(body)


def register(server: ServerProcess, number: int, on: http.client.HTTPConnection | None = None) -> None:
    body = {"Name": "web", "ID": f"web-{number}", "Port": 8000 + number, "Check": {"TTL": "600s", "Status": "passing"}}
    status, said = ask(server, "PUT", "/v1/agent/service/register", body, on)
    assert status == 200, said


def metric(server: ServerProcess, name: str) -> dict[int, float]:
    """By worker."""
    return by_worker(ask(server, "GET", "/metrics")[1], name)


def by_worker(page: bytes, name: str) -> dict[int, float]:
    """The figures of that name."""
    head = f'{name}{{worker="'
    lines = [line.removeprefix(head).split('"} ') for line in page.decode().splitlines() if line.startswith(head)]
    return {int(number): float(value) for number, value in lines}


def held(server: ServerProcess, name: str) -> float:
    """That of the process that holds the engine; a worker that waits for it too long tells its own only."""
    found: list[float] = []

    def looked() -> bool:
        found.extend(value for number, value in metric(server, name).items() if number == 0)
        return bool(found)

    poll_until(looked, PATIENCE_S)
    return found[0]


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def state(pid: int) -> str:
    """As the kernel has it; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def gone(pid: int) -> bool:
    """Whether it runs no more; who collects it is not ours to know."""
    return state(pid) in {"", "Z"}


def settled(look: Callable[[], bool]) -> Callable[[], bool]:
    """A look whose connection may be that of a process that dies."""

    def looked() -> bool:
        try:
            return look()
        except (OSError, http.client.HTTPException):
            return False

    return looked


def test_two_processes_are_one_server(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    config, tls_port = tmp_path / "callboard.toml", free_port()
    config.write_text(f"[tune.dns]\ntls_port = {tls_port}\n", encoding="utf-8")
    flags = ("--workers", "2", "--config", str(config), "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
    with durable_server(tmp_path / "data", *flags) as server, contextlib.ExitStack() as closing:
        assert server.ready["pid"] == server.popen.pid
        connections = [http.client.HTTPConnection(*server.http, timeout=PATIENCE_S) for _ in range(CONNECTIONS)]
        for connection in connections:
            closing.callback(connection.close)
        for number, connection in enumerate(connections):
            register(server, number, connection)
            there = get(server, "/v1/health/service/web", connection)
            assert f"web-{number}" in {each["Service"]["ID"] for each in there}, "not read what was written over the same connection"
        for connection in connections:
            assert len(get(server, "/v1/health/service/web?consistent", connection)) == CONNECTIONS
        poll_until(lambda: len(metric(server, "callboard_http_connections_made_total")) == 2, PATIENCE_S)
        poll_until(lambda: all(metric(server, "callboard_http_connections_made_total").values()), PATIENCE_S)
        _one_server(server, connections)
        _heartbeats(server, connections)
        _watches(server, connections)
        _dns(server)
        _tls(server, authority, tls_port)
        (worker,) = children(server.popen.pid)
        os.kill(worker, signal.SIGKILL)
        _nothing_is_lost(server, worker)
        (worker,) = children(server.popen.pid)
        assert server.stop() == 0
        assert gone(worker)


def _one_server(server: ServerProcess, connections: list[http.client.HTTPConnection]) -> None:
    """Whoever asks which process."""
    for connection in connections[:12]:
        assert len(get(server, "/v1/agent/members", connection)) == 1
        assert len(get(server, "/v1/status/peers", connection)) == 1
        assert get(server, "/v1/status/leader", connection)
        assert len(get(server, "/v1/operator/raft/configuration", connection)["Servers"]) == 1
        assert [each["name"] for each in get(server, "/api/v1/members", connection)["members"]] == [server.ready["member"]]
        status = get(server, "/api/v1/status", connection)
        assert (status["member"], status["members"], status["leading"]) == (server.ready["member"], 1, True)
    status, _ = ask(server, "PUT", "/v1/operator/raft/transfer-leader", on=connections[0])
    assert status != 200, "the lead was handed to a worker"


def _heartbeats(server: ServerProcess, connections: list[http.client.HTTPConnection]) -> None:
    """Through whichever process, they reach the one that keeps the deadlines."""
    before = held(server, "callboard_registry_beats_total")
    for number, connection in enumerate(connections):
        assert ask(server, "PUT", f"/v1/agent/check/pass/service:web-{number}", on=connection)[0] == 200
    assert held(server, "callboard_registry_beats_total") >= before + CONNECTIONS


def _watches(server: ServerProcess, connections: list[http.client.HTTPConnection]) -> None:
    """A change wakes them at every process, and they all see the same index."""
    seen = set()
    waiting = []
    for connection in connections:
        connection.request("GET", "/v1/health/service/web?consistent")
        response = connection.getresponse()
        response.read()
        seen.add(response.headers["X-Consul-Index"])
    (index,) = seen
    for connection in connections:
        connection.request("GET", f"/v1/health/service/web?index={index}&wait=300s")
        waiting.append(connection)
    register(server, CONNECTIONS)
    woken = set()
    for connection in waiting:
        response = connection.getresponse()
        assert len(json.loads(response.read())) == CONNECTIONS + 1
        woken.add(response.headers["X-Consul-Index"])
    assert len(woken) == 1


def _dns(server: ServerProcess) -> None:
    """Each socket is another client, so both processes are asked."""
    question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x07service\x06consul\x00\x00\x01\x00\x01"
    for _ in range(16):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE_S)
            client.sendto(question, server.dns)
            answer = client.recv(4096)
            assert answer[:2] == question[:2]
            assert answer[3] & 15 == 0, "an error"
        with socket.create_connection(server.dns, timeout=PATIENCE_S) as stream:
            stream.sendall(len(question).to_bytes(2, "big") + question)
            assert stream.recv(4096)[2:4] == question[:2]


def _tls(server: ServerProcess, authority: Authority, tls_port: int) -> None:
    """Every process has the certificate, for HTTP and DNS, and every process takes a new one."""
    context = authority.client()
    ports = int(str(server.ready["https"][0]).rpartition(":")[2]), tls_port

    def shown() -> set[str]:
        """The certificates that several connections are shown."""
        found = set()
        for port in ports * 8:
            plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
            with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                found.add(str((secure.getpeercert() or {})["serialNumber"]))
        return found

    (before,) = shown()
    authority.issue("server")
    server.popen.send_signal(signal.SIGHUP)
    poll_until(lambda: before not in shown(), PATIENCE_S)


def _nothing_is_lost(server: ServerProcess, killed: int) -> None:
    """It is started again, serves the same, and nobody was removed."""

    def back() -> bool:
        return held(server, "callboard_workers_died_total") == 1 and held(server, "callboard_workers_serving_now") == 1

    poll_until(settled(back), PATIENCE_S)
    assert killed not in children(server.popen.pid)
    for _ in range(CONNECTIONS):
        there = get(server, "/v1/health/service/web?passing")
        assert len(there) == CONNECTIONS + 1
    poll_until(settled(lambda: all(metric(server, "callboard_http_connections_made_total").values())), PATIENCE_S)


def test_a_worker_that_hangs_is_replaced_and_nobody_outlives_the_first_process() -> None:
    impatient = {"CALLBOARD_TUNE_WORKERS_PING_INTERVAL_MS": "100", "CALLBOARD_TUNE_WORKERS_SILENT_MAX_MS": "5000"}
    server = start_server("--dev", "--workers", "2", environment=impatient)
    try:
        (hung,) = children(server.popen.pid)
        os.kill(hung, signal.SIGSTOP)
        poll_until(lambda: gone(hung), PATIENCE_S)
        poll_until(lambda: set(children(server.popen.pid)) - {hung}, PATIENCE_S)  # until then the one that hung may count as serving
        poll_until(settled(lambda: held(server, "callboard_workers_serving_now") == 1), PATIENCE_S)
        (worker,) = children(server.popen.pid)
        os.kill(worker, signal.SIGSTOP)
    finally:
        server.kill()
    poll_until(lambda: gone(worker), PATIENCE_S)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(server.http, timeout=60).close()


def test_a_worker_tells_its_own_figures_while_the_first_process_stands_still() -> None:
    with running_server("--dev", "--workers", "2") as server, contextlib.ExitStack() as closing:
        connections = [closing.enter_context(socket.create_connection(server.http, timeout=PATIENCE_S)) for _ in range(CONNECTIONS)]
        server.popen.send_signal(signal.SIGSTOP)
        closing.callback(server.popen.send_signal, signal.SIGCONT)
        poll_until(lambda: state(server.popen.pid) == "T", PATIENCE_S)
        for connection in connections:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answered, _, _ = select.select(connections, [], [], PATIENCE_S)
        with answered[0].makefile("rb") as answer:
            assert list(by_worker(answer.read(), "callboard_ready")) == [1]


def refused(*arguments: str) -> str:
    """What is said by a server that does not start."""
    words = [sys.executable, "-m", "callboard", "serve", *arguments]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode in {1, 2}
    assert not ended.stdout
    return ended.stderr


def test_a_port_of_another_server_is_not_joined() -> None:
    with running_server("--dev", "--workers", "2") as server:
        there, dns = server.url.removeprefix("http://"), str(server.ready["dns"])
        said = refused("--dev", "--workers", "2", "--http", there, "--dns", "")
        assert "in use" in said
        assert "Callboard" in said
        assert "in use" in refused("--dev", "--workers", "2", "--http", f"127.0.0.1:{free_port()}", "--dns", dns)


def test_a_number_of_workers_that_cannot_be_is_refused() -> None:
    for count in ("0", "65", "two"):
        with pytest.raises(InvalidError, match="workers"):
            load({"workers": count}, {})
    settings = load({"workers": "2", "store": "etcd://127.0.0.1:1/x"}, {})
    with pytest.raises(InvalidError, match="start several servers"):
        hold_for_workers(MemoryStore(MemoryEngine()), settings)


def starting(log: Path) -> tuple["subprocess.Popen[str]", int]:
    """A server in a process group of its own, as at a terminal, and the first of its workers, which does not serve yet."""
    words = [sys.executable, "-m", "callboard", "serve", "--dev", "--workers", "2", "--http", "127.0.0.1:0", "--dns", ""]
    with log.open("w") as errors:
        popen = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
    began = b"callboard.server.worker"  # before it has that name it is a copy of the first process, which waits for it
    poll_until(lambda: any(began in Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(popen.pid)), PATIENCE_S)
    return popen, children(popen.pid)[0]


@pytest.mark.parametrize("hangs", [True, False])
def test_a_server_that_is_told_to_end_before_its_workers_serve_ends(tmp_path: Path, *, hangs: bool) -> None:
    """By a signal to all of the group, as Ctrl-C sends it; also when a worker never comes to serve."""
    popen, worker = starting(tmp_path / "log")
    assert popen.stdout is not None
    with popen.stdout:
        try:
            if hangs:
                os.kill(worker, signal.SIGSTOP)
            os.killpg(popen.pid, signal.SIGINT)
            assert popen.wait(timeout=PATIENCE_S) == 0
            assert "Traceback" not in (tmp_path / "log").read_text("utf-8")
            poll_until(lambda: gone(worker), PATIENCE_S)
        finally:
            popen.kill()
            popen.wait()
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)  # one that stands still may not have heard of it


def test_a_terminal_that_goes_away_ends_no_worker(tmp_path: Path) -> None:
    popen, _ = starting(tmp_path / "log")
    assert popen.stdout is not None
    with popen.stdout:
        try:
            os.killpg(popen.pid, signal.SIGHUP)
            assert json.loads(popen.stdout.readline())["ready"], (tmp_path / "log").read_text("utf-8")
            popen.terminate()
            assert popen.wait(timeout=PATIENCE_S) == 0
        finally:
            popen.kill()
            popen.wait()


def test_settings_read_again_reach_the_workers_and_their_log_says_which(tmp_path: Path) -> None:
    config, log = tmp_path / "callboard.toml", tmp_path / "log"
    config.write_text('log_level = "info"\n', encoding="utf-8")
    words = [sys.executable, "-m", "callboard", "serve", "--dev", "--workers", "2", "--config", str(config)]
    with log.open("w") as errors:
        popen = subprocess.Popen(
            [*words, "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    assert popen.stdout is not None
    with popen.stdout:
        server = ServerProcess(popen, json.loads(popen.stdout.readline()))
        try:
            config.write_text('log_level = "debug"\n', encoding="utf-8")
            for _ in range(CONNECTIONS):
                assert ask(server, "PUT", "/v1/agent/reload")[0] == 200
            poll_until(lambda: "worker 1: callboard.server.reloading: reload: log_level is debug now" in log.read_text("utf-8"), PATIENCE_S)
            assert ask(server, "PUT", "/v1/agent/leave")[0] == 200
            assert popen.wait(timeout=PATIENCE_S) == 0
        finally:
            popen.kill()
            popen.wait()

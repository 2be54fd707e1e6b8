"""A server as a process: the ready line, the signals, the exit codes, and what it says when it cannot start."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.servers import SOON_S, ServerProcess, durable_server, running_server, start_server
from tests.support import Stopwatch, poll_until

LIMITED = ("sh", "-c", 'ulimit -n "$0"; exec "$@"')
SERVE = (sys.executable, "-m", "callboard", "serve", "--dev")


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "callboard", "serve", *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def get(server: ServerProcess, path: str) -> bytes:
    with urllib.request.urlopen(server.url + path, timeout=60) as response:
        return bytes(response.read())


def test_the_ready_line_names_what_listens() -> None:
    with running_server("--dev", "--dns", "", "--member", "m7") as server:
        assert server.ready == {"ready": True, "http": [server.url], "member": "m7", "pid": server.popen.pid}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_code_0_soon(number: signal.Signals) -> None:
    server = start_server("--dev")
    blocked = subprocess.Popen(
        [sys.executable, "-c", f"import urllib.request as r; r.urlopen('{server.url}/v1/health/service/web?index=1&wait=60s', timeout=60)"]
    )
    poll_until(lambda: b"callboard_http_parked_now 1.0" in get(server, "/metrics"))
    with Stopwatch() as watch:
        server.popen.send_signal(number)
        assert server.popen.wait(timeout=60) == 0
    assert watch.seconds < SOON_S
    assert blocked.wait(timeout=60) == 0, "the blocked query was not answered"
    server.stop()


def test_a_data_directory_in_use_is_refused_with_the_pid(tmp_path: Path) -> None:
    with durable_server(tmp_path) as server:
        second = serve("--data", str(tmp_path), "--http", "127.0.0.1:0", "--dns", "")
        assert second.returncode == 1
        assert f"in use by pid {server.popen.pid}" in second.stderr


def test_a_taken_port_is_refused_with_who_answers_there() -> None:
    with running_server("--dev") as server:
        second = serve("--dev", "--http", server.url.removeprefix("http://"), "--dns", "")
        assert second.returncode == 1
        assert "Callboard" in second.stderr
        assert "choose another --http" in second.stderr


@pytest.mark.parametrize("arguments", [["--acl"], ["--https", "127.0.0.1:0"], ["--store", "etcd://127.0.0.1/x"], ["--http", "nonsense"]])
def test_what_is_not_built_or_not_sense_is_a_usage_error(arguments: list[str]) -> None:
    ended = serve(*arguments)
    assert ended.returncode == 2
    assert arguments[0].removeprefix("--") in ended.stderr


def test_a_taken_dns_port_is_refused_with_the_flag_that_names_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        second = serve("--dev", "--http", "127.0.0.1:0", "--dns", place)
    assert second.returncode == 1
    assert f"cannot listen at {place} (DNS): address already in use" in second.stderr
    assert "choose another --dns" in second.stderr
    assert "Errno" not in second.stderr


def test_few_open_files_are_told_after_the_ready_line_only_and_with_the_limit(tmp_path: Path) -> None:
    for limit, told in ((1_000, True), (10_000, False)):
        log = tmp_path / f"{limit}.log"
        with log.open("w") as written:
            words = [*LIMITED, str(limit), *SERVE, "--dns", "", "--http", "127.0.0.1:0"]
            server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=written)
            assert server.stdout is not None
            with server.stdout:
                assert b'"ready":true' in server.stdout.readline()
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) == 0
        assert (f"{limit} files" in log.read_text()) is told, log.read_text()
    words = [*LIMITED, "1000", *SERVE, "--dns", "", "--http", "192.0.2.1:1"]
    failed = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert failed.returncode == 1
    assert "files" not in failed.stderr


def test_root_and_metrics() -> None:
    with running_server("--dev") as server:
        assert b"/v1" in get(server, "/")
        assert get(server, "//v1/catalog/datacenters?a=b") == get(server, "/v1/catalog/datacenters")
        assert b"callboard_ready 1.0" in get(server, "/metrics")
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(server, "/nowhere")
        assert caught.value.code == 404
        assert caught.value.read() == b"nothing is served at /nowhere; / lists what is\n"
        caught.value.close()


def test_every_metric_says_what_it_is() -> None:
    with running_server("--dev") as server:
        said = dict(line.split(" ", 3)[2:] for line in get(server, "/metrics").decode().splitlines() if line.startswith("# HELP"))
    assert said["callboard_http_parked_now"] == "Blocked queries that wait."
    assert not [name for name, text in said.items() if not text[0].isupper() and not text[0].isdigit()]
    assert not [name for name, text in said.items() if not text.endswith(".")]

"""TLS by the flags: what contradicts is refused, the ready line says where, and a new certificate comes without a restart."""

import contextlib
import json
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from callboard.model.errors import InvalidError
from callboard.server.certificates import server_tls
from callboard.server.run import Told
from callboard.server.settings import load
from tests.certificates import Authority
from tests.servers import ServerProcess, running_server
from tests.support import poll_until


@pytest.mark.parametrize(
    ("flags", "dns_tls_port", "problem"),
    [
        ({"https": ["127.0.0.1:0"]}, 0, "https: .*--tls-cert"),
        ({}, 853, "tune.dns.tls_port: .*--tls-cert"),
        ({"https": ["127.0.0.1:0"], "tls_cert": "c"}, 0, "tls_key: "),
        ({"https": ["127.0.0.1:0"], "tls_key": "k"}, 0, "tls_cert: "),
        ({"tls_cert": "c", "tls_key": "k"}, 0, "tls_cert: nothing listens"),
        ({"tls_client_ca": "c"}, 0, "tls_client_ca: "),
        ({"https": ["127.0.0.1:0"], "tls_cert": "/nowhere/c", "tls_key": "k"}, 0, "tls_cert: /nowhere/c cannot be read"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(flags: dict[str, object], dns_tls_port: int, problem: str) -> None:
    with pytest.raises(InvalidError, match=problem):
        server_tls(load(flags, {}).server, dns_tls_port)


def test_without_flags_there_is_no_tls() -> None:
    assert server_tls(load({}, {}).server, 0) is None


@contextlib.contextmanager
def served(log: Path, *flags: str) -> Iterator[ServerProcess]:
    """A server with exactly these flags, whose log can be read."""
    words = [sys.executable, "-m", "callboard", "serve", "--dev", *flags]
    with log.open("w") as errors, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True) as popen:
        assert popen.stdout is not None
        try:
            yield ServerProcess(popen, json.loads(popen.stdout.readline()))
        finally:
            popen.terminate()
            assert popen.wait(60) == 0


def fetch(url: str, context: ssl.SSLContext, host: str = "") -> bytes:
    asked = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(asked, timeout=60, context=context) as answer:
        return bytes(answer.read())


def https(server: ServerProcess) -> str:
    return str(server.ready["https"][0])


def shown(server: ServerProcess, context: ssl.SSLContext) -> str:
    host, _, port = https(server).removeprefix("https://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
        certificate = secure.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])


def test_every_protocol_is_served_over_tls_and_nothing_else_is_needed(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    file = tmp_path / "callboard.toml"
    file.write_text("http = []\n")
    flags = ("--dns", "", "--config", str(file), "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key)
    with served(tmp_path / "log", *flags) as server:
        assert server.ready["http"] == []
        context = authority.client()
        for path in ("/v1/catalog/services", "/api/v1/services", "/metrics", "/health", "/"):
            assert fetch(https(server) + path, context)
        metrics = fetch(https(server) + "/metrics", context).decode()
        assert "callboard_tls_certificate_expires_timestamp_seconds 1." in metrics
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(https(server) + "/v1/catalog/services", context, host="evil.example")
        assert caught.value.code == 403
        caught.value.close()


@pytest.mark.parametrize("told", [True, False])
def test_a_new_certificate_is_taken_by_itself_and_at_sighup(told: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    with running_server("--dev", "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key) as server:
        context = authority.client()
        before = shown(server, context)
        authority.issue("server")
        if told:
            server.popen.send_signal(signal.SIGHUP)
        poll_until(lambda: shown(server, context) != before)
        authority.issue("server", ends=timedelta(days=-1))
        server.popen.send_signal(signal.SIGHUP)
        poll_until(lambda: b"callboard_tls_reloads_failed_total 1.0" in fetch(https(server) + "/metrics", context))


def test_files_that_cannot_be_used_end_the_start_with_their_name(tmp_path: Path) -> None:
    cert, _ = Authority(tmp_path).issue("server")
    _, key = Authority(tmp_path, "other").issue("other")
    words = [
        sys.executable,
        "-m",
        "callboard",
        "serve",
        "--dev",
        "--http",
        "0",
        "--dns",
        "",
        "--https",
        "0",
        "--tls-cert",
        cert,
        "--tls-key",
        key,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"tls_key: the key in {key} does not belong to the certificate in {cert}" in done.stderr


def test_sighup_changes_the_log_and_names_what_waits_for_the_next_start(tmp_path: Path) -> None:
    file, log = tmp_path / "callboard.toml", tmp_path / "log"
    file.write_text('log_level = "warning"\n')
    with served(log, "--http", "127.0.0.1:0", "--dns", "", "--config", str(file)) as server:
        file.write_text('log_level = "info"\nlog_format = "json"\ndatacenter = "dc2"\n[tune.http]\nparked_max_count = 7\n')
        server.popen.send_signal(signal.SIGHUP)
        poll_until(lambda: "parked_max_count" in log.read_text())
        lines = [json.loads(line)["message"] for line in log.read_text().splitlines() if line.startswith("{")]
        assert [line for line in lines if line.startswith("reload: ")] == [  # a machine that stood still is told of, too
            "reload: datacenter was changed; that holds from the next start",
            "reload: log_level is info now",
            "reload: log_format is json now",
            "reload: tune.http.parked_max_count was changed; that holds from the next start",
        ]
        file.write_text("nonsense")
        server.popen.send_signal(signal.SIGHUP)
        poll_until(lambda: f"all stays as it was: {file}: " in log.read_text())


def test_sighup_before_the_server_is_ready_neither_ends_it_nor_is_forgotten(tmp_path: Path) -> None:
    file, log = tmp_path / "callboard.toml", tmp_path / "log"
    file.write_text('log_level = "info"\n')
    words = [sys.executable, "-m", "callboard", "serve", "--dev", "--http", "127.0.0.1:0", "--dns", "", "--config", str(file)]
    with log.open("w") as errors, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True) as popen:
        assert popen.stdout is not None
        poll_until(lambda: hears_hangups(popen.pid))
        while not select.select([popen.stdout], [], [], 0.005)[0]:
            popen.send_signal(signal.SIGHUP)
        assert popen.stdout.readline().startswith('{"ready":true'), log.read_text()
        poll_until(lambda: "reload: nothing has changed" in log.read_text())
        popen.terminate()
        assert popen.wait(60) == 0


def hears_hangups(pid: int) -> bool:
    """Whether the process handles SIGHUP, or ignores it, by now."""
    masks = re.findall(r"^Sig(?:Ign|Cgt):\s+([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return any(int(mask, 16) & 1 << signal.SIGHUP - 1 for mask in masks)


def test_a_hangup_that_came_early_is_obeyed_once() -> None:
    told, times = Told(), []
    told.to_reload()
    told.to_reload()
    told.serves(lambda: times.append(1))
    assert times == [1]
    told.to_reload()
    assert times == [1, 1]

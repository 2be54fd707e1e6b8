"""`callboard doctor` before prepared breakages, each of real processes: it must name the cause, and say what mends it."""

import contextlib
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from callboard.cli.doctor import command, naming, reaching, trusting
from callboard.cli.doctor.findings import Finding, Report
from callboard.cli.main import main
from callboard.client import CheckRequest, Client, ClientSettings, Registration
from callboard.testing.etcd import Etcd
from tests.certificates import Authority
from tests.interop.environments import need
from tests.servers import ServerProcess, free_port, running_server
from tests.support import PATIENCE_S, poll_until

QUIET = dict.fromkeys(
    ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "CALLBOARD_URL")
)
"""What the machine that runs the tests may have said."""


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """That of the machine is not asked: who knows what it says, and after how long. That it stood still for seconds is no finding."""
    monkeypatch.setattr(command, "RESOLVER", tmp_path / "no-resolv.conf")
    monkeypatch.setattr(reaching, "CLOCK_WARN_S", 15.0)
    monkeypatch.setattr(trusting, "_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(naming, "_TCP_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(naming, "_UDP_TIMEOUT_S", 2.0)
    monkeypatch.setattr(naming, "_UDP_TRIES_COUNT", 30)


def doctor(url: str, *words: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--url", url, *words], env={**QUIET, **environment})


def examine(url: str, *words: str, **environment: str) -> tuple[int, Report]:
    done = doctor(url, "-o", "json", *words, **environment)
    return done.exit_code, msgspec.json.decode(done.stdout, type=Report)


def worst(found: Report) -> Finding:
    """The first: what would be mended first."""
    assert found.findings[0].verdict == found.verdict != "passing", found
    return found.findings[0]


def about(found: Report, subject: str) -> list[Finding]:
    return [finding for finding in found.findings if finding.about == subject and finding.verdict != "passing"]


Change = Callable[[bytes], bytes]


@contextlib.contextmanager
def front(server: ServerProcess, *, late: timedelta = timedelta(0), change: Change = bytes) -> Iterator[str]:
    """A small HTTP program before a server: its clock is off by `late`, and it changes bodies. Its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behind = HTTPConnection(*server.http, timeout=60)
            behind.request("GET", self.path)
            answer = behind.getresponse()
            body = change(answer.read())
            behind.close()
            self.send_response_only(answer.status)
            self.send_header("Date", format_datetime(datetime.now(UTC) + late, usegmt=True))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """The tests' output is theirs."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def serving(program: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=program.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield program.server_port
    finally:
        program.shutdown()
        thread.join()
        program.server_close()


def test_all_is_well_with_a_server_as_it_is_started(server: ServerProcess, tmp_path: Path) -> None:
    code, found = examine(server.url)
    assert (code, found.verdict) == (0, "passing"), found
    shown = doctor(server.url)
    assert shown.stderr == ""
    assert shown.stdout.splitlines()[0] == "all is well"
    assert shown.stdout.splitlines()[1].split() == ["VERDICT", "ABOUT", "FOUND"]
    assert "values up to" in shown.stdout, "caps of the store are shown"
    with running_server("--data", str(tmp_path)) as durable:
        _, found = examine(durable.url)
    assert [finding for finding in found.findings if finding.verdict != "passing" and finding.about != "disk"] == [], (
        "how full the disk of the tests is, is not ours to say"
    )
    assert {finding.about for finding in found.findings} == {
        "http", "clock", "store", "leader", "version", "advertised", "limits", "disk", "files", "dns", "resolver", "services",
        "environment",
    }  # fmt: skip


def test_the_server_is_down() -> None:
    port = free_port()
    code, found = examine(f"http://127.0.0.1:{port}")
    assert code == 5
    assert worst(found).what == f"nobody listens at 127.0.0.1:{port}"
    assert f"callboard serve --http 127.0.0.1:{port}" in worst(found).mend


def test_the_name_leads_nowhere() -> None:
    code, found = examine("http://no-such-host.invalid:8500")
    assert code == 5
    assert "no-such-host.invalid" in worst(found).what
    assert "resolver" in worst(found).cause


def test_another_port_is_meant(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "DEFAULT_PORT", server.http[1])
    code, found = examine(f"http://127.0.0.1:{free_port()}")
    assert code == 5
    assert worst(found).cause == f"a Callboard server answers at {server.url}, another port"
    assert worst(found).mend == f"export CALLBOARD_URL={server.url}"


def test_another_program_has_the_port(tmp_path: Path) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """The tests' output is theirs."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), lambda *said: Quiet(*said, directory=str(tmp_path)))) as port:
        code, found = examine(f"http://127.0.0.1:{port}")
    assert code == 4
    assert "SimpleHTTP" in worst(found).what
    assert "another program has the port" in worst(found).cause
    assert f"sport = :{port}" in worst(found).mend


def test_a_program_that_speaks_no_http_has_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    with taken:
                        taken.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        code, found = examine(f"http://127.0.0.1:{listening.getsockname()[1]}")
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert code == 4
    assert "does not answer as HTTP" in worst(found).what
    assert "another program" in worst(found).cause


# -- TLS


@contextlib.contextmanager
def secured(folder: Path, *hosts: str, ends: timedelta = timedelta(days=90), clients: bool = False) -> Iterator[tuple[str, str]]:
    """The https URL of a server, and the file of its CA."""
    authority = Authority(folder)
    pair = authority.issue("server", *hosts, ends=ends)
    words = ("--dev", "--https", "127.0.0.1:0", "--tls-cert", pair.cert, "--tls-key", pair.key)
    with running_server(*words, *(("--tls-client-ca", authority.ca) if clients else ())) as server:
        yield server.ready["https"][0], authority.ca


def test_tls_is_well_and_tells_until_when(tmp_path: Path) -> None:
    with secured(tmp_path) as (url, ca):
        code, found = examine(url, CALLBOARD_CA_FILE=ca)
        assert code == 0, found
        assert any(finding.about == "tls" and "89 days" in finding.what for finding in found.findings), found


def test_http_is_said_where_tls_is_spoken_and_the_other_way_round(tmp_path: Path, server: ServerProcess) -> None:
    with secured(tmp_path) as (url, _):
        clear = url.replace("https", "http")
        code, found = examine(clear)
        assert (code, worst(found).about) == (4, "tls")
        assert "speaks TLS, and was asked without" in worst(found).what
        assert worst(found).mend == f"export CALLBOARD_URL={url}"
    code, found = examine(server.url.replace("http", "https"))
    assert (code, worst(found).about) == (4, "tls")
    assert "speaks no TLS" in worst(found).what
    assert server.url in worst(found).mend


def test_the_certificate_has_expired(tmp_path: Path) -> None:
    with secured(tmp_path, ends=timedelta(days=-3)) as (url, ca):
        code, found = examine(url, CALLBOARD_CA_FILE=ca)
    assert code == 4
    assert re.match(r"the server's certificate has expired on \d{4}-\d\d-\d\d \d\d:\d\d \(UTC\)", worst(found).what)
    assert "--tls-cert" in worst(found).mend


def test_the_certificate_ends_soon(tmp_path: Path) -> None:
    with secured(tmp_path, ends=timedelta(days=5)) as (url, ca):
        code, found = examine(url, CALLBOARD_CA_FILE=ca)
    assert code == 0, "it works"
    assert worst(found).what.startswith("the server's certificate holds only until")


def test_the_ca_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other").ca
    with secured(tmp_path) as (url, ca):
        code, found = examine(url, CALLBOARD_CA_FILE=other)
        assert code == 4
        assert "CA of the server's certificate is not trusted" in worst(found).what
        assert other in worst(found).cause
        _, found = examine(url)
        assert "system's CAs" in worst(found).cause
        assert "CALLBOARD_CA_FILE" in worst(found).mend
        code, found = examine(url, CALLBOARD_CA_FILE=ca + ".gone")
        assert code == 5
        assert "cannot be read" in worst(found).what


def test_the_certificate_is_for_another_host(tmp_path: Path) -> None:
    with secured(tmp_path, "callboard.example") as (url, ca):
        code, found = examine(url, CALLBOARD_CA_FILE=ca)
    assert code == 4
    assert worst(found).what == "the server's certificate is not for 127.0.0.1"
    assert worst(found).cause == "it is for callboard.example"


def test_the_server_wants_a_certificate_of_ours(tmp_path: Path) -> None:
    with secured(tmp_path, clients=True) as (url, ca):
        code, found = examine(url, CALLBOARD_CA_FILE=ca)
    assert (code, worst(found).about) == (4, "tls")
    assert "CALLBOARD_CERT_FILE" in worst(found).mend


# -- what stands between


@pytest.mark.parametrize(("late", "verdict"), [(timedelta(hours=1), "critical"), (timedelta(seconds=-20), "warning")])
def test_the_clock_is_wrong(server: ServerProcess, late: timedelta, verdict: str) -> None:
    with front(server, late=late) as url:
        code, found = examine(url)
    (clock,) = about(found, "clock")
    assert (clock.verdict, code) == (verdict, 4 if verdict == "critical" else 0)
    assert ("ahead of" if late > timedelta(0) else "behind") in clock.what
    assert "timedatectl" in clock.mend


def test_the_versions_differ(server: ServerProcess) -> None:
    def newer(body: bytes) -> bytes:
        return re.sub(rb'"version":"0[^"]*"', b'"version":"99.1.0"', body)

    with front(server, change=newer) as url:
        _, found = examine(url)
    (version,) = about(found, "version")
    assert "the server 99.1.0" in version.what
    assert version.cause == "this program was not upgraded"
    assert version.mend == "pip install callboard==99.1.0"


def test_dns_is_not_served() -> None:
    with running_server("--dev", "--dns", "") as server:
        code, found = examine(server.url)
    assert code == 0
    assert worst(found).what == "the server serves no DNS"
    assert "--dns" in worst(found).mend


def test_the_machines_resolver_is_asked_too(server: ServerProcess) -> None:
    told = str(server.ready["dns"])

    def of_resolver(*resolvers: naming.Place) -> Finding:
        (found,) = (one for one in naming.look(told, "consul", "127.0.0.1", resolvers, server.url) if one.about == "resolver")
        return found

    knows = of_resolver(naming.Place("127.0.0.1", free_port()), naming.Place(*server.dns))
    assert knows.what == "this machine's resolver (127.0.0.1) knows consul.service.consul"
    forwards_nothing = of_resolver(naming.Place("127.0.0.1", free_port()))
    assert forwards_nothing.verdict == "passing", "many do without"
    assert told in forwards_nothing.mend


def test_dns_of_loopback_is_not_for_others(server: ServerProcess) -> None:
    (found,) = naming.look("127.0.0.1:8600", "consul", "10.0.0.7", (), server.url)
    assert found.verdict == "warning"
    assert "--dns 0.0.0.0:8600" in found.mend


def test_another_program_answers_dns(server: ServerProcess) -> None:
    found = naming.look(str(server.ready["dns"]), "example", "127.0.0.1", (), server.url)
    assert [(one.about, one.verdict) for one in found] == [("dns", "critical"), ("dns", "critical")]
    assert "REFUSED, asked for example." in found[0].what


def test_dns_is_not_let_through(server: ServerProcess) -> None:
    """The server says that it listens at a port where nobody hears."""
    port = free_port()

    def elsewhere(body: bytes) -> bytes:
        return body.replace(str(server.ready["dns"]).encode(), f"127.0.0.1:{port}".encode())

    with front(server, change=elsewhere) as url:
        code, found = examine(url)
    assert code == 4
    assert {finding.what.partition(" at ")[0] for finding in about(found, "dns")} == {
        "DNS does not answer over UDP", "DNS does not answer over TCP",
    }  # fmt: skip


def test_the_advertised_address_leads_nowhere() -> None:
    with running_server("--dev", "--advertise", "192.0.2.1") as server:
        code, found = examine(server.url)
    assert code == 4
    assert worst(found).about == "advertised"
    assert "192.0.2.1" in worst(found).what
    assert "--advertise" in worst(found).mend


def test_the_server_reaches_a_port_here_or_not(server: ServerProcess) -> None:
    port = free_port()
    code, found = examine(server.url, "--port", str(port))
    assert (code, worst(found).about) == (4, "caller")
    assert f"127.0.0.1:{port}" in worst(found).what
    with socket.create_server(("127.0.0.1", port)):
        code, found = examine(server.url, "--port", str(port))
    assert code == 0, found


@pytest.mark.interop  # it takes the time of a lease
def test_the_store_is_gone(tmp_path: Path) -> None:
    data = str(tmp_path / "m1")
    with Etcd.running(tmp_path / "etcd") as etcd, running_server("--store", etcd.url(), "--member", "m1", "--data", data) as server:
        assert examine(server.url)[0] == 0
        for node in etcd.nodes:
            node.kill()

        def cut_off() -> tuple[int, Report] | None:
            code, found = examine(server.url)
            return (code, found) if about(found, "store") and about(found, "leader") else None

        code, found = poll_until(cut_off, 60, every_s=0.3)
    assert code == 4
    assert worst(found).what == "the server cannot reach its store"
    assert worst(found).cause
    assert "no server leads" in about(found, "leader")[0].what


def test_too_few_files_may_be_open() -> None:
    with running_server("--dev") as server:
        resource.prlimit(server.popen.pid, resource.RLIMIT_NOFILE, (400, 400))
        code, found = examine(server.url)
    assert code == 4
    assert worst(found).about == "files"
    assert "of 400 files" in worst(found).what
    assert "ulimit -n" in worst(found).mend


@pytest.mark.interop  # unshare, and the right to mount in a name space of its own
def test_the_disk_is_nearly_full(tmp_path: Path) -> None:
    unshare = need("unshare")
    program = f"{sys.executable} -m callboard serve --data {tmp_path} --http 127.0.0.1:0 --dns ''"
    mount = f"mount -t tmpfs -o size=24m tmpfs {tmp_path} && exec {program}"
    words = [unshare, "--user", "--map-root-user", "--mount", "sh", "-c", mount]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            code, found = examine(json.loads(server.stdout.readline())["http"][0])
        finally:
            server.terminate()
    assert code == 4
    assert worst(found).about == "disk"
    assert "of 24 MiB are free on the disk of" in worst(found).what
    assert str(tmp_path) in worst(found).mend


def test_nobody_can_be_called(server: ServerProcess, client: Client, space: str) -> None:
    check = CheckRequest(ttl_ms=600_000, status="critical", output="the disk is on fire\nlook")
    client.put(Registration(service="web", id="web-1", namespace=space, address="10.0.0.1", port=80, checks=(check,)))
    client.put(Registration(service="api", namespace=space, address="10.0.0.2", port=80))
    client.drain("api", namespace=space)
    code, found = examine(server.url, "--namespace", space)
    assert code == 0, "the server is well"
    (services,) = about(found, "services")
    assert services.what == "nobody can be called as api, web"
    assert client.settings.urls == (server.url,)


def test_a_critical_instance_is_told_with_its_reason(server: ServerProcess, client: Client, space: str) -> None:
    check = CheckRequest(ttl_ms=600_000, status="critical", output="the disk is on fire\nlook")
    client.put(Registration(service="web", id="web-1", namespace=space, address="10.0.0.1", port=80, checks=(check,)))
    client.put(Registration(service="web", id="web-2", namespace=space, address="10.0.0.1", port=81))
    client.put(Registration(service="web", id="web-3", namespace=space, address="10.0.0.1", port=82))
    client.drain("web-3", namespace=space)
    _, found = examine(server.url, "--namespace", space)
    critical, draining = about(found, "services")
    assert critical.what == "1 instance of web is critical"
    assert critical.cause == "service:web-1 of web-1: the disk is on fire"
    assert "callboard instances web" in critical.mend
    assert draining.what == "1 instance of web is draining"


def test_variables_contradict_each_other(server: ServerProcess) -> None:
    words = ["doctor", "-o", "json"]
    said = {**QUIET, "CALLBOARD_URL": server.url, "CONSUL_HTTP_ADDR": "10.9.8.7:8500", "HTTP_PROXY": "http://me:secret@proxy.example:3128"}
    done = CliRunner().invoke(main, words, env=said)
    found = msgspec.json.decode(done.stdout, type=Report)
    assert done.exit_code == 0
    contradiction, proxy = about(found, "environment")
    assert "CONSUL_HTTP_ADDR is 10.9.8.7:8500" in contradiction.what
    assert "proxy.example:3128" in proxy.what
    assert "secret" not in done.stdout
    assert proxy.mend.startswith("export NO_PROXY=127.0.0.1")


def test_a_settings_file_is_judged_as_serve_would(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "callboard.toml"
    file.write_text('log_level = "loud"\n')
    code, found = examine(server.url, "--config", str(file))
    assert (code, worst(found).about) == (4, "settings")
    assert "loud" in worst(found).cause
    file.write_text('log_level = "warning"\n')
    assert examine(server.url, "--config", str(file))[0] == 0


def test_what_is_wrong_comes_first_and_with_its_remedy(server: ServerProcess) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    shown = doctor(f"{server.url},{gone}")
    assert shown.exit_code == 4
    lines = shown.stdout.splitlines()
    assert shown.stderr == "", "a report that is saved is whole"
    assert lines[0] == "1 critical, 0 worth a look; the weightiest first"
    assert lines[1].startswith(f"1. http ({gone}): nobody listens")
    assert lines[2].startswith("   because ")
    assert lines[3].startswith("   mend it: callboard serve")
    assert lines[4].split() == ["VERDICT", "ABOUT", "FOUND"]
    assert lines[5].startswith("critical  http")
    wide = doctor(gone, "-o", "wide")
    assert wide.exit_code == 5
    assert ["VERDICT", "ABOUT", "SERVER", "FOUND", "CAUSE", "MEND"] in [line.split() for line in wide.stdout.splitlines()]
    assert doctor(gone, "-o", "name").stdout.splitlines()[0] == "http"
    assert json.loads(doctor(gone, "-o", "jsonl").stdout.splitlines()[0])["verdict"] == "critical"


def test_a_token_is_sent_to_callboard_only() -> None:
    seen: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """The tests' output is theirs."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Listening)) as port:
        examine(f"http://127.0.0.1:{port}", CALLBOARD_TOKEN="secret")
    assert seen
    assert set(seen) == {""}
    assert ClientSettings(token="secret").token == "secret"
    assert os.environ.get("CALLBOARD_TOKEN") is None

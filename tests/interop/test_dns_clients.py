"""DNS as others speak it: dig and kdig ask, unbound and dnsmasq forward and are forwarded to, HAProxy follows a service, dnsperf counts."""

import http.server
import json
import re
import socket
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.interop.environments import need
from tests.servers import ServerProcess, free_port, running_server
from tests.support import poll_until

pytestmark = pytest.mark.interop

MAINTENANCE = 0x23
"""Bits of HAProxy's admin state: by a person, by another server, by its resolver."""
WEB = "web.service.consul"


def put(server: ServerProcess, path: str, body: object = None) -> None:
    data = json.dumps(body).encode() if body is not None else b""
    with urllib.request.urlopen(urllib.request.Request(server.url + path, data, method="PUT"), timeout=60) as response:
        assert response.status == 200


def register(server: ServerProcess, number: int, *, address: str = "", port: int = 80, weight: int = 1, name: str = "web") -> None:
    body = {"Name": name, "ID": f"{name}-{number}", "Port": port, "Weights": {"Passing": weight, "Warning": 1}, "Tags": ["v1"]}
    put(server, "/v1/agent/service/register", {**body, **({"Address": address} if address else {})})


def run(words: Sequence[str]) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


@contextmanager
def running(words: Sequence[str], port: int, name: str = "localhost") -> Iterator[None]:
    """A name server in the foreground, ended by its process id; entered once it answers on its port."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def answers() -> bool:
            assert process.poll() is None, f"{words[0]} ended with {process.returncode}"
            return "status:" in asked("127.0.0.1", port, name, "A", "+time=1", "+tries=1", check=False)

        poll_until(answers)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def asked(host: str, port: int, *words: str, check: bool = True) -> str:
    """What dig prints. It exits with 9 when nobody answers."""
    line = [need("dig"), f"@{host}", "-p", str(port), *words]
    return subprocess.run(line, capture_output=True, text=True, check=check, timeout=60).stdout


def dig(server: ServerProcess, *words: str) -> str:
    return asked(*server.dns, *words)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with running_server("--dev") as server:
        node = {"Node": "n1", "Address": "10.0.0.1", "NodeMeta": {"rack": "7"}}
        put(server, "/v1/catalog/register", {**node, "Service": {"Service": "six", "ID": "six", "Address": "2001:db8::5", "Port": 6}})
        for number in range(3):
            register(server, number, address=f"10.1.0.{number}", port=8000 + number)
        register(server, 0, name="db", address="db.example.com", port=5432)
        yield server


# -- dig and kdig


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ((WEB, "A"), {"10.1.0.0", "10.1.0.1", "10.1.0.2"}),
        ((WEB, "A", "+tcp"), {"10.1.0.0", "10.1.0.1", "10.1.0.2"}),
        ((WEB, "ANY", "+notcp"), {"10.1.0.0", "10.1.0.1", "10.1.0.2"}),
        (("_web._v1.service.consul", "SRV"), {f"1 1 800{n} 0a01000{n}.addr.dc1.consul." for n in range(3)}),
        (("six.service.dc1.consul", "AAAA"), {"2001:db8::5"}),
        (("n1.node.consul", "TXT"), {'"rack=7"'}),
        (("db.service.consul", "A"), {"db.example.com."}),
        (("-x", "10.0.0.1"), {"n1.node.dc1.consul."}),
        (("-x", "2001:db8::5"), {"six.service.dc1.consul."}),
        (("consul", "NS"), {"ns.consul."}),
        (("0a000001.addr.consul", "A", "+noedns"), {"10.0.0.1"}),
        ((WEB, "A", "+subnet=192.0.2.0/24", "+nsid", "+dnssec"), {"10.1.0.0", "10.1.0.1", "10.1.0.2"}),
    ],
)
def test_dig_finds_every_type_and_has_nothing_to_complain_of(server: ServerProcess, words: tuple[str, ...], answers: set[str]) -> None:
    assert set(dig(server, *words, "+short").splitlines()) == answers
    text = dig(server, *words).replace("WARNING: recursion requested but not available", "")
    assert not re.search(r"warning|malformed|extra bytes|mismatch|truncated", text, re.IGNORECASE), text
    assert "flags: qr aa rd" in text
    if "+subnet=192.0.2.0/24" in words:
        assert "CLIENT-SUBNET: 192.0.2.0/24/0" in text


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("none.service.consul",), "NXDOMAIN"), ((WEB, "MX"), "NOERROR"), (("web.service.dc9.consul",), "NXDOMAIN"),
        (("example.com",), "REFUSED"), (("consul", "AXFR", "+tcp"), "NOTIMP"), ((WEB, "+edns=1", "+noednsneg"), "BADVERS"),
    ],
)  # fmt: skip
def test_dig_is_told_what_is_not_there(server: ServerProcess, words: tuple[str, ...], status: str) -> None:
    text = dig(server, *words)
    assert f"status: {status}" in text or (status == "NOTIMP" and "Transfer failed" in text)


@contextmanager
def over_tls(folder: Path) -> Iterator[tuple[ServerProcess, int, Path]]:
    """A server with DNS over TLS, its port there, and the certificate of its CA."""
    authority, port = trustme.CA(), free_port()
    made = authority.issue_cert("dns.test")
    cert, key, ca = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
    made.cert_chain_pems[0].write_to_path(cert)
    made.private_key_pem.write_to_path(key)
    authority.cert_pem.write_to_path(ca)
    environment = {"CALLBOARD_TUNE_DNS_TLS_PORT": str(port)}
    with running_server("--dev", "--tls-cert", str(cert), "--tls-key", str(key), environment=environment) as server:
        register(server, 0, address="10.1.0.0")
        yield server, port, ca


def test_kdig_asks_over_tls_and_refuses_whom_it_does_not_know(tmp_path: Path) -> None:
    with over_tls(tmp_path) as (_, port, ca):
        words = [need("kdig"), "@127.0.0.1", "-p", str(port), f"+tls-ca={ca}", "+keepopen"]
        text = run([*words, "+tls-hostname=dns.test", WEB, "A", WEB, "SRV"])
        assert "10.1.0.0" in text
        assert "0a010000.addr.dc1.consul." in text
        refused = subprocess.run([*words, "+tls-hostname=other.test", WEB, "A"], capture_output=True, text=True, check=False, timeout=60)
        assert "10.1.0.0" not in refused.stdout


# -- unbound and dnsmasq


def unbound(folder: Path, port: int, lines: str) -> list[str]:
    config = folder / "unbound.conf"
    config.write_text(
        f"""
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  logfile: ""
  module-config: "iterator"
  do-not-query-localhost: no
  local-zone: "10.in-addr.arpa." nodefault
  num-threads: 1
{lines}
""",
        "utf-8",
    )
    return [need("unbound"), "-d", "-c", str(config)]


def forward(zone: str, server: ServerProcess) -> str:
    return f'forward-zone:\n  name: "{zone}."\n  forward-addr: 127.0.0.1@{server.dns[1]}\n'


def dnsmasq(port: int, *words: str) -> list[str]:
    options = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--pid-file=", "--user="]
    return [need("dnsmasq"), *options, "--listen-address=127.0.0.1", f"--port={port}", *words]


def assert_forwarded(port: int) -> None:
    for _ in range(2):
        assert set(asked("127.0.0.1", port, WEB, "A", "+short").splitlines()) == {"10.1.0.0", "10.1.0.1", "10.1.0.2"}
        assert len(asked("127.0.0.1", port, WEB, "SRV", "+short", "+tcp").splitlines()) == 3
        assert asked("127.0.0.1", port, "n1.node.consul", "TXT", "+short") == '"rack=7"\n'
        assert "status: NXDOMAIN" in asked("127.0.0.1", port, "none.service.consul")
        assert "status: NOERROR" in asked("127.0.0.1", port, WEB, "AAAA")


def test_unbound_forwards_the_domain_and_the_addresses_to_us(server: ServerProcess, tmp_path: Path) -> None:
    port = free_port()
    with running(unbound(tmp_path, port, forward("consul", server) + forward("10.in-addr.arpa", server)), port):
        assert_forwarded(port)
        assert asked("127.0.0.1", port, "-x", "10.0.0.1", "+short") == "n1.node.dc1.consul.\n"


def test_unbound_forwards_over_tls(tmp_path: Path) -> None:
    with over_tls(tmp_path) as (_, tls_port, ca):
        port = free_port()
        zone = f'forward-zone:\n  name: "consul."\n  forward-tls-upstream: yes\n  forward-addr: 127.0.0.1@{tls_port}#dns.test\n'
        with running(unbound(tmp_path, port, f"  tls-cert-bundle: {ca}\n{zone}"), port):
            assert asked("127.0.0.1", port, WEB, "A", "+short") == "10.1.0.0\n"


def test_dnsmasq_forwards_the_domain_to_us(server: ServerProcess) -> None:
    port = free_port()
    with running(dnsmasq(port, f"--server=/consul/127.0.0.1#{server.dns[1]}"), port):
        assert_forwarded(port)


def test_we_forward_to_dnsmasq(tmp_path: Path) -> None:
    port = free_port()
    records = ["--address=/db.example.com/192.0.2.7", "--txt-record=big.example.com," + ",".join(["x" * 250] * 10)]
    with running(dnsmasq(port, *records), port), running_server("--dev", "--recursor", f"127.0.0.1:{port}") as server:
        register(server, 0, name="db", address="db.example.com")
        assert dig(server, "db.example.com", "+short") == "192.0.2.7\n"
        assert dig(server, "db.service.consul", "+short").splitlines() == ["db.example.com.", "192.0.2.7"]
        assert "x" * 250 in dig(server, "big.example.com", "TXT", "+short")  # over TCP, for it is larger than a datagram
        text = dig(server, "db.example.com")
        assert "flags: qr aa rd ra" in text or "flags: qr rd ra" in text


# -- HAProxy


class Backend:
    """An HTTP server that says its port."""

    def __init__(self, host: str) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = str(self.server.server_port).encode()  # type: ignore[attr-defined]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class HaProxy:
    """A running HAProxy: its runtime socket, and its front."""

    def __init__(self, folder: Path) -> None:
        self.control, self.front = folder / "control.sock", folder / "front.sock"

    def _talk(self, path: Path, message: bytes) -> str:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(str(path))
            sock.sendall(message)
            out = b""
            while piece := sock.recv(65536):
                out += piece
        return out.decode()

    def weights(self) -> dict[int, int]:
        """The servers that are up: port and weight."""
        lines = self._talk(self.control, b"show servers state web\n").splitlines()
        names = lines[1].removeprefix("# ").split()
        rows = [dict(zip(names, line.split(), strict=False)) for line in lines[2:] if line.strip()]
        return {
            int(row["srv_port"]): int(row["srv_uweight"])
            for row in rows
            if row["srv_op_state"] == "2" and not int(row["srv_admin_state"]) & MAINTENANCE
        }

    def picks(self, count: int) -> Counter[int]:
        """Which backends answer requests."""
        answers = [self._talk(self.front, b"GET / HTTP/1.0\r\n\r\n") for _ in range(count)]
        assert all(answer.startswith("HTTP/1") and " 200 " in answer for answer in answers)
        return Counter(int(answer.rpartition("\r\n")[2]) for answer in answers)


@contextmanager
def haproxy(server: ServerProcess, folder: Path) -> Iterator[HaProxy]:
    made = HaProxy(folder)
    config = folder / "haproxy.cfg"
    config.write_text(
        f"""
global
    stats socket {made.control} level admin
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
resolvers callboard
    nameserver one 127.0.0.1:{server.dns[1]}
    accepted_payload_size 1232
    resolve_retries 3
    timeout resolve 200ms
    timeout retry 1s
    hold valid 100ms
    hold obsolete 0s
frontend front
    bind {made.front}
    default_backend web
backend web
    balance roundrobin
    server-template web 5 _web._tcp.service.consul resolvers callboard init-addr none
""",
        "utf-8",
    )
    process = subprocess.Popen([need("haproxy"), "-db", "-f", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        poll_until(lambda: made.control.exists() and made.front.exists())
        yield made
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_haproxy_follows_a_service_with_its_weights_and_drains(tmp_path: Path) -> None:
    backends = [Backend(f"127.0.0.{number}") for number in (1, 2, 3)]  # HAProxy wants addresses that differ
    first, second, third = (backend.port for backend in backends)
    try:
        with running_server("--dev", environment={"CALLBOARD_TUNE_DNS_SRV_WEIGHT_SCALE": "256"}) as server:
            register(server, 0, address="127.0.0.1", port=first, weight=10)
            register(server, 1, address="127.0.0.2", port=second, weight=30)
            with haproxy(server, tmp_path) as proxy:
                poll_until(lambda: proxy.weights() == {first: 10, second: 30})
                picks = proxy.picks(200)
                assert 40 <= picks[first] <= 60
                assert picks[first] + picks[second] == 200
                register(server, 2, address="127.0.0.3", port=third, weight=40)
                poll_until(lambda: proxy.weights() == {first: 10, second: 30, third: 40})
                put(server, "/v1/agent/service/maintenance/web-1?enable=true&reason=drain")
                poll_until(lambda: proxy.weights() == {first: 10, third: 40})
                assert proxy.picks(50).keys() == {first, third}
                put(server, "/v1/agent/service/maintenance/web-1?enable=false")
                register(server, 0, address="127.0.0.1", port=first, weight=200)
                poll_until(lambda: proxy.weights() == {first: 200, second: 30, third: 40})
    finally:
        for backend in backends:
            backend.close()


# -- dnsperf


def test_dnsperf_loses_nothing(server: ServerProcess, tmp_path: Path, figures: dict[str, object]) -> None:
    questions = tmp_path / "questions"
    questions.write_text(f"{WEB} SRV\n{WEB} A\nn1.node.consul A\nnone.service.consul A\n", "utf-8")
    where = ["-s", "127.0.0.1", "-p", str(server.dns[1]), "-d", str(questions)]
    text = run([need("dnsperf"), *where, "-l", "5", "-t", "30", "-c", "4", "-q", "50", "-e"])
    lost = re.search(r"Queries lost:\s+(\d+)", text)
    rate = re.search(r"Queries per second:\s+([\d.]+)", text)
    assert lost is not None
    assert rate is not None
    figures["dnsperf"] = {"queries_per_s": round(float(rate[1])), "lost": int(lost[1])}
    assert int(lost[1]) == 0, text

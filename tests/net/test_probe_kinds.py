"""Probes over TLS, HTTP/2, gRPC and UDP against real servers: grpcio's, `h2`'s, and sockets with certificates of a CA made for the test."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived

from callboard.core.health import ProbeResult
from callboard.model.check import GrpcCheck, H2pingCheck, HttpCheck, Status, TcpCheck, TlsOptions, UdpCheck
from callboard.model.time import SECOND
from callboard.net.probe import probe_grpc, probe_h2ping, probe_http, probe_tcp
from callboard.net.probe_tls import ProbeTls
from callboard.net.probe_udp import probe_udp
from tests.net.running import Run
from tests.support import PATIENCE_S

P, C = Status.PASSING, Status.CRITICAL
TLS = TlsOptions()


class Authority:
    """A CA, a certificate of it for localhost, and a file by which probes know it."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.certificate = self.ca.issue_cert("localhost", "127.0.0.1")
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.file)
        self.trust = ProbeTls(str(self.file))

    def server(self, *protocols: str) -> ssl.SSLContext:
        """What a server of this name says."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.configure_cert(context)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


Handler = Callable[[socket.socket], None]


@contextmanager
def listening(handle: Handler, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that handles one connection after the other, in a thread; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.settimeout(PATIENCE_S)
                try:
                    with context.wrap_socket(connection, server_side=True) if context is not None else connection as spoken:
                        handle(spoken)
                except (OSError, ValueError):
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def http_ok(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")


# -- TLS


def test_an_https_url_is_asked_over_tls_and_its_host_must_have_the_certificate(run: Run, authority: Authority) -> None:
    with listening(http_ok, authority.server("http/1.1")) as port:
        url = f"https://localhost:{port}/health"
        assert run(probe_http(HttpCheck(url, SECOND), PATIENCE_S, None, authority.trust)) == (P, f"HTTP GET {url}: 200 OK Output: fine")
        elsewhere = HttpCheck(f"https://shop.example:{port}/", SECOND, connect="127.0.0.1")
        assert "certificate is not valid for 'shop.example'" in run(probe_http(elsewhere, PATIENCE_S, None, authority.trust)).output
        named = HttpCheck(f"https://shop.example:{port}/", SECOND, connect="127.0.0.1", tls=TlsOptions("localhost"))
        assert run(probe_http(named, PATIENCE_S, None, authority.trust)).status is P


def test_an_authority_nobody_knows_is_critical_in_plain_words_unless_the_check_does_not_care(run: Run, authority: Authority) -> None:
    with listening(http_ok, authority.server()) as port:
        url = f"https://127.0.0.1:{port}/"
        result = run(probe_http(HttpCheck(url, SECOND), PATIENCE_S))
        assert result.status is C
        assert f'Get "{url}": tls: failed to verify certificate: ' in result.output
        assert run(probe_http(HttpCheck(url, SECOND, tls=TlsOptions(skip_verify=True)), PATIENCE_S)).status is P


def test_tls_asked_of_who_speaks_in_the_clear_is_critical(run: Run, authority: Authority) -> None:
    with listening(http_ok) as port:
        for result in (
            run(probe_http(HttpCheck(f"https://localhost:{port}/", SECOND), PATIENCE_S, None, authority.trust)),
            run(probe_tcp(TcpCheck("localhost", port, SECOND, tls=TLS), PATIENCE_S, None, authority.trust)),
        ):
            assert result.status is C
            assert "tls: first record does not look like a TLS handshake" in result.output


def test_a_redirect_may_lead_to_https(run: Run, authority: Authority) -> None:
    with listening(http_ok, authority.server()) as secure:

        def redirect(connection: socket.socket) -> None:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 302 Go\r\nContent-Length: 0\r\nLocation: https://localhost:%d/\r\n\r\n" % secure)

        with listening(redirect) as port:
            assert run(probe_http(HttpCheck(f"http://localhost:{port}/", SECOND), PATIENCE_S, None, authority.trust)).status is P


def test_a_tcp_connection_with_tls_is_open_when_both_have_agreed(run: Run, authority: Authority) -> None:
    with listening(lambda _: None, authority.server()) as port:
        assert run(probe_tcp(TcpCheck("localhost", port, SECOND, tls=TLS), PATIENCE_S, None, authority.trust)) == (
            P, f"TCP+TLS connect localhost:{port}: Success",
        )  # fmt: skip
        wrong = TcpCheck("localhost", port, SECOND, tls=TlsOptions("shop.example"))
        assert "not valid for 'shop.example'" in run(probe_tcp(wrong, PATIENCE_S, None, authority.trust)).output


def test_a_handshake_nobody_answers_ends_with_the_time(run: Run, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        result = run(probe_tcp(TcpCheck("127.0.0.1", port, SECOND, tls=TLS), 0.2, None, authority.trust))
        assert result == (C, f"dial tcp 127.0.0.1:{port}: timeout")


# -- gRPC


class Health(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
    """The standard service, by hand: `web` serves, `down` does not, the whole server serves, nothing else is known."""

    def service(self, details: Any) -> Any:
        if details.method != "/grpc.health.v1.Health/Check":
            return None
        return grpc.unary_unary_rpc_method_handler(self.check)

    def check(self, request: bytes, context: Any) -> bytes:
        status = {b"": 1, b"web": 1, b"down": 2}.get(request[2:])
        if status is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service: ü")
        return b"\x08" + bytes([status or 0])


@contextmanager
def grpc_server(authority: Authority | None = None, *handlers: Any) -> Iterator[int]:
    """A server of grpcio; its port."""
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool, handlers=handlers or (Health(),))
        if authority is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            chain = b"".join(blob.bytes() for blob in authority.certificate.cert_chain_pems)
            pair = authority.certificate.private_key_pem.bytes(), chain
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        server.start()
        try:
            yield port
        finally:
            server.stop(0).wait()


@pytest.mark.parametrize(
    ("service", "status", "output"),
    [
        ("", P, "gRPC check localhost:{}: success"),
        ("web", P, "gRPC check localhost:{}/web: success"),
        ("down", C, "gRPC localhost:{}/down serving status: NOT_SERVING"),
        ("other", C, "rpc error: code = NotFound desc = unknown service: ü"),
    ],
)
def test_a_grpc_server_is_asked_for_its_health(run: Run, service: str, status: Status, output: str) -> None:
    with grpc_server() as port:
        result = run(probe_grpc(GrpcCheck("localhost", port, SECOND, service), PATIENCE_S))
        assert result == (status, output.format(port))


def test_a_grpc_server_without_a_health_service_is_critical_in_its_own_words(run: Run) -> None:
    class Nothing(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio has no types
        def service(self, _details: Any) -> None:
            return None

    with grpc_server(None, Nothing()) as port:
        result = run(probe_grpc(GrpcCheck("127.0.0.1", port, SECOND), PATIENCE_S))
        assert result == (C, "rpc error: code = Unimplemented desc = Method not found!")


def test_grpc_over_tls_believes_only_who_has_the_certificate(run: Run, authority: Authority) -> None:
    with grpc_server(authority) as port:
        check = GrpcCheck("localhost", port, SECOND, "web", tls=TLS)
        assert run(probe_grpc(check, PATIENCE_S, None, authority.trust)).status is P
        result = run(probe_grpc(check, PATIENCE_S))
        assert result.status is C
        assert result.output.startswith("rpc error: code = Unavailable desc = tls: failed to verify certificate: ")
        loopback = GrpcCheck("shop.example", port, SECOND, connect="127.0.0.1", tls=TlsOptions(skip_verify=True))
        assert run(probe_grpc(loopback, PATIENCE_S)).status is P


@pytest.mark.parametrize("probe", ["grpc", "h2ping"])
def test_who_is_no_http2_server_is_critical_and_says_why(run: Run, probe: str) -> None:
    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"\0\0\x08\x06\0\0\0\0\0" + b"pingping")

    def stay_silent(connection: socket.socket) -> None:
        while connection.recv(65_536):
            pass

    def ask(port: int, timeout_s: float = PATIENCE_S) -> ProbeResult:
        if probe == "grpc":
            return run(probe_grpc(GrpcCheck("127.0.0.1", port, SECOND), timeout_s))
        return run(probe_h2ping(H2pingCheck("127.0.0.1", port, SECOND), timeout_s))

    handlers: dict[str, Handler] = {
        "the peer speaks HTTP/1, not HTTP/2": http_ok,
        "malformed HTTP/2": lambda connection: connection.sendall(b"\0\0\x01\x04\x01\0\0\0\0x"),
        "without an answer (EOF)": lambda connection: connection.shutdown(socket.SHUT_WR),
        "no answer within 0.5 s": stay_silent,
        "the answer is larger than 65536 bytes": flood,
    }
    for words, handle in handlers.items():
        with listening(handle) as port:
            result = ask(port, 0.5 if handle is stay_silent else PATIENCE_S)
            assert result.status is C
            assert words in result.output, result
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert f"dial tcp 127.0.0.1:{port}: connection refused" in ask(port).output


# -- h2ping


def h2_echo(connection: socket.socket) -> None:
    """A server of `h2` that answers pings, and resets every call."""
    h2 = H2Connection(H2Configuration(client_side=False))
    h2.initiate_connection()
    connection.sendall(h2.data_to_send())
    while data := connection.recv(65_536):
        for event in h2.receive_data(data):
            if isinstance(event, RequestReceived) and event.stream_id is not None:
                h2.reset_stream(event.stream_id, 7)
        connection.sendall(h2.data_to_send())


def test_an_acknowledged_ping_passes_in_the_clear_and_over_tls(run: Run, authority: Authority) -> None:
    with listening(h2_echo) as port:
        assert run(probe_h2ping(H2pingCheck("127.0.0.1", port, SECOND), PATIENCE_S)) == (P, "HTTP2 ping was successful")
        assert "the call was reset (error 7)" in run(probe_grpc(GrpcCheck("127.0.0.1", port, SECOND), PATIENCE_S)).output
    with listening(h2_echo, authority.server("h2")) as port:
        check = H2pingCheck("localhost", port, SECOND, tls=TLS)
        assert run(probe_h2ping(check, PATIENCE_S, None, authority.trust)) == (P, "HTTP2 ping was successful")
        refused = run(probe_h2ping(check, PATIENCE_S))
        assert refused.output.startswith(f"Failed to dial to localhost:{port}: tls: failed to verify certificate: ")
    with grpc_server() as port:
        assert run(probe_h2ping(H2pingCheck("other.invalid", port, SECOND, connect="127.0.0.1"), PATIENCE_S)).status is P


# -- UDP


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_silence_and_an_answer_pass_and_a_refusal_is_critical(run: Run, host: str, family: socket.AddressFamily) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as there:
        there.bind((host, 0))
        port = there.getsockname()[1]
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        assert run(probe_udp(UdpCheck(host, port, SECOND), 0.1)) == (P, f"UDP connect {shown}: Success")
        there.settimeout(PATIENCE_S)
        assert there.recv(10) == b"", "it is an empty datagram"

        def answer() -> None:
            _, peer = there.recvfrom(10)
            there.sendto(b"hello", peer)

        answering = threading.Thread(target=answer)
        answering.start()
        assert run(probe_udp(UdpCheck("other.invalid", port, SECOND, connect=host), PATIENCE_S)).status is P
        answering.join()
    assert run(probe_udp(UdpCheck(host, port, SECOND), PATIENCE_S)) == (C, f"UDP connect {shown}: connection refused")


def test_a_name_nobody_has_is_critical(run: Run) -> None:
    result = run(probe_udp(UdpCheck("a..b", 53, SECOND), PATIENCE_S))
    assert result.status is C
    assert result.output.startswith("dial udp: lookup a..b: ")

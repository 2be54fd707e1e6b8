"""Probes against those who answer what nobody should: whatever comes, a probe ends in time, in bounds and in plain words."""

import asyncio
import gc
import socket
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from callboard.core.health import ProbeResult
from callboard.model.check import GrpcCheck, HttpCheck, Status, TcpCheck, TlsOptions, UdpCheck
from callboard.model.time import SECOND
from callboard.net import client
from callboard.net.client import BODY_MAX_BYTES, HEAD_MAX_BYTES
from callboard.net.dial import is_address
from callboard.net.lookup import Lookups
from callboard.net.probe import probe_grpc, probe_http, probe_tcp
from callboard.net.probe_h2 import PingAsking
from callboard.net.probe_tls import ProbeTls
from callboard.net.probe_udp import probe_udp
from tests.net.test_probe_kinds import Authority, listening

P, C = Status.PASSING, Status.CRITICAL
PATIENCE_S = 20.0
Run = Callable[[Coroutine[Any, Any, ProbeResult]], ProbeResult]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """A loop of each kind, which must have nothing to complain about."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runs(work: Coroutine[Any, Any, ProbeResult]) -> ProbeResult:
        complaints: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
            result = runner.run(work)
        assert not complaints
        return result

    return runs


# -- HTTP


@pytest.mark.parametrize(
    ("head", "again"),
    [
        (b"0\r\nx: ", b"a" * 65_536),  # a trailer that does not end
        (b"0\r\n", b"ab: cd\r\n" * 8_192),  # trailers without end
        (b"5;", b"a" * 65_536),  # an extension of a chunk
        (b"", b"1\r\nx\r\n" * 10_000),
    ],
)
def test_of_an_answer_no_more_is_read_than_its_limit_whatever_it_is_made_of(run: Run, head: bytes, again: bytes) -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65_536)
        # What waits in sockets is not what was read.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + head)
        while sent < 100 * (HEAD_MAX_BYTES + BODY_MAX_BYTES):
            connection.sendall(again)
            sent += len(again)

    with listening(flood) as port:
        assert run(probe_http(HttpCheck(f"http://127.0.0.1:{port}/", SECOND), PATIENCE_S)).status is P
    assert sent < 100 * (HEAD_MAX_BYTES + BODY_MAX_BYTES), "the probe went away long before"


# -- gRPC


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _field(name: bytes, value: bytes) -> bytes:
    """A header field as it is, without Huffman's code and without an index."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


_OK = b"\x88"
"""`:status: 200` of the static table."""
_GRPC = _OK + _field(b"content-type", b"application/grpc+proto")
_SERVING = b"\0\0\0\0\2\x08\x01"
_STATUS_0 = _field(b"grpc-status", b"0")
_NO_TRAILERS = "code = Internal desc = server closed the stream without sending trailers"


@pytest.mark.parametrize(
    ("frames", "status", "words"),
    [
        ((_frame(1, 4, 1, _GRPC), _frame(0, 0, 1, _SERVING), _frame(1, 5, 1, _STATUS_0)), P, "success"),
        ((_frame(1, 4, 1, _GRPC), _frame(0, 1, 1, _SERVING)), C, _NO_TRAILERS),
        (
            (_frame(1, 4, 1, _GRPC), _frame(0, 0, 1, _SERVING), _frame(1, 5, 1, _field(b"x", b"y"))),
            C, _NO_TRAILERS,
        ),
        (
            (_frame(1, 4, 1, _OK + _field(b"content-type", b"text/html")), _frame(0, 0, 1, _SERVING), _frame(1, 5, 1, _STATUS_0)),
            C, 'received unexpected content-type "text/html"',
        ),
        ((_frame(1, 5, 1, _GRPC + _STATUS_0),), C, "the answer is not one gRPC message"),
        ((_frame(1, 5, 1, _GRPC + _field(b"grpc-status", b"5")),), C, "code = NotFound"),
        ((_frame(1, 4, 1, _field(b":status", b"503")), _frame(0, 1, 1, b"busy")), C, "HTTP status code received from server: 503"),
        ((_frame(7, 0, 0, b"\0\0\0\0\0\0\0\x0b"),), C, "GOAWAY, error 11"),
        ((_frame(1, 0, 1, _OK), *[_frame(9, 0, 1, _field(b"a", b"b"))] * 10_000), C, ""),  # CONTINUATION without end
        ((_frame(1, 0, 1, _OK + b"\x40\x01a\x7f\x81\x1e" + b"b" * 4_000), _frame(9, 4, 1, b"\xbe" * 16_000)), C, "malformed HTTP/2"),
        ((_frame(4, 0, 0),) * 20_000, C, "larger than 65536 bytes"),
    ],
)  # fmt: skip
def test_a_grpc_call_passes_only_when_it_ends_as_grpc_says(run: Run, frames: tuple[bytes, ...], status: Status, words: str) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(_frame(4, 0, 0) + b"".join(frames))
        while connection.recv(65_536):
            pass

    with listening(answer) as port:
        result = run(probe_grpc(GrpcCheck("127.0.0.1", port, SECOND), PATIENCE_S))
    assert result.status is status
    assert words in result.output


# -- TLS


def hang_up(connection: socket.socket) -> None:
    connection.recv(65_536)


def test_a_peer_that_hangs_up_during_the_handshake_is_critical_and_it_is_said(run: Run) -> None:
    with listening(hang_up) as port:
        result = run(probe_tcp(TcpCheck("127.0.0.1", port, SECOND, tls=TlsOptions()), PATIENCE_S))
    assert result.status is C
    assert result.output.removeprefix(f"dial tcp 127.0.0.1:{port}: ") in {"the connection was closed (EOF)", "connection reset by peer"}


@pytest.mark.parametrize("name", ["a..b", ".example", "x" * 64])
def test_a_name_that_no_certificate_can_have_is_critical_and_leaves_nothing_open(run: Run, tmp_path: Path, name: str) -> None:
    authority = Authority(tmp_path)
    with listening(lambda _: None, authority.server()) as port, warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run(probe_tcp(TcpCheck("127.0.0.1", port, SECOND, tls=TlsOptions(name)), PATIENCE_S, None, authority.trust))
        assert result == (C, f"dial tcp 127.0.0.1:{port}: tls: {name!r} is no name that a certificate could have")
        url = HttpCheck(f"https://{name}:{port}/", SECOND, connect="127.0.0.1")
        assert "is no name that a certificate could have" in run(probe_http(url, PATIENCE_S, None, authority.trust)).output


# -- whoever no longer waits


def test_what_fails_while_nobody_waits_any_more_is_no_complaint(run: Run) -> None:
    """The time may be over, or the server stopping, between an answer and whoever asked for it."""

    async def unheard() -> ProbeResult:
        loop = asyncio.get_running_loop()
        for make in (PingAsking, lambda: client._Connection(loop, b"", head_only=False)):  # noqa: SLF001  # no door ends it so
            make().connection_lost(None)
        gc.collect()
        return ProbeResult(P, "")

    run(unheard())


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "authorities.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(OSError, match=r"probe_ca_file: .*authorities\.pem"):
        asyncio.run(probe_tcp(TcpCheck("127.0.0.1", 1, SECOND, tls=TlsOptions()), PATIENCE_S, None, ProbeTls(str(file))))


@pytest.mark.parametrize("host", ["127.0.0.1%lo", "1.2.3.4%x"])
def test_what_only_begins_like_an_address_is_a_name_and_is_looked_up_like_one(run: Run, host: str) -> None:
    asked: list[str] = []

    def ask_nobody(name: str) -> list[str]:
        asked.append(name)
        raise OSError("nobody has this name")

    assert "no such host" in run(probe_udp(UdpCheck(host, 9, SECOND), PATIENCE_S, Lookups(ask=ask_nobody))).output
    assert "no such host" in run(probe_tcp(TcpCheck(host, 9, SECOND), PATIENCE_S, Lookups(ask=ask_nobody))).output
    assert asked == [host, host], "a look-up in the loop itself would stop everybody"
    assert is_address("::1%lo")

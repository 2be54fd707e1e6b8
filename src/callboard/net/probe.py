"""Probes over the network: one request, connection, datagram or call, as health checks make them. A probe owns its connection.

Whatever goes wrong on the way is the result, in words like Consul's. Only what this machine lacks itself (files, memory) is raised as
`OSError`: it is no evidence about whoever was to be asked. What speaks HTTP/2 is loaded with the first probe that needs it: it would be a
fifth of the start of every server.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from callboard.core.health import ProbeResult
from callboard.model.check import GrpcCheck, H2pingCheck, HttpCheck, Status, TcpCheck
from callboard.model.errors import InvalidError
from callboard.net.client import BODY_MAX_BYTES, Incoming, Outgoing, RequestError, fetch
from callboard.net.dial import ClientTls, dial, host_port
from callboard.net.lookup import DialError, Lookups
from callboard.net.probe_tls import ProbeTls
from callboard.wire import grpc_health

if TYPE_CHECKING:
    from callboard.net.probe_h2 import HealthAsking, PingAsking

A = TypeVar("A", bound="HealthAsking | PingAsking")


async def probe_http(check: HttpCheck, timeout_s: float, lookups: Lookups | None = None, tls: ProbeTls | None = None) -> ProbeResult:
    """2xx passes, 429 warns, everything else is critical."""
    trust = partial((tls or ProbeTls()).http, check.tls)
    outgoing = Outgoing(check.method, check.url, check.headers, check.body.encode(), check.connect, check.follow_redirects, trust)
    try:
        answer = await fetch(outgoing, timeout_s, lookups)
    except (DialError, RequestError) as error:
        return ProbeResult(Status.CRITICAL, f'{check.method.capitalize()} "{check.url}": {error}')
    status = Status.PASSING if 200 <= answer.status < 300 else Status.WARNING if answer.status == 429 else Status.CRITICAL
    first_line = " ".join(filter(None, [str(answer.status), answer.reason]))
    return ProbeResult(status, f"HTTP {check.method} {check.url}: {first_line} Output: {_text(answer)}")


def _text(answer: Incoming) -> str:
    text = answer.body.decode("utf-8", errors="replace")
    return f"{text} ... (more than {BODY_MAX_BYTES} bytes)" if len(answer.body) == BODY_MAX_BYTES and not answer.whole else text


async def probe_tcp(check: TcpCheck, timeout_s: float, lookups: Lookups | None = None, tls: ProbeTls | None = None) -> ProbeResult:
    """A connection that opens passes."""
    trust = (tls or ProbeTls()).plain(check.tls, check.host) if check.tls is not None else None
    try:
        transport, _ = await dial(asyncio.Protocol, check.connect or check.host, check.port, timeout_s, lookups, tls=trust)
    except DialError as error:
        return ProbeResult(Status.CRITICAL, str(error))
    _let_go(transport, trust)
    return ProbeResult(Status.PASSING, f"{'TCP' if trust is None else 'TCP+TLS'} connect {host_port(check.host, check.port)}: Success")


def _let_go(transport: asyncio.Transport, trust: ClientTls | None) -> None:
    """Nobody waits for a peer to say goodbye."""
    if trust is None:
        transport.close()
    else:
        transport.abort()


async def probe_grpc(check: GrpcCheck, timeout_s: float, lookups: Lookups | None = None, tls: ProbeTls | None = None) -> ProbeResult:
    """SERVING passes, everything else is critical."""
    from callboard.net.probe_h2 import HealthAsking  # noqa: PLC0415  # as late as possible

    trust = (tls or ProbeTls()).http2(check.tls, check.host) if check.tls is not None else None
    authority = host_port(check.host, check.port)
    target = f"{authority}/{check.service}" if check.service else authority
    make = partial(HealthAsking, authority, check.service, secure=trust is not None)
    try:
        asking = await _asked(make, check, timeout_s, lookups, trust)
        problem = asking.error or _unhealthy(target, bytes(asking.body))
    except (DialError, RequestError, InvalidError) as error:
        problem = grpc_health.error_text("14", str(error))
    if problem:
        return ProbeResult(Status.CRITICAL, problem)
    return ProbeResult(Status.PASSING, f"gRPC check {target}: success")


def _unhealthy(target: str, message: bytes) -> str:
    """Why an answer does not pass. Raises `InvalidError` for what is none."""
    status = grpc_health.serving_status(message)
    return "" if status == grpc_health.SERVING else f"gRPC {target} serving status: {grpc_health.status_name(status)}"


async def probe_h2ping(check: H2pingCheck, timeout_s: float, lookups: Lookups | None = None, tls: ProbeTls | None = None) -> ProbeResult:
    """An acknowledged PING passes."""
    from callboard.net.probe_h2 import PingAsking  # noqa: PLC0415  # as late as possible

    trust = (tls or ProbeTls()).http2(check.tls, check.host) if check.tls is not None else None
    try:
        await _asked(PingAsking, check, timeout_s, lookups, trust)
    except DialError as error:
        return ProbeResult(Status.CRITICAL, f"Failed to dial to {host_port(check.host, check.port)}: {error}")
    except RequestError as error:
        return ProbeResult(Status.CRITICAL, f"HTTP2 ping failed: {error}")
    return ProbeResult(Status.PASSING, "HTTP2 ping was successful")


async def _asked(
    make: "type[A] | partial[A]", check: GrpcCheck | H2pingCheck, timeout_s: float, lookups: Lookups | None, trust: ClientTls | None
) -> A:
    """Ask over HTTP/2, all of it within `timeout_s`. Raises `DialError` and `RequestError`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    transport, asking = await dial(make, check.connect or check.host, check.port, timeout_s, lookups, tls=trust)
    try:
        async with asyncio.timeout_at(end):
            await asking.done
    except TimeoutError:
        raise RequestError(f"no answer within {timeout_s:g} s") from None
    finally:
        transport.abort()
    return asking

"""Probes: one HTTP request or one TCP connection, as health checks make them. A probe owns its connection and closes it.

Whatever goes wrong on the way is the result, in words like Consul's. Only what this machine lacks itself (files, memory) is raised as
`OSError`: it is no evidence about whoever was to be asked.
"""

import asyncio

from callboard.core.health import ProbeResult
from callboard.model.check import HttpCheck, Status, TcpCheck
from callboard.net.client import BODY_MAX_BYTES, Incoming, Outgoing, RequestError, fetch
from callboard.net.dial import dial, host_port
from callboard.net.lookup import DialError, Lookups


async def probe_http(check: HttpCheck, timeout_s: float, lookups: Lookups | None = None) -> ProbeResult:
    """2xx passes, 429 warns, everything else is critical."""
    outgoing = Outgoing(check.method, check.url, check.headers, check.body.encode(), check.connect, check.follow_redirects)
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


async def probe_tcp(check: TcpCheck, timeout_s: float, lookups: Lookups | None = None) -> ProbeResult:
    """A connection that opens passes."""
    try:
        transport, _ = await dial(asyncio.Protocol, check.connect or check.host, check.port, timeout_s, lookups)
    except DialError as error:
        return ProbeResult(Status.CRITICAL, str(error))
    transport.close()
    return ProbeResult(Status.PASSING, f"TCP connect {host_port(check.host, check.port)}: Success")

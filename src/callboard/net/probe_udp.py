"""UDP probes: an empty datagram, and whether the other machine says that nobody takes it. A probe owns its socket.

Silence passes, as in Consul: most services answer nothing to an empty datagram, and only a machine that is there can say that none listens.
"""

import asyncio
import socket

from callboard.core.health import ProbeResult
from callboard.model.check import Status, UdpCheck
from callboard.net.dial import host_port, is_address, reason
from callboard.net.lookup import DialError, Lookups


async def probe_udp(check: UdpCheck, timeout_s: float, lookups: Lookups | None = None) -> ProbeResult:
    """A reply or silence passes; a refusal is critical. Raises `OSError` when this machine lacks what it takes."""
    host = check.connect or check.host
    try:
        address = host if is_address(host) else (await (lookups or Lookups()).addresses(host, timeout_s))[0]
    except DialError as error:
        return ProbeResult(Status.CRITICAL, str(error).replace("dial tcp", "dial udp", 1))
    shown = host_port(check.host, check.port)
    problem = await _refused(address, check.port, timeout_s)
    if problem:
        return ProbeResult(Status.CRITICAL, f"UDP connect {shown}: {problem}")
    return ProbeResult(Status.PASSING, f"UDP connect {shown}: Success")


async def _refused(address: str, port: int, timeout_s: float) -> str:
    """Why a datagram was not taken; empty when nobody said so in time."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    # A plain socket, for the transports of loops do not send empty datagrams.
    with socket.socket(family, socket.SOCK_DGRAM) as probing:
        probing.settimeout(0)
        try:
            probing.connect((address, port))
            probing.send(b"")
            loop.add_reader(probing.fileno(), _tell, readable)
            async with asyncio.timeout(timeout_s):
                await readable
            probing.recv(1)
        except TimeoutError:
            return ""
        except OSError as error:
            return reason(error)
        finally:
            loop.remove_reader(probing.fileno())
    return ""


def _tell(readable: "asyncio.Future[None]") -> None:
    if not readable.done():
        readable.set_result(None)

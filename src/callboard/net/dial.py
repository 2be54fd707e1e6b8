"""Dialling: a TCP connection to a host by name or address, and plain words for why there is none.

A connection belongs to whoever dialled it.
"""

import asyncio
import errno
import os
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, TypeVar

from callboard.net.lookup import DialError, Lookups

P = TypeVar("P", bound=asyncio.Protocol)

_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""What this machine lacks itself: no evidence about whoever was to be called."""
_WORDS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by peer",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ETIMEDOUT: "connection timed out",
}


async def dial(
    make: Callable[[], P], host: str, port: int, timeout_s: float, lookups: Lookups | None = None
) -> tuple[asyncio.Transport, P]:  # fmt: skip
    """Connect within `timeout_s`. A name is tried address by address, each with its share of the time that is left.

    Raises `DialError`, and `OSError` when this machine lacks what it takes (files, memory).
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    addresses = [host] if is_address(host) else await (lookups or Lookups()).addresses(host, timeout_s)
    problem = ""
    for place, address in enumerate(addresses):
        try:
            async with asyncio.timeout((end - loop.time()) / (len(addresses) - place)):
                return await loop.create_connection(make, address, port)
        except OSError as error:
            problem = f"dial tcp {host_port(address, port)}: {reason(error)}"
    raise DialError(problem)


def is_address(host: str) -> bool:
    """Whether a host is an address already."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def reason(error: OSError) -> str:
    """Why a connection failed, in a few words. Raises `error` again when the fault is this machine's."""
    if error.errno in _OURS:
        raise error
    if isinstance(error, TimeoutError) and not error.errno:
        return "timeout"
    number = error.errno or 0
    return _WORDS.get(number) or (os.strerror(number).lower() if number > 0 else str(error))


def host_port(host: str, port: int) -> str:
    """Both as one text, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

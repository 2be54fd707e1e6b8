"""Dialling: a TCP connection to a host by name or address, with TLS where that is asked for, and plain words for why there is none.

A connection belongs to whoever dialled it.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from typing import Final, NamedTuple, TypeVar

from callboard.net.lookup import DialError, Lookups
from callboard.net.tasks import spawn

P = TypeVar("P", bound=asyncio.Protocol)

_HEAD_START_S: Final = 0.25
"""How long an address is tried alone, before the next one is tried beside it."""
_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""What this machine lacks itself: no evidence about whoever was to be called."""
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"})
"""What OpenSSL says, by version, of a peer that answers in the clear."""
_CLOSED: Final = "the connection was closed (EOF)"
"""What loops tell without a word: the peer hung up during the handshake."""
_WORDS: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset by peer",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
    errno.ETIMEDOUT: "connection timed out",
}


class ClientTls(NamedTuple):
    """How to believe a peer, and the name it must have."""

    context: ssl.SSLContext
    server_name: str


async def dial(
    make: Callable[[], P], host: str, port: int, timeout_s: float, lookups: Lookups | None = None, *, tls: ClientTls | None = None
) -> tuple[asyncio.Transport, P]:
    """Connect within `timeout_s`. Of a name with several addresses the first that opens a connection wins.

    Raises `DialError`, and `OSError` when this machine lacks what it takes (files, memory).
    """
    if tls is not None:
        _check_name(tls.server_name, host_port(host, port))
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_s
    addresses = [host] if is_address(host) else await (lookups or Lookups()).addresses(host, timeout_s)
    opened = None
    if len(addresses) > 1:
        address, opened = await _raced(addresses, port, end)
        where = partial(loop.create_connection, make, sock=opened)
    else:
        address = addresses[0]
        where = partial(loop.create_connection, make, address, port)
    try:
        async with asyncio.timeout_at(end):
            return await (where() if tls is None else where(ssl=tls.context, server_hostname=tls.server_name))
    except ssl.SSLError as error:
        raise DialError(reason(error)) from None
    except OSError as error:
        raise DialError(f"dial tcp {host_port(address, port)}: {reason(error)}") from None
    except ValueError as error:  # a host that is no name a certificate could have
        if opened is not None:
            opened.close()
        raise DialError(f"dial tcp {host_port(address, port)}: tls: {error}") from None


def _check_name(name: str, where: str) -> None:
    """Said before anything is open: loops log such a name, and asyncio's leaves the connection open."""
    try:
        name.encode("idna")
    except UnicodeError:
        raise DialError(f"dial tcp {where}: tls: {name!r} is no name that a certificate could have") from None


async def _raced(addresses: list[str], port: int, end: float) -> tuple[str, socket.socket]:
    """The first address that can be reached, with its socket: each has a head start on the next (RFC 8305).

    Nothing is sent while they race, so whoever loses has not been asked anything. Raises `DialError` with what the first one said.
    """
    loop = asyncio.get_running_loop()
    waiting, problems = deque(addresses), dict.fromkeys(addresses, "timeout")
    running: dict[asyncio.Task[socket.socket], str] = {}
    try:
        while (waiting or running) and loop.time() < end:
            if waiting:
                next_one = waiting.popleft()
                running[spawn(_opened(next_one, port), name=f"dial {next_one}")] = next_one
            wait_s = min(_HEAD_START_S, end - loop.time()) if waiting else end - loop.time()
            done, _ = await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                address, error = running.pop(task), task.exception()
                if error is None:
                    return address, task.result()
                problems[address] = reason(error) if isinstance(error, OSError) else str(error)
    finally:
        await _ended(running)
    raise DialError(f"dial tcp {host_port(addresses[0], port)}: {problems[addresses[0]]}")


async def _opened(address: str, port: int) -> socket.socket:
    """A socket that is connected."""
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.settimeout(0)
        await asyncio.get_running_loop().sock_connect(opened, (address, port))
    except BaseException:
        opened.close()
        raise
    return opened


async def _ended(running: "dict[asyncio.Task[socket.socket], str]") -> None:
    """Let go of those that did not win."""
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
    for task in running:
        if not task.cancelled() and task.exception() is None:
            task.result().close()


def is_address(host: str) -> bool:
    """Whether a host is an address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def reason(error: OSError) -> str:
    """Why a connection failed, in a few words. Raises `error` again when the fault is this machine's."""
    if error.errno in _OURS:
        raise error
    if isinstance(error, TimeoutError) and not error.errno:
        return "timeout"
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error)
    number = error.errno or 0
    return _WORDS.get(number) or (os.strerror(number).lower() if number > 0 else str(error) or _CLOSED)


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {error.verify_message}"
    if error.reason in _NO_TLS:
        return "tls: first record does not look like a TLS handshake"
    return "tls: " + (error.reason or str(error)).lower().replace("_", " ")


def host_port(host: str, port: int) -> str:
    """Both as one text, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

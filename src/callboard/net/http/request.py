"""Requests as handlers see them, one class per door. A request lives for one exchange and works out what it is asked for.

`touched` tells whether a handler looked at who asks (header fields, addresses) and not only at what is asked: then the request line
alone does not lead to its answer, and is not remembered.
"""

from abc import ABC, abstractmethod
from asyncio import Transport
from collections.abc import Mapping
from typing import Final, NamedTuple

from callboard.net.http.blocks import Facts, joined
from callboard.net.http.proxies import HEADER, Proxies
from callboard.wire.url import Query

_MAPPED: Final = "::ffff:"


def plain_address(address: str) -> str:
    """An IPv4 address that was reached through an IPv6 socket, as the IPv4 address it is (RFC 4291 section 2.5.5.2)."""
    return address.removeprefix(_MAPPED) if address.startswith(_MAPPED) and "." in address else address


class HttpRequest(ABC):
    """What both doors have in common."""

    __slots__ = ("_query", "_raw_query", "body", "method", "path", "proxies", "rest", "touched")

    def __init__(self, method: str, path: str, raw_query: str, body: bytes) -> None:
        self.method = method
        self.path = path
        self.rest = ""
        self.body = body
        self.touched = False
        self._raw_query = raw_query
        self.proxies: Proxies | None = None
        """Whose word counts about who calls."""
        self._query: Query | None = None

    @property
    def query(self) -> Query:
        """The parameters. Raises `InvalidError`."""
        if self._query is None:
            self._query = Query(self._raw_query)
        return self._query

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields by lower-case name."""
        self.touched = True
        return self._headers()

    @property
    def peer(self) -> str:
        """The caller's IP address, as a trusted proxy tells it; empty when the socket has none."""
        self.touched = True
        peer = self._address(peer=True)
        if self.proxies and (forwarded := self._headers().get(HEADER)):
            return self.proxies.caller(peer, forwarded)
        return peer

    @property
    def local(self) -> str:
        """The address the caller reached us at."""
        self.touched = True
        return self._address(peer=False)

    @abstractmethod
    def _headers(self) -> Mapping[str, str]: ...

    @abstractmethod
    def _address(self, *, peer: bool) -> str: ...


class QuickRequest(HttpRequest):
    """A request at the quick door: its header fields are the facts of its block."""

    __slots__ = ("_facts", "_transport")

    def __init__(self, method: str, path: str, raw_query: str, body: bytes, facts: Facts, transport: Transport) -> None:
        super().__init__(method, path, raw_query, body)
        self._facts = facts
        self._transport = transport

    def _headers(self) -> Mapping[str, str]:
        return self._facts.headers()

    def _address(self, *, peer: bool) -> str:
        name = self._transport.get_extra_info("peername" if peer else "sockname")
        return plain_address(name[0]) if isinstance(name, tuple) else ""


class LongRequest(HttpRequest):
    """A request that came through uvicorn and Starlette."""

    __slots__ = ("_client", "_pairs", "_server")

    def __init__(self, method: str, path: str, raw_query: str, body: bytes, origin: "Origin") -> None:
        super().__init__(method, path, raw_query, body)
        self._pairs, self._client, self._server = origin

    def _headers(self) -> Mapping[str, str]:
        return joined(self._pairs)

    def _address(self, *, peer: bool) -> str:
        address = self._client if peer else self._server
        return plain_address(address[0]) if address else ""


class Origin(NamedTuple):
    """Where a request on the long way comes from, as ASGI tells it: header fields, the client's address, ours."""

    pairs: list[tuple[bytes, bytes]]
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None

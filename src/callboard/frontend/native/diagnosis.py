"""`/api/v1/diagnosis`: what only the server can see of how it is placed, for `callboard doctor`. It judges nothing.

It dials two addresses: its own, as it is told to others, and the caller's. Nobody can have it dial a third one.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from callboard import __version__
from callboard.frontend.base import Machine, Operations
from callboard.frontend.native import table
from callboard.frontend.native.errors import RETRY_AFTER, problem
from callboard.frontend.native.operations import Served
from callboard.frontend.native.settings import NativeSettings
from callboard.model.check import TlsOptions
from callboard.model.errors import InvalidError
from callboard.model.members import LEVEL
from callboard.net.client import Outgoing, RequestError, fetch
from callboard.net.dial import dial, host_port
from callboard.net.http.message import Answer, Later, Reply, Request
from callboard.net.lookup import DialError
from callboard.net.probe_tls import ProbeTls
from callboard.net.tasks import Tasks
from callboard.registry.registry import Registry
from callboard.wire import native_server
from callboard.wire.parameters import number

_PORT_MAX: Final = 65_535
_STATUS: Final = "/api/v1/status"


class _Named(msgspec.Struct, gc=False):
    """What of a status tells servers apart."""

    member: str


class _Looking(NamedTuple):
    """An answer that is worked out once somebody waits for it."""

    begin: Callable[[Callable[[Answer], None]], None]

    def then(self, callback: Callable[[Answer], None]) -> None:
        """Begin."""
        self.begin(callback)


class Diagnoses:
    """Its handler; lives as long as the server."""

    def __init__(self, registry: Registry, settings: NativeSettings) -> None:
        self._registry = registry
        self._settings = settings
        self._tasks = Tasks()
        self._now_count = 0
        self._url = ""
        self._operations: Operations | None = None

    def operations(self) -> tuple[Served, ...]:
        """Its line of the table."""
        return (Served(table.DIAGNOSIS, self.diagnose),)

    def listening(self, url: str) -> None:
        """Where others reach this server."""
        self._url = url

    def operated(self, operations: Operations) -> None:
        """What may be asked of the whole server."""
        self._operations = operations

    def diagnose(self, request: Request) -> Reply:
        """Answered when both addresses were tried."""
        port = number(request.query, "port", least=1)
        if port is not None and port > _PORT_MAX:
            raise InvalidError("port", f"must be at most {_PORT_MAX}")
        limit = self._settings.diagnoses_max_count
        if self._now_count >= limit:
            return problem(429, "too_many", f"{limit} diagnoses are being made; try again in a second", headers=(RETRY_AFTER,))
        return Later(_Looking(partial(self._look, request.peer, port)))

    def _look(self, peer: str, port: int | None, then: Callable[[Answer], None]) -> None:
        self._tasks.spawn(self._diagnose(peer, port, then), name="diagnosis")

    async def _diagnose(self, peer: str, port: int | None, then: Callable[[Answer], None]) -> None:
        self._now_count += 1
        try:
            own, caller = await asyncio.gather(self._own(), self._caller(peer, port))
        finally:
            self._now_count -= 1
        told = native_server.Diagnosis(
            member=self._registry.settings.member, version=__version__, level=LEVEL, time_ms=self._registry.clock.wall(), advertised=own,
            caller=caller, machine=self._machine(),
        )  # fmt: skip
        then(Answer(200, msgspec.json.encode(told), headers=((b"cache-control", b"no-store"),)))

    async def _own(self) -> native_server.Dialled | None:
        parts = urlsplit(self._url)
        if not parts.hostname or not parts.port:
            return None
        dialled = await self._dialled(parts.hostname, parts.port)
        other = await self._other_than_this() if dialled.reachable else ""
        return native_server.Dialled(dialled.address, reachable=False, detail=other) if other else dialled

    async def _other_than_this(self) -> str:
        """Who takes connections where this server is advertised, as far as it is not this server; empty when it is.

        Whom to believe is not the question here. A server that is reached through TLS may want a certificate which only callers have: then
        a connection is all there is to see.
        """
        asked = Outgoing("GET", self._url + _STATUS, follow_redirects=False, tls=partial(ProbeTls().http, TlsOptions(skip_verify=True)))
        try:
            answer = await fetch(asked, self._settings.dial_timeout_ms / 1_000)
        except (RequestError, DialError, OSError) as error:
            secured = self._url.startswith("https://")
            return "" if secured else f"something takes connections there, and does not answer as this server does ({error})"
        try:
            found = msgspec.json.decode(answer.body, type=_Named).member
        except (msgspec.DecodeError, UnicodeDecodeError):
            return f"something else answers there (status {answer.status})"
        return "" if found == self._registry.settings.member else f"another server, {found}, answers there"

    async def _caller(self, peer: str, port: int | None) -> native_server.Dialled | None:
        return await self._dialled(peer, port) if peer and port else None

    async def _dialled(self, host: str, port: int) -> native_server.Dialled:
        address = host_port(host, port)
        try:
            transport, _ = await dial(asyncio.Protocol, host, port, self._settings.dial_timeout_ms / 1_000)
        except DialError as error:
            return native_server.Dialled(address, reachable=False, detail=str(error).removeprefix(f"dial tcp {address}: "))
        except OSError as error:
            return native_server.Dialled(address, reachable=False, detail=f"this server cannot open a connection: {error.strerror}")
        transport.abort()
        return native_server.Dialled(address, reachable=True)

    def _machine(self) -> native_server.MachineState | None:
        if self._operations is None or self._operations.machine is None:
            return None
        return _state(self._operations.machine())


def _state(machine: Machine) -> native_server.MachineState:
    caps = machine.caps
    return native_server.MachineState(
        http=machine.http, https=machine.https, dns=machine.dns, dns_domain=machine.dns_domain, store=machine.store,
        store_durable=caps.durable, store_shared=caps.shared, value_max_bytes=caps.value_bytes, group_max_rows=caps.rows_limit,
        group_max_bytes=caps.bytes_limit, data=machine.data, data_free_bytes=machine.data_free_bytes,
        data_total_bytes=machine.data_total_bytes, files_open=machine.files_open_count, files_max=machine.files_max_count,
        connections_max=machine.connections_max_count, certificate_expires_s=machine.certificate_expires_s,
    )  # fmt: skip

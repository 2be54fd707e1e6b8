"""The board for programs with threads: sign in, find, call. Its twin for asyncio, with the same names, is `callboard.client.aio.board`."""

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self, Unpack

from callboard.client.attempts import Attempt
from callboard.client.board_settings import BoardSettings, board_settings
from callboard.client.engine import Engine
from callboard.client.events import Observer
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.client.registered import Registered
from callboard.client.service import Service
from callboard.model import names
from callboard.wire.native import ServiceInstances, ServiceList

__all__ = ["Attempt", "Board", "BoardSettings", "Registered", "Service", "connect"]
"""What a program names, also as `callboard.NAME`."""


def connect(
    url: str = "",
    *,
    token: str = "",
    namespace: str = "",
    zone: str = "",
    snapshots: str = "",
    settings: BoardSettings | None = None,
) -> "Board":
    """A board on the registry at `url` (a comma list; `consul://HOST:PORT` for a Consul server); without: what the environment says.

    Opens no connection: a registry that is not there yet is waited for where something is needed of it. Raises `InvalidError`.
    """
    return Board(board_settings(os.environ, url, token, settings=settings, namespace=namespace, zone=zone, snapshots=snapshots))


class Board:
    """One process' dealings with its registry. It may be used by several threads, and lives from `connect` to `close`."""

    def __init__(self, settings: BoardSettings) -> None:
        self.settings = settings
        self._engine = Engine(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._engine}>"

    def register(self, service: str, **options: Unpack[RegisterOptions]) -> Registered:
        """Sign this process in as an instance of `service`, and keep it signed in until the answer is closed.

        With a port it answers at once, and signs in when the port accepts and `ready` passes; `Registered.wait` waits for that. A registry
        that does not answer is tried again for ever. Raises `InvalidError`, and `ClosedError`.

        Options: port, address, id, node, namespace, version, zone, tags, meta, weight, ready, checks, lease_ms, shared, wait_for_port;
        `callboard.client.RegisterOptions` says what they mean.
        """
        return Registered(self._engine, service, options)

    def service(self, name: str, **options: Unpack[ServiceOptions]) -> Service:
        """A handle on a service for those who call it. It is followed from now on. Raises `InvalidError`, and `ClosedError`.

        Options: version, prefer, fallback, tags, labels, zone, passing_only, policy, namespace; `callboard.client.ServiceOptions` says what
        they mean.
        """
        return Service(self._engine, name, options)

    def services(self, *, namespace: str = "") -> ServiceList:
        """Every service of a name space, asked now. Raises `ClientError`, and `ClosedError`."""
        return self._engine.ask().services(namespace or self.settings.namespace)

    def instances(self, service: str, *, namespace: str = "") -> ServiceInstances:
        """Every instance of a service with its health, asked now. Raises `InvalidError`, `ClientError`, and `ClosedError`."""
        return self._engine.ask().instances(names.name("service", service), namespace or self.settings.namespace)

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Tell `observer` every event (`callboard.client.events`), in whatever thread; call the answer to stop."""
        return self._engine.observers.add(observer)

    def close(self) -> None:
        """Sign out everything that this board signed in, and stop following; at most some seconds. Handles go on with what was known."""
        self._engine.close()

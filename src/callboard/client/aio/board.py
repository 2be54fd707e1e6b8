"""The board for asyncio: sign in, find, call. The same names as `callboard.client.board`; what may wait is awaited."""

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self, Unpack

from callboard.client.aio.offload import in_thread, running_loop
from callboard.client.aio.registered import Registered
from callboard.client.aio.service import Service
from callboard.client.board_settings import BoardSettings, board_settings
from callboard.client.engine import Engine
from callboard.client.events import Observer
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.model import names
from callboard.wire.native import ServiceInstances, ServiceList

__all__ = ["Board", "connect"]


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

    Opens no connection and needs no running loop. Use it with `async with`. Raises `InvalidError`.
    """
    return Board(board_settings(os.environ, url, token, settings=settings, namespace=namespace, zone=zone, snapshots=snapshots))


class Board:
    """One process' dealings with its registry. It lives from `connect` to `close`."""

    def __init__(self, settings: BoardSettings) -> None:
        self.settings = settings
        self._engine = Engine(settings)

    async def __aenter__(self) -> Self:
        running_loop()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._engine}>"

    def register(self, service: str, **options: Unpack[RegisterOptions]) -> Registered:
        """As `callboard.client.board.Board.register`, and the running loop is watched: while it stands still, the instance is `warning`.

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

    async def services(self, *, namespace: str = "") -> ServiceList:
        """Every service of a name space, asked now. Raises `ClientError`, and `ClosedError`."""
        return await in_thread(lambda: self._engine.ask().services(namespace or self.settings.namespace))

    async def instances(self, service: str, *, namespace: str = "") -> ServiceInstances:
        """Every instance of a service with its health, asked now. Raises `InvalidError`, `ClientError`, and `ClosedError`."""
        return await in_thread(lambda: self._engine.ask().instances(names.name("service", service), namespace or self.settings.namespace))

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Tell `observer` every event (`callboard.client.events`), in whatever thread; call the answer to stop."""
        return self._engine.observers.add(observer)

    async def close(self) -> None:
        """Sign out everything that this board signed in, and stop following; at most some seconds. Handles go on with what was known."""
        await in_thread(self._engine.close)

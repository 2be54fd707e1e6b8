"""Litestar: a lifespan that signs the application in, a middleware that counts its requests, and dependencies for those it calls.

    app = Litestar(
        route_handlers=[...],
        lifespan=[lifespan("orders", port=8000)],
        middleware=[CallboardMiddleware],
        dependencies={"users": service("users")},
    )

    @get("/orders/{number:int}")
    async def order(number: int, users: NamedDependency[Service]) -> ...

Needs the extra `litestar`. The lifespan runs in every worker process; those of one port share one instance.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Unpack, cast

from callboard import aio
from callboard.aio import Service
from callboard.client.board_settings import BoardSettings
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.integrations.base import asgi
from callboard.integrations.base.lifespan import Inner, Sign, board_of, registration_of, service_of, signed_in
from callboard.integrations.base.needs import needs

with needs("litestar"):
    from litestar import Litestar, Request
    from litestar.connection import ASGIConnection
    from litestar.di import Provide
    from litestar.middleware import MiddlewareProtocol
    from litestar.types import ASGIApp, Receive, Scope, Send

__all__ = ["CallboardMiddleware", "Service", "board", "lifespan", "registered", "service"]

Connection = ASGIConnection[Any, Any, Any, Any]


class CallboardMiddleware(MiddlewareProtocol):
    """Counts requests under way and hands the caller's deadline on. Litestar calls it for its routes only, so probes are routes here."""

    def __init__(self, app: ASGIApp) -> None:
        self._counted = asgi.CallboardMiddleware(cast(asgi.ASGIApp, app))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or websocket."""
        await self._counted(cast(asgi.Scope, scope), cast(asgi.Receive, receive), cast(asgi.Send, send))


def lifespan(
    service: str,
    *,
    url: str = "",
    token: str = "",
    settings: BoardSettings | None = None,
    inner: Inner[Litestar] | None = None,
    **options: Unpack[RegisterOptions],
) -> Callable[[Litestar], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """One of the `lifespan=[...]` of an application that is an instance of `service`.

    `port` is where callers reach it; without, the environment's PORT. `inner` is a lifespan that ends after the instance has left. The
    other arguments are those of `callboard.connect` and `Board.register`.
    """
    sign = Sign(service, options, url, token, settings)
    return lambda app: signed_in(sign, app, inner)


def board(connection: Connection) -> aio.Board:
    """The application's board. Raises `InvalidError` when its lifespan has not run."""
    return board_of(connection.scope)


def registered(connection: Connection) -> aio.Registered:
    """The application's registration. Raises `InvalidError` when its lifespan has not run."""
    return registration_of(connection.scope)


def service(name: str, **options: Unpack[ServiceOptions]) -> Provide:
    """For `dependencies={"users": service("users")}`: a handle on a service that the application calls, the same one for every request."""

    def handle(request: Request[Any, Any, Any]) -> Service:
        return service_of(request.scope, name, **options)

    return Provide(handle, sync_to_thread=False)

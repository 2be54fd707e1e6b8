"""Starlette: a lifespan that signs the application in, and a middleware that counts its requests.

    app = Starlette(routes=..., lifespan=lifespan("orders", port=8000), middleware=[Middleware(CallboardMiddleware)])

Needs the extra `starlette`. The lifespan runs in every worker process; those of one port share one instance.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Unpack

from callboard import aio
from callboard.client.board_settings import BoardSettings
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.integrations.base.asgi import CallboardMiddleware
from callboard.integrations.base.lifespan import Inner, Sign, board_of, registration_of, service_of, signed_in
from callboard.integrations.base.needs import needs

with needs("starlette"):
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection

__all__ = ["CallboardMiddleware", "board", "lifespan", "registered", "service"]


def lifespan(
    service: str,
    *,
    url: str = "",
    token: str = "",
    settings: BoardSettings | None = None,
    inner: Inner[Starlette] | None = None,
    **options: Unpack[RegisterOptions],
) -> Callable[[Starlette], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """The `lifespan=` of an application that is an instance of `service`.

    `port` is where callers reach it; without, the environment's PORT. `inner` is your own lifespan: entered first, left last. The other
    arguments are those of `callboard.connect` and `Board.register`.
    """
    sign = Sign(service, options, url, token, settings)
    return lambda app: signed_in(sign, app, inner)


def board(request: HTTPConnection) -> aio.Board:
    """The application's board. Raises `InvalidError` when its lifespan has not run."""
    return board_of(request.scope)


def registered(request: HTTPConnection) -> aio.Registered:
    """The application's registration. Raises `InvalidError` when its lifespan has not run."""
    return registration_of(request.scope)


def service(request: HTTPConnection, name: str, **options: Unpack[ServiceOptions]) -> aio.Service:
    """A handle on a service that the application calls: the same one for every request that asks for the same. Raises `InvalidError`."""
    return service_of(request.scope, name, **options)

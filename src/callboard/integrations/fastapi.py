"""FastAPI: a lifespan that signs the application in, a middleware that counts its requests, and dependencies for those it calls.

    app = FastAPI(lifespan=lifespan("orders", port=8000))
    app.add_middleware(CallboardMiddleware)

    @app.get("/orders/{number}")
    async def order(number: int, users: Annotated[Service, Depends(service("users"))]) -> ...

Needs the extra `fastapi`. The lifespan runs in every worker process; those of one port share one instance.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Unpack

from callboard import aio
from callboard.aio import Service
from callboard.client.board_settings import BoardSettings
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.integrations.base.asgi import CallboardMiddleware
from callboard.integrations.base.lifespan import Inner, Sign, board_of, registration_of, service_of, signed_in
from callboard.integrations.base.needs import needs

with needs("fastapi"):
    from fastapi import FastAPI
    from fastapi.requests import HTTPConnection

__all__ = ["CallboardMiddleware", "Service", "board", "lifespan", "registered", "service"]


def lifespan(
    service: str,
    *,
    url: str = "",
    token: str = "",
    settings: BoardSettings | None = None,
    inner: Inner[FastAPI] | None = None,
    **options: Unpack[RegisterOptions],
) -> Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """The `lifespan=` of an application that is an instance of `service`.

    `port` is where callers reach it; without, the environment's PORT. `inner` is your own lifespan: entered first, left last. The other
    arguments are those of `callboard.connect` and `Board.register`.
    """
    sign = Sign(service, options, url, token, settings)
    return lambda app: signed_in(sign, app, inner)


def board(request: HTTPConnection) -> aio.Board:
    """For `Depends(board)`: the application's board."""
    return board_of(request.scope)


def registered(request: HTTPConnection) -> aio.Registered:
    """For `Depends(registered)`: the application's registration."""
    return registration_of(request.scope)


def service(name: str, **options: Unpack[ServiceOptions]) -> Callable[[HTTPConnection], Service]:
    """For `Depends(service("users"))`: a handle on a service that it calls, the same one for all routes that ask for the same."""

    def handle(request: HTTPConnection) -> Service:
        return service_of(request.scope, name, **options)

    return handle

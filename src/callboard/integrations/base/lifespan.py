"""The lifespan of an ASGI application: signed in while it serves. What it makes lives from the start of the application to its end.

The order is what matters. The user's own lifespan starts first and ends last, so nobody is called before its database is open or after
it was closed. The registration begins inside, and waits by itself until the server accepts. SIGTERM is announced before the server hears
of it (`Registered.on_sigterm`), so that callers know before the port closes.
"""

import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, NamedTuple, TypeVar, Unpack

from callboard import aio
from callboard.client.board_settings import BoardSettings
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.integrations.base.asgi import STATE_BOARD, STATE_REGISTERED, STATE_SERVICES, held
from callboard.integrations.base.serving import Handles, with_port
from callboard.model.errors import InvalidError

A = TypeVar("A")
T = TypeVar("T")
Inner = Callable[[A], AbstractAsyncContextManager[Mapping[str, Any] | None]]
"""A lifespan of the user's own, as Starlette, FastAPI and Litestar take it."""


class Sign(NamedTuple):
    """Who signs in where: what a lifespan is told."""

    service: str
    options: RegisterOptions
    url: str = ""
    token: str = ""
    settings: BoardSettings | None = None


class Services(Handles[aio.Service]):
    """The handles on other services that the requests of one application share."""


def board_of(scope: Mapping[str, object]) -> aio.Board:
    """The board of the application that a request is for. Raises `InvalidError` when its lifespan has not run."""
    return _found(scope, STATE_BOARD, aio.Board)


def registration_of(scope: Mapping[str, object]) -> aio.Registered:
    """Its registration. Raises `InvalidError` when its lifespan has not run."""
    return _found(scope, STATE_REGISTERED, aio.Registered)


def service_of(scope: Mapping[str, object], name: str, **options: Unpack[ServiceOptions]) -> aio.Service:
    """A handle on a service that it calls, the same for every request that asks for the same. Raises `InvalidError`."""
    return _found(scope, STATE_SERVICES, Services).get(name, options)


def _found(scope: Mapping[str, object], name: str, kind: type[T]) -> T:
    found = held(scope, name)
    if not isinstance(found, kind):
        raise InvalidError("lifespan", "the application has no board: give it lifespan=lifespan(...), and in tests enter its TestClient")
    return found


@asynccontextmanager
async def signed_in(sign: Sign, app: A, inner: Inner[A] | None = None) -> AsyncIterator[dict[str, Any]]:
    """Signed in; answers what the state of each request shall hold: what `inner` yields, the board and the registration.

    The board stands in `app.state` before `inner` begins, which may want to call somebody.
    """
    options = with_port(sign.options, os.environ)
    async with aio.connect(sign.url, token=sign.token, settings=sign.settings) as board:
        shared: dict[str, Any] = {STATE_BOARD: board, STATE_SERVICES: Services(lambda name, options: board.service(name, **options))}
        _put(app, shared)
        async with inner(app) if inner is not None else nullcontext() as state:
            registered = board.register(sign.service, **options)
            if threading.current_thread() is threading.main_thread():  # a test client's loop runs in another
                registered.on_sigterm()
            shared[STATE_REGISTERED] = registered
            _put(app, shared)
            try:
                yield {**(state or {}), **shared}
            finally:
                await registered.close()


def _put(app: object, shared: Mapping[str, Any]) -> None:
    state = getattr(app, "state", None)
    if state is not None:
        for name, value in shared.items():
            setattr(state, name, value)

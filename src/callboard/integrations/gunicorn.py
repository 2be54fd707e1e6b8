"""gunicorn: hooks for `gunicorn.conf.py` that sign the workers in, whatever application and kind of worker.

    from callboard.integrations.gunicorn import hooks

    post_worker_init, worker_exit, on_reload, child_exit = hooks("orders")

Needs the extra `gunicorn`. No registration lives in the master: threads do not survive its forks. Each worker signs in after it has
loaded the application; the workers of one port share one instance, which lives until the last of them has ended. The application is
wrapped in the worker, so its requests are counted and their deadlines handed on without a line in the application.

At a reload (SIGHUP) gunicorn sends the old workers away before the new ones have begun. The last of the old ones would sign the instance
out; so the master waits at the instance until they are gone, and then leaves it to the new ones.
"""

import inspect
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, Unpack, cast

from callboard.client.board import Board, connect
from callboard.client.board_settings import BoardSettings
from callboard.client.engine import open_backend
from callboard.client.options import RegisterOptions
from callboard.client.registered import Registered
from callboard.client.registering import ServicePlan
from callboard.client.seat import Seat
from callboard.integrations.base.asgi import ASGIApp, CallboardMiddleware, Receive, Scope, Send
from callboard.integrations.base.serving import POD_VARIABLE, Probes, with_port
from callboard.integrations.base.wsgi import CallboardWSGIMiddleware, WSGIApp
from callboard.model.errors import CallboardError, InvalidError

_log: Final = logging.getLogger("callboard.gunicorn")
_ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # compared with, not bound


class Worker(Protocol):
    """What is used of gunicorn's workers."""

    age: int
    sockets: Sequence[Any]
    wsgi: Any


class Arbiter(Protocol):
    """What is used of its master."""

    LISTENERS: Sequence[Any]
    WORKERS: Mapping[int, Worker]
    worker_age: int


class Hooks(NamedTuple):
    """The hooks, in the order in which `gunicorn.conf.py` names them."""

    post_worker_init: Callable[[Worker], None]
    worker_exit: Callable[[Arbiter, Worker], None]
    on_reload: Callable[[Arbiter], None]
    child_exit: Callable[[Arbiter, Worker], None]


def hooks(
    service: str,
    *,
    url: str = "",
    token: str = "",
    settings: BoardSettings | None = None,
    health_path: str = "",
    ready_path: str = "",
    **options: Unpack[RegisterOptions],
) -> Hooks:
    """`post_worker_init, worker_exit, on_reload, child_exit = hooks("orders")`: every worker serves `service`.

    The port is that of gunicorn's first TCP listener, and the address too when it is bound to one; say `port=` and `address=` when
    callers come another way. `health_path` and `ready_path` are answered in front of the application. The other arguments are those of
    `callboard.connect` and `Board.register`. Raises `InvalidError`.
    """
    signed = _Signed(service, options, lambda: connect(url, token=token, settings=settings), Probes(health_path, ready_path))
    return Hooks(signed.begin, signed.end, signed.reload, signed.reaped)


class _Signed:
    """One worker's registration. Made in the master, begun in the worker, ended with it."""

    def __init__(self, service: str, options: RegisterOptions, connect: Callable[[], Board], probes: Probes) -> None:
        self._service = service
        self._options = options
        self._connect = connect
        self._probes = probes
        self._board: Board | None = None
        self._place: Seat | None = None
        self._old = 0

    def begin(self, worker: Worker) -> None:
        """After the worker has loaded its application and installed its signal handlers, before it accepts."""
        self._board = self._connect()
        options = with_port(placed(self._options, worker.sockets, self._board.settings), os.environ)
        registered = self._board.register(self._service, **options)
        health, ready, _ = self._probes
        if hasattr(worker, "asgi"):  # gunicorn's own ASGI worker
            worker.asgi = CallboardMiddleware(worker.asgi, health_path=health, ready_path=ready, find=lambda _: registered)
            _told_in_loop(worker, registered, self._board.settings.drain_notice_ms / 1000)
        elif _is_asgi(worker.wsgi):  # uvicorn's
            counted = CallboardMiddleware(worker.wsgi, health_path=health, ready_path=ready, find=lambda _: registered)
            worker.wsgi = _Told(counted, registered)
        else:
            worker.wsgi = CallboardWSGIMiddleware(cast(WSGIApp, worker.wsgi), lambda _: registered, self._probes)
            registered.on_sigterm()

    def end(self, _arbiter: Arbiter, _worker: Worker) -> None:
        """After the worker has served its last request. The master calls it too, for a worker it does not find: there nothing was begun."""
        if self._board is not None:
            self._board.close()

    def reload(self, arbiter: Arbiter) -> None:
        """In the master, before the new workers begin: wait at the instance, so that the last of the old ones does not sign it out."""
        settings = self._connect().settings
        try:
            options = with_port(placed(self._options, arbiter.LISTENERS, settings), os.environ)
            plan = ServicePlan(self._service, options, settings, open_backend(settings))
            place = plan.seat(plan.registration())
            if place is not None:
                place.take()
        except CallboardError as error:
            _log.warning("%s may be signed out for a moment while the workers are replaced: %s", self._service, error)
            return
        self._place, self._old = place, arbiter.worker_age

    def reaped(self, arbiter: Arbiter, _worker: Worker) -> None:
        """In the master, when a worker has ended: the last of the old ones leaves the instance to the new ones."""
        if self._place is not None and all(worker.age > self._old for worker in arbiter.WORKERS.values()):
            self._place.leave(_nothing)
            self._place = None


class _Told:
    """An ASGI application that tells its registration when its server has begun: only then are uvicorn's signal handlers in place.

    uvicorn puts them there after gunicorn's last hook, and asks for the lifespan next, whether the application has one or not.
    """

    def __init__(self, app: ASGIApp, registered: Registered) -> None:
        self._app = app
        self._registered = registered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self._registered.on_sigterm()
        await self._app(scope, receive, send)


def _nothing() -> None:
    """The master says no goodbye for others."""


def _told_in_loop(worker: Any, registered: Registered, notice_s: float) -> None:  # noqa: ANN401  # has more than the other workers
    """gunicorn's ASGI worker hears of SIGTERM through its loop, where no handler can be chained: it is announced first there too."""
    loop, leave = worker.loop, worker.handle_exit_signal

    def announce() -> None:
        loop.remove_signal_handler(signal.SIGTERM)
        loop.add_signal_handler(signal.SIGTERM, leave)  # asked a second time it does not wait
        registered.drain(wait=False)
        loop.call_later(notice_s, leave)

    loop.add_signal_handler(signal.SIGTERM, announce)


def placed(options: RegisterOptions, sockets: Sequence[Any], settings: BoardSettings) -> RegisterOptions:
    """The options with what the listeners say: the port, and the address when it is one that callers can mean."""
    if "port" in options:
        return options
    bound = next((listener.sock.getsockname() for listener in sockets if listener.sock.family in {socket.AF_INET, socket.AF_INET6}), None)
    if bound is None:
        raise InvalidError("port", "gunicorn listens on no TCP port here; say hooks(..., port=...): where callers reach this service")
    placed: RegisterOptions = {**options, "port": bound[1]}
    said = options.get("address") or settings.advertise or os.environ.get(POD_VARIABLE)
    if not said and bound[0] not in _ANYWHERE:
        placed["address"] = bound[0]
    return placed


def _is_asgi(app: object) -> bool:
    """Whether calling it gives something to await: as uvicorn decides it."""
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None))  # noqa: B004

"""A registration that begins in whichever process serves, for frameworks that are not told when that is (Flask, Django).

The process that loads an application need not be the one that serves it: reloaders load it in a parent that only watches files, servers
load it and fork, commands load it and never serve. Sure is only this: who handles a request serves. So the first request begins it. To
make that first request come (nobody calls what is not registered), a thread asks the registered port once, as soon as it accepts:
whoever serves it begins, in this process or in another. Under gunicorn no thread is started, since its master forks: there
`callboard.integrations.gunicorn` is told when a worker serves, and at which port, so none need be said.
"""

import contextlib
import http.client
import logging
import os
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Final

from callboard.client.board import Board
from callboard.client.engine import open_backend
from callboard.client.options import RegisterOptions
from callboard.client.registered import Registered
from callboard.client.registering import ServicePlan
from callboard.integrations.base.serving import NOTHING, Probes, with_port
from callboard.integrations.base.wsgi import ENVIRON_REGISTERED, CallboardWSGIMiddleware, Environ, StartResponse, WSGIApp, send
from callboard.model.errors import CallboardError, InvalidError
from callboard.net import threads

_log: Final = logging.getLogger("callboard.client")
KNOCK_PATH: Final = "/.well-known/callboard"
"""What the thread asks for; the middleware answers it with nothing."""
_SERVER_VARIABLE: Final = "SERVER_SOFTWARE"
"""gunicorn's master says its name here before it loads an application."""
_ANY_PORT: Final = 1
"""For looking over the other options when the port is not known yet."""
KNOCK_EVERY_MIN_S: Final = 0.1
KNOCK_EVERY_MAX_S: Final = 2.0
KNOCK_GROWTH: Final = 1.3
"""A server that takes long to start is asked less and less often."""
_KNOCK_TIMEOUT_S: Final = 5.0
_HOSTS: Final = ("127.0.0.1", "::1")


class Lazily:
    """One application's board, and its registration in each process that serves. It lives as long as the application."""

    def __init__(self, service: str, options: RegisterOptions, board: Board) -> None:
        """Opens and begins nothing. Raises `InvalidError` for what no registry takes, and, but under gunicorn, when no port is said."""
        self.service = service
        self.options = options if _under_gunicorn(os.environ) else with_port(options, os.environ)
        ServicePlan(service, {"port": _ANY_PORT, **self.options}, board.settings, open_backend(board.settings))
        self.board = board
        self._complained = False
        self._begun: dict[int, Registered] = {}
        self._lock = threading.Lock()

    def registered(self) -> Registered | None:
        """This process' registration; None when it has not begun."""
        return self._begun.get(os.getpid())

    def begin(self) -> Registered:
        """Sign this process in, which serves; once, however often it is called. Raises what `Board.register` raises.

        `InvalidError` too, when gunicorn's hooks were expected to know the port and there are none.
        """
        found = self.registered()
        if found is None:
            with self._lock:
                found = self.registered() or self._begin()
        return found

    def _begin(self) -> Registered:
        registered = self._begun[os.getpid()] = self.board.register(self.service, **self._placed())
        if threading.current_thread() is threading.main_thread():
            registered.on_sigterm()
        return registered

    def _placed(self) -> RegisterOptions:
        try:
            return with_port(self.options, os.environ)
        except InvalidError as error:
            raise InvalidError("port", f"{error.problem}; callboard.integrations.gunicorn.hooks know it") from None

    def of_request(self, environ: Environ) -> Registered | None:
        """The registration a request belongs to: the one that gunicorn's hooks have begun, else this process' own, begun now.

        None when that is refused, as after `close` of the board: the request is served all the same.
        """
        told = environ.get(ENVIRON_REGISTERED)
        return told if isinstance(told, Registered) else self.begun()

    def begun(self) -> Registered | None:
        """As `begin`, for those who serve whatever becomes of it; it is logged once."""
        try:
            return self.begin()
        except CallboardError as error:
            if not self._complained:
                _log.warning("%s is not signed in: %s", self.service, error)
            self._complained = True
            return None

    def wrap(self, app: WSGIApp, probes: Probes) -> WSGIApp:
        """The application, counted, and begun by whoever calls it."""
        counted = CallboardWSGIMiddleware(app, self.of_request, probes)

        def served(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            if environ.get("PATH_INFO") == KNOCK_PATH:
                self.of_request(environ)
                return send(NOTHING, start_response)
            return counted(environ, start_response)

        return served

    def close(self) -> None:
        """Sign out what this process signed in."""
        if (registered := self._begun.pop(os.getpid(), None)) is not None:
            registered.close()

    def knock(self) -> None:
        """Ask the port once it accepts, so that the process which serves it begins. Ends with the application."""
        if _under_gunicorn(os.environ):
            return
        held = weakref.ref(self)
        hosts = (self.options.get("address") or _HOSTS[0], *_HOSTS)
        port = self.options["port"]

        def until_heard() -> None:
            wait_s = KNOCK_EVERY_MIN_S
            while (lazily := held()) is not None and lazily.registered() is None and not any(_knocked(host, port) for host in hosts):
                del lazily  # the application is not kept for this
                time.sleep(wait_s)
                wait_s = min(wait_s * KNOCK_GROWTH, KNOCK_EVERY_MAX_S)

        threads.start(until_heard, name="callboard-knock")


def _under_gunicorn(environment: Mapping[str, str]) -> bool:
    return environment.get(_SERVER_VARIABLE, "").startswith("gunicorn")


def _knocked(host: str, port: int) -> bool:
    """Whether somebody accepts there. It is asked over TLS too, if it does not speak HTTP; what it answers does not matter."""
    plain = http.client.HTTPConnection(host, port, timeout=_KNOCK_TIMEOUT_S)
    try:
        plain.connect()
    except OSError:
        return False
    if not _asked(plain):
        _asked(http.client.HTTPSConnection(host, port, timeout=_KNOCK_TIMEOUT_S, context=_any_certificate()))
    return True


def _asked(connection: http.client.HTTPConnection) -> bool:
    with contextlib.closing(connection):
        try:
            connection.request("GET", KNOCK_PATH)
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
    return True


def _any_certificate() -> ssl.SSLContext:
    """It is this host that is asked, and nothing is told to it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

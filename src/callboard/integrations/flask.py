"""Flask: an extension that signs the application in when it serves, counts its requests, and finds those it calls.

    callboard = Callboard(service="orders", port=5000)

    def create_app() -> Flask:
        app = Flask(__name__)
        callboard.init_app(app)

    @app.get("/")
    def index(): ... callboard.service("users").pick() ...

Needs the extra `flask`. It begins in the process that serves, at its first request, which the extension sends itself: never in a
reloader's parent, nor in a command. Under gunicorn use `callboard.integrations.gunicorn.hooks`; the extension then only counts and finds.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Unpack

from callboard.client.board import Board, connect
from callboard.client.board_settings import BoardSettings
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.client.registered import Registered
from callboard.client.service import Service
from callboard.integrations.base.lazily import Lazily
from callboard.integrations.base.needs import needs
from callboard.integrations.base.serving import Handles, Probes
from callboard.model.errors import InvalidError

with needs("flask"):
    from flask import Flask, current_app

__all__ = ["Callboard"]

_EXTENSION: Final = "callboard"


class Callboard:
    """The extension. What is not said here is read from the application's configuration: CALLBOARD_SERVICE, CALLBOARD_PORT, CALLBOARD_URL,
    CALLBOARD_TOKEN. With CALLBOARD_ENABLED = False, or without a service, nothing is signed in.

    One extension may serve several applications: what belongs to one of them is kept with it.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        service: str = "",
        url: str = "",
        token: str = "",
        settings: BoardSettings | None = None,
        health_path: str = "",
        ready_path: str = "",
        check: Callable[[], bool] | None = None,
        **options: Unpack[RegisterOptions],
    ) -> None:
        """`port` is where callers reach it; without, CALLBOARD_PORT of the configuration, or the environment's PORT."""
        self._service = service
        self._url = url
        self._token = token
        self._settings = settings
        self._probes = Probes(health_path, ready_path, check)
        self._options = options
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Count its requests, and sign it in once it serves. Raises `InvalidError`."""
        said = app.config
        board = connect(
            self._url or said.get("CALLBOARD_URL", ""), token=self._token or said.get("CALLBOARD_TOKEN", ""), settings=self._settings
        )
        service = self._service or said.get("CALLBOARD_SERVICE", "")
        lazily: Lazily | None = None
        if service and said.get("CALLBOARD_ENABLED", True):
            options = self._options
            if "port" not in options and "CALLBOARD_PORT" in said:
                options = {**options, "port": int(said["CALLBOARD_PORT"])}
            lazily = Lazily(service, options, board)
        app.extensions[_EXTENSION] = _Held(board, lazily, Handles(lambda name, options: board.service(name, **options)))
        if lazily is not None:
            app.wsgi_app = lazily.wrap(app.wsgi_app, self._probes)  # type: ignore[assignment, method-assign]  # how Flask documents it
            lazily.knock()

    def begin(self, app: Flask | None = None) -> Registered:
        """Sign in now rather than at the first request, in a process that surely serves. Raises `InvalidError` when there is no service."""
        lazily = self._held(app).lazily
        if lazily is None:
            raise InvalidError("service", "this application names none, or CALLBOARD_ENABLED is off")
        return lazily.begin()

    @property
    def board(self) -> Board:
        """The current application's board."""
        return self._held().board

    @property
    def registered(self) -> Registered | None:
        """The current application's registration by this process; None when it has not begun."""
        lazily = self._held().lazily
        return lazily.registered() if lazily is not None else None

    def service(self, name: str, **options: Unpack[ServiceOptions]) -> Service:
        """A handle on a service that the current application calls: the same one for every request that asks for the same."""
        return self._held().services.get(name, options)

    @staticmethod
    def _held(app: Flask | None = None) -> "_Held":
        held = (app or current_app).extensions.get(_EXTENSION)
        if not isinstance(held, _Held):
            raise InvalidError("app", "this application was not given to Callboard.init_app")
        return held


class _Held(NamedTuple):
    """What belongs to one application."""

    board: Board
    lazily: Lazily | None
    services: Handles[Service]

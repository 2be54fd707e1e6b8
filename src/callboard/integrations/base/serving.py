"""What every server side integration shares: which port is registered, what expired work is answered, what `/health` and `/ready` say.

Everything here is a value or a plain function. What lives as long as a process (the board, the registration) belongs to the integration
that made it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from callboard.client import deadline
from callboard.client.options import RegisterOptions, ServiceOptions
from callboard.model.errors import InvalidError
from callboard.wire.native import Problem

S = TypeVar("S")

PORT_VARIABLE: Final = "PORT"
"""What platforms tell a program about the port it shall listen on, and what many start scripts hand to the server as `--port`."""
POD_VARIABLE: Final = "POD_IP"
"""The address of this pod, as Kubernetes' downward API is usually asked to tell it."""
PORT_MAX: Final = 65_535
GOING: Final = frozenset({"draining", "ended"})
"""States in which a process wants no new work."""
_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"


class Serving(Protocol):
    """What the middlewares need of a registration: `Registered` of either board."""

    @property
    def state(self) -> str:
        """`starting`, `registered`, `waiting`, `lost`, `draining`, `ended` or `refused`."""
        ...

    def working(self) -> AbstractContextManager[object]:
        """Counts one piece of work as under way."""
        ...


class Answer(NamedTuple):
    """A complete HTTP answer, for whatever server interface sends it."""

    status: int
    content_type: str
    body: bytes

    @property
    def line(self) -> str:
        """As WSGI wants the status: `504 Gateway Timeout`."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


class Probes(NamedTuple):
    """Which paths a middleware answers itself. An empty path: none."""

    health: str = ""
    """200 while the process answers at all."""
    ready: str = ""
    """200 while it takes new work; 503 when `check` says no, and from the moment it drains."""
    check: Callable[[], bool] | None = None
    """Whether what the application itself needs is there; it must answer at once."""

    def answer(self, method: str, path: str, serving: Serving | None) -> Answer | None:
        """The answer to a probe; None when the request is none."""
        if method not in {"GET", "HEAD"} or not path or path not in {self.health, self.ready}:
            return None
        if path == self.health:
            return _said(200, "passing")
        state = serving.state if serving is not None else ""
        if state in GOING:
            return _said(503, state)
        if self.check is not None and not self.check():
            return _said(503, "not ready")
        return _said(200, "passing")


NO_PROBES: Final = Probes()
"""All paths are the application's own."""


class Handles(Generic[S]):
    """The handles on other services that the requests of one application share. They live as long as its board.

    Only a handle that is kept knows which instances are slow or ill.
    """

    def __init__(self, make: Callable[[str, ServiceOptions], S]) -> None:
        self._make = make
        self._made: dict[tuple[str, bytes], S] = {}

    def get(self, name: str, options: ServiceOptions) -> S:
        """The handle for these options, made when it is first asked for."""
        key = (name, msgspec.json.encode(options, order="sorted"))
        found = self._made.get(key)
        return found if found is not None else self._made.setdefault(key, self._make(name, options))


def with_port(options: RegisterOptions, environment: Mapping[str, str]) -> RegisterOptions:
    """The options with the port that is registered: the one that was said, else PORT. Raises `InvalidError` when neither says one.

    It is not guessed: an application is not told where its server listens, and a wrong address in a registry is worse than none.
    """
    if "port" in options:
        return options
    said = environment.get(PORT_VARIABLE, "").strip()
    if not said:
        raise InvalidError("port", f"say port=..., or set {PORT_VARIABLE}: an application is not told where its server listens")
    if not said.isascii() or not said.isdigit() or not 0 < int(said) <= PORT_MAX:
        raise InvalidError("port", f"{PORT_VARIABLE} is {said!r}, and must be a number from 1 to {PORT_MAX}")
    return {**options, "port": int(said)}


NOTHING: Final = Answer(204, "", b"")
"""There is nothing to say."""


def time_left(header: str | None) -> float | None:
    """Seconds that the caller still waits; None when it did not say, or said nothing sensible."""
    return deadline.from_header(header) if header else None


def expired() -> Answer:
    """The answer to work whose caller has given up: it was not begun."""
    status = HTTPStatus.GATEWAY_TIMEOUT
    problem = Problem(
        type="urn:callboard:expired",
        title=status.phrase,
        status=status,
        detail=f"{deadline.HEADER} says that the caller does not wait any more; the work was not begun",
        code="expired",
    )
    return Answer(status, _PROBLEM, msgspec.json.encode(problem))


def _said(status: int, word: str) -> Answer:
    return Answer(status, _JSON, msgspec.json.encode({"status": word}))

"""What every calling integration needs: which service a name in a URL means, which calls may be repeated, where a redirect leads.

`svc://orders/path` means: the path `/path` of one instance of `orders`, another one perhaps for each call. The name stays what the caller
sees (URLs of answers, cookies, redirects); only what goes over the wire has an instance's address.
"""

import math
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final, Generic, Protocol, TypeVar, Unpack, cast
from urllib.parse import urljoin, urlsplit, urlunsplit

from callboard.client.options import ServiceOptions, check_known
from callboard.model.errors import InvalidError

SCHEME: Final = "svc"
IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""RFC 9110, 9.2.2: sent twice they do what they do once."""
SERVICES_MAX_COUNT: Final = 1_000
"""Names that one client follows: more come from URLs that strangers made."""
GRACE_S: Final = 0.05
"""A library's own timeout says what it waited for, so it goes first; ours, over all its phases, comes so much later."""

_DOORS: Final = {"callboard.client.board": "callboard.connect()", "callboard.client.aio.board": "callboard.aio.connect()"}
"""Which function makes the boards of a module. (The one for asyncio is not loaded for those who do without.)"""
_EXAMPLE: Final = '{"orders": {"version": "^2"}}'

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class NamedOptions(ServiceOptions, total=False):
    """Options of a service under a name of the program's own, so that it can call two versions of one service."""

    service: str
    """The service's name in the registry; else the name in the URL."""


Services = Mapping[str, NamedOptions]
"""How the services of one client are called: `{"orders": {"version": "^2"}}`. Others are called without options."""


class Offers(Protocol[S_co]):
    """A board of either kind."""

    def service(self, name: str, **options: Unpack[ServiceOptions]) -> S_co:
        """A handle."""
        ...


def check_board(board: object, kind: type, user: str, instead: str) -> None:
    """A board of the other kind would only fail at the first call; `instead` is for such boards. Raises `TypeError`."""
    if not isinstance(board, kind):
        door = _DOORS.get(type(board).__module__)
        given = f"a board of {door}; or use {instead}" if door is not None else type(board).__name__
        raise TypeError(f"{user} needs a board of {_DOORS[kind.__module__]}, not {given}")


class Handles(Generic[S]):
    """The handles that one client uses, made when a name is first called. They live as long as the client."""

    def __init__(self, board: Offers[S], services: Services | None = None, **common: Unpack[ServiceOptions]) -> None:
        """`common` holds for every service, unless `services` says otherwise for one. Raises `InvalidError`."""
        self._board = board
        self._common = common
        self._named: dict[str, tuple[str, NamedOptions]] = {}
        for name, options in _checked(services).items():
            if self._named.setdefault(name.lower(), (name, options))[0] != name:
                raise InvalidError(
                    "services",
                    f"{name!r} and another name differ in case only, which URLs do not keep; name one otherwise, with `service=`",
                )
        self._known: dict[str, S] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> S:
        """The handle that a name in a URL means. Raises `InvalidError`."""
        found = self._known.get(name)
        return found if found is not None else self._make(name)

    def _make(self, name: str) -> S:
        with self._lock:
            if name in self._known:
                return self._known[name]
            if len(self._known) >= SERVICES_MAX_COUNT:
                raise InvalidError(
                    "service", f"one client calls at most {SERVICES_MAX_COUNT} services; are names taken from what strangers send?"
                )
            said, own = self._named.get(name.lower(), (name, NamedOptions()))
            options = cast(NamedOptions, {**self._common, **own})
            service = options.pop("service", said)
            made = self._board.service(service, **cast(ServiceOptions, options))
            self._known[name] = made
            return made


def _checked(services: Services | None) -> Services:
    """They come from configurations too. Raises `InvalidError`, and `TypeError` for an option that there is none of."""
    said: object = services or {}
    if not isinstance(said, Mapping):
        raise InvalidError("services", f"must map names to options, as {_EXAMPLE} does, and is {said!r}")
    for name, options in said.items():
        if not isinstance(name, str) or not isinstance(options, Mapping):
            raise InvalidError("services", f"must map names to options, as {_EXAMPLE} does, and maps {name!r} to {options!r}")
        check_known(f"services[{name!r}]", options, NamedOptions)
    return cast(Services, said)


def shorter(limit_s: float | None, bound_s: float) -> float | None:
    """The shorter of a caller's limit (None: none) and a bound, as libraries want it: None for no limit."""
    least = bound_s if limit_s is None else min(limit_s, bound_s)
    return None if least == math.inf else least


def retry_after_s(text: str | None) -> float | None:
    """What a `Retry-After` header asks for: seconds, or a date. None when it says nothing that can be read."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def redirect_target(location: str, asked: str, *places: str) -> str:
    """Where a redirect from the logical URL `asked` leads: to the service again where it names one of `places` (host:port of an instance).

    Libraries cannot join relative references to a scheme they do not know, so the answer is always absolute.
    """
    here = urlsplit(asked)
    target = urlsplit(urljoin(urlunsplit(("http", *here[1:])), location))
    if target.scheme in {"http", "https", here.scheme} and _bare(target.netloc) in {_bare(here.netloc), *places}:
        return urlunsplit((here.scheme, here.netloc, *target[2:]))
    return urlunsplit(target)


def _bare(netloc: str) -> str:
    """Without user and password."""
    return netloc.rpartition("@")[2].lower()

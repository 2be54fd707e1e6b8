"""What a frontend is: a name, its settings, and a function that builds its part of the server from the registry.

To add one, write a folder with these three and name it in the table of `callboard.server.frontends`; nothing else changes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from callboard.net.http.message import Site
from callboard.net.sharing import Sharing
from callboard.net.tls import ServerTls
from callboard.registry.registry import Registry
from callboard.store.contract import Caps

S = TypeVar("S", bound=Struct)


class Listener(Protocol):
    """Sockets of a frontend's own, beside HTTP. It lives from `start` to `stop`."""

    async def start(self) -> list[str]:
        """Listen; answers the addresses as `host:port`. Raises `OSError` when one is taken."""
        ...

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        ...


class Measure(NamedTuple):
    """One metric as it is now. `counts`: it only goes up, since the server was started."""

    name: str
    value: float
    counts: bool


class LogReader(Protocol):
    """Takes log entries as they come, on the server's loop. It must not wait and must not log."""

    def take(self, entry: "LogEntry") -> None:
        """One entry, of the level that was asked for or above."""
        ...


class LogEntry(NamedTuple):
    """What was logged. `level` is a number of the standard library's."""

    time_ms: int
    level: int
    logger: str
    message: str


class Machine(NamedTuple):
    """Where the server listens, and what its machine has room for, now. Numbers are 0 where the system does not tell."""

    http: tuple[str, ...]
    """URLs, as `https` too."""
    https: tuple[str, ...]
    dns: str
    dns_domain: str
    store: str
    """The scheme of its URL."""
    caps: Caps
    data: str
    """The data directory; empty when nothing is kept there."""
    data_free_bytes: int
    data_total_bytes: int
    files_open_count: int
    files_max_count: int
    connections_max_count: int
    certificate_expires_s: int


@dataclass(frozen=True, slots=True)
class Operations:
    """What a frontend may ask of the server as a whole. Made by the server; it lives as long as that."""

    reload: Callable[[], list[str]]
    """Read again what can change while the server runs, as SIGHUP does; answers what changed, and what needs a new start. Raises
    `CallboardError`: then all is as it was."""
    leave: Callable[[], None]
    """Stop gracefully, as SIGTERM does; returns at once."""
    measures: Callable[[], Iterable[Measure]]
    """Every metric."""
    page: Callable[[], bytes]
    """The same in Prometheus' text format."""
    read_log: Callable[[int, LogReader], Callable[[], None]]
    """From now on the reader is given what is logged from this level on; call what is returned to end it."""
    machine: Callable[[], Machine] | None = None
    """The server and its machine, as they are now. Valid once the server listens."""


@dataclass(frozen=True, slots=True)
class Frontend:
    """A built frontend: its part of the URL space, its own listener, and its counters (a plain struct, read at scrape)."""

    sites: tuple[Site, ...] = ()
    listener: Listener | None = None
    stats: object | None = None
    listening: Callable[[str], None] | None = None
    """Told the URL at which other members reach this server: once HTTP listens, and before the registry opens."""
    secured: Callable[[ServerTls], None] | None = None
    """Handed the server's certificate, for its own listener; before that starts, and only where there is a certificate."""
    shared: Callable[[Sharing], None] | None = None
    """Told how its own listener shares its address with other processes of this server; before that starts, and only where it does."""
    operated: Callable[[Operations], None] | None = None
    """Handed what it may ask of the whole server; before HTTP listens."""


@dataclass(frozen=True, slots=True)
class Plugin(Generic[S]):
    """One line in the table of frontends. `settings` is a frozen struct whose defaults work; its fields are `[tune.<name>]` in the file."""

    name: str
    settings: type[S]
    build: Callable[[Registry, S], Frontend]

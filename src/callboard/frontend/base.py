"""What a frontend is: a name, its settings, and a function that builds its part of the server from the registry.

To add one, write a folder with these three and name it in the table of `callboard.server.frontends`; nothing else changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from callboard.net.http.message import Site
from callboard.registry.registry import Registry

S = TypeVar("S", bound=Struct)


class Listener(Protocol):
    """Sockets of a frontend's own, beside HTTP. It lives from `start` to `stop`."""

    async def start(self) -> list[str]:
        """Listen; answers the addresses as `host:port`. Raises `OSError` when one is taken."""
        ...

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        ...


@dataclass(frozen=True, slots=True)
class Frontend:
    """A built frontend: its part of the URL space, its own listener, and its counters (a plain struct, read at scrape)."""

    sites: tuple[Site, ...] = ()
    listener: Listener | None = None
    stats: object | None = None
    listening: Callable[[str], None] | None = None
    """Told the URL at which other members reach this server: once HTTP listens, and before the registry opens."""


@dataclass(frozen=True, slots=True)
class Plugin(Generic[S]):
    """One line in the table of frontends. `settings` is a frozen struct whose defaults work; its fields are `[tune.<name>]` in the file."""

    name: str
    settings: type[S]
    build: Callable[[Registry, S], Frontend]

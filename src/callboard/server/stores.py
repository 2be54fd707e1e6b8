"""The table of stores: URL scheme to what makes the store. To add one, write its folder and add its line here."""

from collections.abc import Callable
from typing import Final

from callboard.model.errors import InvalidError
from callboard.registry.clock import SystemClock
from callboard.server.settings import ServerSettings, Settings
from callboard.store.contract import Store
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from callboard.store.sqlite.store import SqliteStore


def _memory(_rest: str, settings: Settings) -> Store:
    return MemoryStore(MemoryEngine(settings.room("memory")))


def _sqlite(rest: str, settings: Settings) -> Store:
    return SqliteStore(settings.room("sqlite", path=rest.removeprefix("///")), SystemClock().wall)


STORES: Final[dict[str, Callable[[str, Settings], Store]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
}


def store_url(server: ServerSettings) -> str:
    """The URL that is meant: as given, or memory with --dev, or SQLite in the data directory (three slashes, then the path)."""
    return "memory:" if server.dev else server.store or f"sqlite:///{server.data}"


def make_store(settings: Settings) -> Store:
    """The store of the settings, not yet open. Raises `InvalidError` for a scheme that is not built."""
    scheme, _, rest = store_url(settings.server).partition(":")
    make = STORES.get(scheme)
    if make is None:
        raise InvalidError("store", f"{scheme!r} stores are not built yet; use memory: or sqlite:///PATH")
    return make(rest, settings)

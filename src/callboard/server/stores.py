"""The table of stores: URL scheme to what makes the store. To add one, write its folder and add its line here."""

from collections.abc import Callable
from typing import Final

from callboard.model.errors import InvalidError
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.server.settings import ServerSettings, Settings
from callboard.store.contract import Store
from callboard.store.etcd.url import parse_url
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from callboard.store.sqlite.store import SqliteStore
from callboard.store.unix.holding import HeldStore


def _memory(_rest: str, settings: Settings) -> Store:
    return MemoryStore(MemoryEngine(settings.room("memory")))


def _sqlite(rest: str, settings: Settings) -> Store:
    return SqliteStore(settings.room("sqlite", path=rest.removeprefix("///")), SystemClock().wall)


def _etcd(rest: str, settings: Settings) -> Store:
    endpoints, prefix = parse_url(rest)
    limits = settings.room("etcd", endpoints=endpoints, prefix=prefix)
    try:
        from callboard.store.etcd.store import EtcdStore  # noqa: PLC0415  # only who uses etcd needs the packages of its extra
    except ImportError as error:
        raise InvalidError("store", f"etcd needs a package that is not installed ({error}); pip install 'callboard[etcd]'") from error
    return EtcdStore(limits, SystemClock().now, SystemEntropy().nonce)


STORES: Final[dict[str, Callable[[str, Settings], Store]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "etcd": _etcd,
}


_HELD: Final = frozenset({"memory", "sqlite"})
"""One process has them open, and leads; it can share them with workers."""
_FLAG: Final = "flag "
_IN_FILE: Final = "file"
"""What origins of settings say."""


def store_url(server: ServerSettings) -> str:
    """The URL that is meant: as given, or memory with --dev, or SQLite in the data directory (three slashes, then the path)."""
    return "memory:" if server.dev else server.store or f"sqlite:///{server.data}"


def check_place(settings: Settings) -> None:
    """Raise `InvalidError` when --dev was said, and where to keep things as well: that would be dropped in silence.

    --dev comes first where the other was said in a lesser place: a variable of an image, or a file, which may be a whole printed one.
    """
    dev = settings.origins.get("dev", "")
    for name in ("data", "store"):
        said = settings.origins.get(name, _IN_FILE)
        if settings.server.dev and said != _IN_FILE and (said.startswith(_FLAG) or not dev.startswith(_FLAG)):
            raise InvalidError(said.removeprefix(_FLAG), f"{dev.removeprefix(_FLAG)} keeps nothing on disk; leave one out")


def hold_for_workers(store: Store, settings: Settings) -> HeldStore:
    """The store as the process has it whose workers use it too. Raises `InvalidError` where several servers have one engine."""
    scheme = store_url(settings.server).partition(":")[0]
    if scheme not in _HELD:
        raise InvalidError("workers", f"must be 1 over {scheme}://: start several servers instead, each with ports of its own")
    return HeldStore(store, settings.room("unix"))


def make_store(settings: Settings) -> Store:
    """The store of the settings, not yet open. Raises `InvalidError` for a scheme that is not built, and for --dev with another place."""
    check_place(settings)
    scheme, _, rest = store_url(settings.server).partition(":")
    make = STORES.get(scheme)
    if make is None:
        raise InvalidError("store", f"{scheme!r} stores are not built yet; use memory:, sqlite:///PATH or etcd://HOST:PORT/PREFIX")
    return make(rest, settings)

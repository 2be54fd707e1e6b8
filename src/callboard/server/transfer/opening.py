"""Opening the stores that rows are moved between: by URL, with the server's settings, and with room for one very large group."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from callboard.model.errors import InvalidError
from callboard.registry.clock import SystemEntropy
from callboard.server.settings import ROOMS, Settings, load, tunable
from callboard.server.stores import make_store
from callboard.store.contract import Store
from callboard.store.sqlite.database import DATABASE_NAME

MIB: Final = 1024 * 1024
LARGE: Final[dict[str, dict[str, int]]] = {
    "sqlite": {"group_max_rows": 100_000_000, "group_max_bytes": 512 * MIB},
    "etcd": {"parts_max_rows": 5_000_000, "parts_max_bytes": 1024 * MIB},
}
"""Limits of a store that are raised for this one group, unless somebody has set them."""


class Choice:
    """A store that is named on the command line."""

    def __init__(self, url: str, environment: Mapping[str, str], config: str = "") -> None:
        """Raises `InvalidError` for a URL or a setting that is none."""
        scheme = url.partition(":")[0]
        if scheme == "memory":
            raise InvalidError("store", "memory: ends with the process; name one that lasts, as sqlite:///PATH")
        self.settings = _with_room(load({"store": url}, environment, config), scheme)
        self.shown = _without_password(url)
        self._url = url

    def require_there(self) -> None:
        """Raise `InvalidError` for a data directory without a database: opening it would make an empty one."""
        scheme, _, rest = self._url.partition(":")
        if scheme == "sqlite" and not (Path(rest.removeprefix("///")) / DATABASE_NAME).exists():
            raise InvalidError("store", f"{self.shown}: there is no {DATABASE_NAME}; write sqlite:///DIR, with a fourth slash for /DIR")

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        """The store, open. Raises `StoreError`."""
        store = make_store(self.settings)
        try:
            await store.open()
            yield store
        finally:
            await store.close()

    @property
    def datacenter(self) -> str:
        """Name of the data centre, as it is set here."""
        return self.settings.server.datacenter


def _with_room(settings: Settings, scheme: str) -> Settings:
    room = LARGE.get(scheme)
    if room is None or scheme not in ROOMS:
        return settings
    known = set(tunable(scheme))
    raised = {name: value for name, value in room.items() if name in known}
    return settings._replace(tune={**settings.tune, scheme: {**raised, **settings.tune.get(scheme, {})}})


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return url.replace(parts.netloc, parts.netloc.rpartition("@")[2], 1)


def fresh_id() -> str:
    """An id for a history that begins now."""
    return SystemEntropy().nonce()

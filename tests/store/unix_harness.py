"""Members over sockets, and the process that holds the engine, in one loop: memory or SQLite behind it."""

import socket
from collections.abc import Mapping
from typing import Protocol

from callboard.store.contract import Leadership, Store
from callboard.store.unix.holding import HeldStore
from callboard.store.unix.serving import Serving
from callboard.store.unix.settings import UnixSettings
from callboard.store.unix.store import UnixStore
from callboard.testing.store_suite_kit import Harness


class Behind(Harness, Protocol):
    """The harness of the engine behind."""


class _Watched(HeldStore):
    """Remembers who leads, so that a test can take the lead away."""

    leading: Leadership | None = None

    async def campaign(self, member: str) -> Leadership:
        self.leading = await super().campaign(member)
        return self.leading


async def no_words(_body: bytes) -> bytes:
    """Nothing is said beside the store."""
    return b""


class UnixHarness:
    """Each member has a channel of its own to one held store."""

    patience_s = 60.0

    def __init__(self, behind: Behind, deviations: Mapping[str, str]) -> None:
        self.deviations = deviations
        self._behind = behind
        self._held: _Watched | None = None
        self._opened: list[tuple[UnixStore, Serving]] = []
        self.settings = UnixSettings(window_bytes=4_000, health_interval_ms=50, groups_encoded_max_bytes=2_000)

    async def open(self) -> Store:
        if self._held is None:
            self._held = _Watched(await self._behind.open(), self.settings)
        ours, theirs = socket.socketpair()
        serving = Serving(self._held, no_words)
        await serving.open(theirs)
        store = UnixStore(ours, self.settings)
        self._opened.append((store, serving))
        await store.open()
        return store

    async def kill(self, store: Store) -> Store:
        """The process that holds the engine dies, and takes every channel with it."""
        assert self._held is not None
        held, self._held = self._held, None
        await self._let_go()
        self._held = _Watched(await self._behind.kill(held.engine), self.settings)
        return await self.open()

    async def _let_go(self) -> None:
        opened, self._opened = self._opened, []
        for store, serving in opened:
            await store.close()
            await serving.closed()

    async def backup(self) -> object:
        return await self._behind.backup()

    async def rewind(self, backup: object) -> None:
        await self._behind.rewind(backup)

    async def depose(self) -> None:
        assert self._held is not None
        assert self._held.leading is not None
        await self._held.leading.resign()

    async def expel(self, name: str) -> None:
        assert self._held is not None
        self._held.presence.expel(name)

    async def close(self) -> None:
        await self._let_go()
        if self._held is not None:
            await self._held.close()
        await self._behind.close()

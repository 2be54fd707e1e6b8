"""A worker's line to the process that holds the engine: where it stands, what it is told, and what it passes on. It lives as long as it."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import Any

from callboard.model.errors import CallboardError
from callboard.net.tasks import Tasks
from callboard.server.reloading import reload_or_log
from callboard.server.settings import Settings
from callboard.server.workers import words
from callboard.server.workers.courier import ChannelCourier
from callboard.server.workers.figures import Figure, encode_figures, page
from callboard.store.unix.settings import UnixSettings
from callboard.store.unix.store import UnixStore

_TOLD = "the process that holds the engine was told to read its settings again; its log says what came of it"


class Desk:
    """Make it in a running loop, on the worker's end of the sockets."""

    def __init__(self, sock: socket.socket) -> None:
        self.to_end = asyncio.Event()
        """The server stops."""
        self.place: words.Place
        """Valid after `open`."""
        self.settings: Settings
        """As they were last told."""
        self.store = UnixStore(sock, UnixSettings(), self._answer)
        self.courier = ChannelCourier(self.store)
        self._tasks = Tasks()
        self._figures: Callable[[], Iterable[Figure]] = tuple
        self._reload: Callable[[], Any] | None = None

    async def open(self) -> None:
        """Learn the place. Raises `CallboardError`."""
        await self.store.connect()
        data = await self.store.beside(words.encode(words.Where()))
        self.place = words.decode_place(data)
        self.settings = self.place.settings
        self.store.limit(self.settings.room("unix"))

    def works(self, figures: Callable[[], Iterable[Figure]], reload: Callable[[], object]) -> None:
        """There is a server now: its figures, and how it takes settings that were read again."""
        self._figures, self._reload = figures, reload

    async def serves(self) -> None:
        """Say so. Raises `CallboardError`."""
        await self.store.beside(words.encode(words.Serves()))

    async def _answer(self, body: bytes) -> bytes:
        word = words.decode_down(body)
        if isinstance(word, words.Figures):
            return encode_figures(list(self._figures()))
        if isinstance(word, words.End):
            self.to_end.set()
        else:
            self.settings = Settings(word.server, word.tune, {})
            if self._reload is not None:
                reload_or_log(self._reload)
        return b""

    # -- passed on

    def leave(self) -> None:
        """The whole server is to stop."""
        self._pass_on(words.Leave())

    def reload(self) -> list[str]:
        """The whole server is to read its settings again."""
        self._pass_on(words.Reload())
        return [_TOLD]

    def _pass_on(self, word: words.Up) -> None:
        async def say() -> None:
            with contextlib.suppress(CallboardError):
                await self.store.beside(words.encode(word))

        self._tasks.spawn(say(), name="pass on")

    async def page(self) -> bytes:
        """The metrics of all processes, of this one alone when they cannot be had."""
        with contextlib.suppress(CallboardError, TimeoutError):
            async with asyncio.timeout(2 * self.settings.room("workers").figures_time_max_ms / 1_000):
                return await self.store.beside(words.encode(words.Page()))
        return page({self.place.number: list(self._figures())})

    async def close(self) -> None:
        """Say nothing more."""
        await self._tasks.close()

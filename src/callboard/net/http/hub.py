"""What all connections of a server share, and the tick of a second. It lives as long as the server."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from callboard.model.time import MILLISECOND
from callboard.net.http import coding
from callboard.net.http.answers import Answers
from callboard.net.http.behind import Uvicorn
from callboard.net.http.blocks import Blocks
from callboard.net.http.coding import Dates
from callboard.net.http.handling import failed
from callboard.net.http.message import Answer, Errors
from callboard.net.http.packing import Packer, Packing
from callboard.net.http.parked import Parked, Turn
from callboard.net.http.proxies import Proxies
from callboard.net.http.routing import Router
from callboard.net.http.settings import HttpSettings, HttpStats
from callboard.net.http.stalling import Stalled
from callboard.net.http.wheel import Timers
from callboard.net.seldom import Seldom

_ALONE_MAX_BYTES: Final = 2_048
_log = logging.getLogger(__name__)


class Shutting(Protocol):
    """A connection, as its server sees it."""

    def shutdown(self) -> None:
        """Finish what is under way, then close."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...


class Hub:
    """The parts of a server that every connection uses."""

    __slots__ = (
        "_emptied", "alone_max_bytes", "answers", "blocks", "connections", "dates", "fields", "last", "loop", "packer", "parked", "proxies",
        "router", "seldom", "settings", "stalled", "stats", "timers", "uvicorn",
    )  # fmt: skip

    def __init__(
        self, router: Router, settings: HttpSettings, revision: Callable[[], int], loop: asyncio.AbstractEventLoop, wall_s: float
    ) -> None:
        self.router = router
        self.connections: set[Shutting] = set()
        self.uvicorn = Uvicorn()
        self.last: tuple[Answer | None, bytes, bytes] = None, b"", b""
        """The answer that was encoded last, its date, and its response."""
        self._emptied: asyncio.Future[None] | None = None
        self.seldom = Seldom(_log)
        self.settings = settings
        self.alone_max_bytes = min(_ALONE_MAX_BYTES, settings.head_max_bytes)
        """More than a request has as a rule that is nothing but a head: it is not worth a look whether it is one that is known."""
        self.proxies = Proxies(settings.trusted_proxies)
        self.loop = loop
        self.stats = HttpStats()
        self.dates = Dates(wall_s)
        self.fields = router.fields
        self.blocks = Blocks(settings.blocks_max_count, settings.block_max_bytes, fields=self.fields)
        self.timers = Timers(loop, settings.hand_out_slice_count)
        self.packer = Packer(loop)
        self.answers = Answers(settings, self.stats, self.dates, self.packer.pack)
        self.parked = Parked(self.answers, revision, Turn(loop.call_soon, loop.call_later, self.timers.now), settings, self.stats)
        self.stalled = Stalled(settings.stall_time_max_ms * MILLISECOND, self.stats)

    def encode(self, answer: Answer, errors: Errors, *, gzip: bool = False) -> bytes:
        """The complete response. An answer that is given again and again (to heartbeats, or compressed to all who waited for that) is
        encoded once a second."""
        last, date, wire = self.last
        if answer is last and date is self.dates.now:
            return wire
        try:
            wire = coding.response(self.dates, answer, self.settings.gzip_min_bytes if gzip else None)
        except ValueError as error:
            return coding.response(self.dates, failed(errors, error, self.stats, "encoding an answer"), None)
        if len(answer.body) < self.settings.gzip_min_bytes or not coding.compressible(answer, 0, 0):
            self.last = answer, self.dates.now, wire
        return wire

    def packing(self, answer: Answer) -> Packing | None:
        """What comes to the same answer, compressed, where that takes long; None when it can be done at once, or is not worth it."""
        body = coding.sendable(answer)
        if not coding.compressible(answer, len(body), self.settings.gzip_beside_min_bytes):
            return None
        return self.packer.pack(answer, body)

    def body_max_bytes(self, method: bytes, target: bytes) -> int:
        """Of a request to that method and target."""
        path = target.partition(b"?")[0].decode("latin-1")
        return self.router.body_max_bytes(method.decode("latin-1"), path, self.settings.body_max_bytes)

    def tick(self, wall_s: float) -> None:
        """A second has passed: put the date, and cut off who does not read."""
        self.dates.tick(wall_s)
        self.last = None, b"", b""
        self.uvicorn.state.default_headers = self.dates.fields()
        self.stalled.look(self.timers.now())

    def forget(self, connection: Shutting) -> None:
        """It has ended."""
        self.connections.discard(connection)
        self.stats.connections_now = len(self.connections)
        if self._emptied is not None and not self.connections and not self._emptied.done():
            self._emptied.set_result(None)

    async def emptied(self, time_s: float) -> None:
        """Returns when the last connection has ended, or the time is over."""
        if self.connections:
            self._emptied = self.loop.create_future()
            await asyncio.wait({self._emptied}, timeout=time_s)

"""Clients that do not read their answers. A connection is here from when its buffers are full until they are empty, or it is cut off."""

import asyncio
from typing import Protocol

from callboard.model.time import Instant
from callboard.net.http.settings import HttpStats


class Stalling(Protocol):
    """A connection with something to write."""

    transport: asyncio.Transport
    """Where it writes."""


class Stalled:
    """Connections with unread answers, how much is left of each, and since when."""

    __slots__ = ("_left", "_max", "_stats")

    def __init__(self, max_ns: int, stats: HttpStats) -> None:
        self._left: dict[Stalling, tuple[int, Instant]] = {}
        self._max = max_ns
        self._stats = stats

    def add(self, who: Stalling, now: Instant) -> None:
        """Watch it from now on."""
        self._left[who] = who.transport.get_write_buffer_size(), now

    def drop(self, who: Stalling) -> None:
        """It has read everything, or is gone."""
        self._left.pop(who, None)

    def look(self, now: Instant) -> None:
        """Cut off whoever has read nothing for too long."""
        for who, (before, since) in list(self._left.items()):
            left = who.transport.get_write_buffer_size()
            if left < before:
                self._left[who] = left, now
            elif now - since >= self._max:
                del self._left[who]
                self._stats.stalled += 1
                who.transport.abort()
            elif left > before:
                self._left[who] = left, since

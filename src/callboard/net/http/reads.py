"""Blocked queries that are known by their request line: what thousands of clients ask when one change has answered them all.

Only what a line means is kept here, never what it was answered: each time the read is judged against the view, and answered or parked. An
index is asked about until everybody who waited for it has gone on, so what is the oldest goes first. It lives as long as the server.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from callboard.net.http.blocks import Sights
from callboard.net.http.message import Errors, Read

_LINE_MAX_BYTES: Final = 256
"""Longer lines are looked at each time: what is kept of a usual one takes 3 KiB, of one of this length up to 6, and of 1 KiB up to 12."""


class Known(NamedTuple):
    """What a line means, and how its site tells errors."""

    read: Read
    errors: Errors


class KnownReads:
    """At most `max_count` of them."""

    __slots__ = ("_by_line", "_max_count", "_sights")

    def __init__(self, max_count: int, sights: Sights) -> None:
        self._by_line: OrderedDict[bytes, Known] = OrderedDict()
        self._max_count = max_count
        self._sights = sights

    def get(self, line: bytes) -> Known | None:
        """The read that `line` means now; None when the handler must be asked."""
        known = self._by_line.get(line)
        if known is None or (lasts := known.read.lasting) is None or not lasts():
            return None
        return known

    def remember(self, line: bytes, read: Read, errors: Errors) -> None:
        """From the second sight on, `line` means this read while that lasts."""
        if read.lasting is None or len(line) > _LINE_MAX_BYTES or not (read.lasting() and self._sights.again(line)):
            return
        self._by_line[line] = Known(read, errors)
        if len(self._by_line) > self._max_count:
            self._by_line.popitem(last=False)

    def __len__(self) -> int:
        return len(self._by_line)

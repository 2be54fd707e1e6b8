"""One answer kept as bytes, ready to be sent in any rotation. It lives until one of its topics changes or newer answers push it out."""

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Final

from callboard.frontend.dns.question import Entry, Response
from callboard.wire.dns import AUTHORITATIVE, RESPONSE, Rcode

Key = tuple[bytes, bytes]
"""Name in wire form and lower case; type (0 for those that mean nothing here) and class, as they are (type 65 is the letter A)."""
_TURNS_MIN_COUNT: Final = 32
"""So that shuffling a few entries is not what answering costs."""
_AUTHORITATIVE_CODES: Final = frozenset({Rcode.NOERROR, Rcode.NXDOMAIN})


class Kept:
    """An answer whose entries turn: each answer starts with the next one, and after a round or several they are shuffled anew.

    The records stand several times in a row in `wire`, so that every rotation, whole or cut off, is one slice of it. What leads to them
    (CNAME) comes first in every answer.
    """

    __slots__ = (
        "_chance", "_entries", "at", "authority", "elsewhere", "ends", "extra_count", "extras", "fixed_bytes", "flags", "key", "lead",
        "lead_wire", "partial", "rcode", "size", "told", "topics", "turns", "variants", "wire",
    )  # fmt: skip

    def __init__(self, key: Key, response: Response, chance: Callable[[], float]) -> None:
        self.key = key
        self.rcode = int(response.rcode)
        self.flags = RESPONSE | AUTHORITATIVE if response.rcode in _AUTHORITATIVE_CODES else RESPONSE
        self.topics = response.topics
        self.partial = response.partial
        self.authority = response.authority
        self.elsewhere = response.elsewhere
        self.lead = response.lead
        self.lead_wire = b"".join(response.lead)
        self.fixed_bytes = len(self.lead_wire) + len(self.authority)
        """What every answer has besides its entries."""
        self.size = len(response.entries)
        self.told = min(self.size, response.told_max_count or self.size)
        """How many entries one answer has."""
        self.turns = self.size * -(-_TURNS_MIN_COUNT // self.size) if self.size else 0
        """Rotations in one order: whole rounds."""
        self.variants: list[bytes] = []
        """Exact queries that lead here."""
        extras = dict.fromkeys(extra for entry in response.entries for extra in entry.extras)
        self.extras = b"".join(extras)
        self.extra_count = len(extras)
        self._entries: list[Entry] = list(response.entries)
        self._chance = chance
        self.wind()

    def wind(self) -> None:
        """Start anew in a new order."""
        if self.size > 1:
            self._entries.sort(key=lambda _: self._chance())
        records = [entry.record for entry in self._entries]
        records *= self.turns // self.size + 1 if self.size else 0
        self.wire = b"".join(records)
        self.ends = list(accumulate(map(len, records), initial=0))
        """Where each record ends, and before that the 0 where the first one starts."""
        self.at = 0

    def take(self, room: int, most: int) -> tuple[int, bytes]:
        """The next rotation, cut to `room` bytes and to `most` entries: how many records, and their bytes."""
        if not self.size:
            return 0, b""
        if self.at == self.turns:
            self.wind()
        start, last = self.ends[self.at], self.at + (min(self.told, most))
        if self.ends[last] - start > room:
            last = max(self.at, bisect_right(self.ends, start + room, self.at, last) - 1)
        self.at += 1
        return last - self.at + 1, self.wire[start : self.ends[last]]

    def take_extras(self, room: int) -> tuple[int, bytes]:
        """Additional records that fit, those of the rotation's first records before the others."""
        if len(self.extras) <= room:
            return self.extra_count, self.extras
        first = (self.at - 1) % self.size
        taken: dict[bytes, None] = {}
        for entry in self._entries[first:] + self._entries[:first]:
            for extra in entry.extras:
                if extra not in taken and len(extra) <= room:
                    taken[extra] = None
                    room -= len(extra)
        return len(taken), b"".join(taken)

"""Network coordinates of nodes (Vivaldi): from two of them follows about how long a round trip between their nodes takes.

A `Coordinate` lives as long as its node. Nobody here measures any: they are what a client that does has written down.
"""

from math import isfinite
from typing import Final

from msgspec import Struct

from callboard.model.errors import InvalidError
from callboard.model.rows import ZERO, Revision

DIMENSIONS: Final = 8
SEGMENT_MAX_CHARS: Final = 64


class Place(Struct, frozen=True, gc=False):
    """A point in seconds of round trip, with the height above it that every way to the node takes besides."""

    vec: tuple[float, ...] = (0.0,) * DIMENSIONS
    error: float = 1.5
    adjustment: float = 0.0
    height: float = 0.00001

    def __post_init__(self) -> None:
        if len(self.vec) != DIMENSIONS:
            raise InvalidError("coord.vec", f"must have {DIMENSIONS} numbers, has {len(self.vec)}")
        if not all(isfinite(number) for number in (*self.vec, self.error, self.adjustment, self.height)):
            raise InvalidError("coord", "must consist of finite numbers")


class Coordinate(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """Where a node (lower case) is."""

    node: str
    place: Place
    segment: str = ""
    modified: Revision = ZERO

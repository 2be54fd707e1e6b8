"""Moments and spans as plain integers, so that arithmetic is exact and nobody mixes a clock with a calendar.

An `Instant` comes from a clock that only runs forward (also in suspend) and means nothing outside its process; a `Timestamp` is the
wall clock and is written into rows, where people and other members read it.
"""

from typing import Final, NewType

Instant = NewType("Instant", int)
"""Nanoseconds of a forward-only clock."""
Duration = NewType("Duration", int)
"""Nanoseconds."""
Timestamp = NewType("Timestamp", int)
"""UTC milliseconds since 1970."""

MICROSECOND: Final = Duration(1_000)
MILLISECOND: Final = Duration(1_000_000)
SECOND: Final = Duration(1_000_000_000)
MINUTE: Final = Duration(60_000_000_000)
HOUR: Final = Duration(3_600_000_000_000)


def seconds(value: float) -> Duration:
    """A span of `value` seconds, to the nanosecond."""
    return Duration(round(value * SECOND))


def later(start: Instant, span: int) -> Instant:
    """The moment `span` nanoseconds after `start`."""
    return Instant(start + span)

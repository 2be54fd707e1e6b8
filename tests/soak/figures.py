"""From what the caller told to the fault table: one row for each phase."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from tests.soak.fleet import Told


class Row(NamedTuple):
    """One phase."""

    phase: str
    seconds: float
    calls: int
    failed: int
    retries: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    no_update_s: float
    """The longest time for which what the caller knew was not fresh."""
    least: int
    """The fewest instances it knew."""
    held: int
    """The most instances it kept against the word of a registry that forgot them."""
    known_s: float
    """Until the caller knew: `tests.soak.faults` says of each fault what."""


def row(phase: str, told: Told, begin: float, end: float, known_s: float) -> Row:
    """The figures between two moments; a call belongs to the phase it began in."""
    calls = [call for call in told.calls if begin <= call.begin < end]
    took = sorted(call.seconds * 1000 for call in calls)
    ages = [age for at, age, _ in told.ages if begin <= at < end]
    known = [(held, len(instances)) for at, held, instances in told.known if begin <= at < end]
    return Row(
        phase=phase,
        seconds=round(end - begin, 1),
        calls=len(calls),
        failed=sum(1 for call in calls if call.failed),
        retries=sum(1 for at in told.retries if begin <= at < end),
        p50_ms=round(_share(took, 0.5), 1),
        p99_ms=round(_share(took, 0.99), 1),
        max_ms=round(_share(took, 1.0), 1),
        no_update_s=round(max(ages, default=0.0), 1),
        least=min((count for _, count in known), default=_before(told, begin)),
        held=max((held for held, _ in known), default=0),
        known_s=round(known_s, 2),
    )


def table(rows: Sequence[Row]) -> str:
    """For people."""
    lines = [Row._fields, *(tuple(str(value) for value in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(Row._fields))]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines)


def failures(told: Told) -> list[str]:
    """What users got to see."""
    return [call.failed for call in told.calls if call.failed]


def _before(told: Told, begin: float) -> int:
    """How many it knew when a phase began in which nothing changed."""
    return [len(instances) for at, _, instances in told.known if at < begin][-1]


def _share(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else 0.0

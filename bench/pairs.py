"""Interleaved pairs: ours, bare, ours, bare ... in one run, so that a machine whose speed drifts drifts for both. Figures are medians."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.lab import Process
from bench.load import Counted

Run = Callable[[], Counted]


@dataclass
class Sample:
    """One run of one side."""

    per_second: float
    cpu_us: float
    """Server CPU per answer: the figure to compare, for the load generator or a neighbour may limit the rate."""


@dataclass
class Figure:
    """A measured figure, with its spread."""

    name: str
    what: str
    values: dict[str, Any]
    samples: dict[str, list[dict[str, float]]]


def measure(process: Process, run: Run) -> Sample:
    """One run, with the CPU the process spent in it."""
    before = process.cpu_s()
    counted = run()
    spent = process.cpu_s() - before
    return Sample(counted.answers / counted.seconds, 1e6 * spent / max(1, counted.answers))


def compare(name: str, what: str, ours: tuple[Process, Run], bare: tuple[Process, Run], pairs: int) -> Figure:
    """Alternate the two sides; the ratio of each pair is bare CPU over ours: 1.0 is as good as the bare loop."""
    for process, run in (ours, bare):
        measure(process, run)
    mine: list[Sample] = []
    yard: list[Sample] = []
    for _ in range(pairs):
        mine.append(measure(*ours))
        yard.append(measure(*bare))
    ratios = [b.cpu_us / max(a.cpu_us, 1e-9) for a, b in zip(mine, yard, strict=True)]
    return Figure(
        name,
        what,
        {
            "per_second": round(median([s.per_second for s in mine])),
            "cpu_us": round(median([s.cpu_us for s in mine]), 2),
            "bare_per_second": round(median([s.per_second for s in yard])),
            "bare_cpu_us": round(median([s.cpu_us for s in yard]), 2),
            "of_bare": round(median(ratios), 3),
            "of_bare_least": round(min(ratios), 3),
            "of_bare_most": round(max(ratios), 3),
        },
        {"ours": [asdict(s) for s in mine], "bare": [asdict(s) for s in yard]},
    )


def median(values: Sequence[float]) -> float:
    """The middle."""
    return statistics.median(values)

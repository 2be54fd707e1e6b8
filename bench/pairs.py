"""Interleaved pairs: ours, bare, ours, bare ... in one run, so that a machine whose speed drifts drifts for both. Figures are medians."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.lab import Target
from bench.load import Counted

Run = Callable[[], Counted]
Sample = dict[str, float]
OURS = "ours"
BARE = "bare"
PEER = "peer"
"""Sides of a comparison, as they are named in results."""


@dataclass
class Goal:
    """What a value is to be: at least, or at most."""

    value: str
    least: float | None = None
    most: float | None = None

    def met(self, values: Mapping[str, Any]) -> bool:
        """Whether it is so."""
        value = values[self.value]
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass
class Figure:
    """A measured figure, with its spread."""

    name: str
    what: str
    values: dict[str, Any]
    samples: dict[str, list[Sample]]
    """Of each side, or of each size: every run of it."""

    goals: list[Goal] = field(default_factory=list)
    shown: str = ""
    """The measure of the samples that the plot shows; none: no plot."""

    unit: str = ""
    """Of the plot's axis."""

    across: str = ""
    """For a curve: the measure along the other axis."""

    curves: list[str] = field(default_factory=list)
    """Its measures, when they are several."""


def measure(target: Target, run: Run, units: int = 1) -> Sample:
    """One run, with the server CPU for one of `units` that each answer stands for: the figure to compare, for the load generator or a
    neighbour may limit the rate. Without it when nobody knows it (a peer on another machine).
    """
    before = target.cpu_s()
    counted = run()
    spent = target.cpu_s() - before
    sample = {"per_second": round(units * counted.answers / counted.seconds, 1)}
    if not math.isnan(spent):
        sample["cpu_us"] = round(1e6 * spent / max(1, counted.answers * units), 4)
    return sample


def compare(name: str, what: str, sides: Mapping[str, tuple[Target, Run]], pairs: int, units: int = 1) -> Figure:
    """Alternate the sides; the ratio of each pair is bare CPU over ours: 1.0 is as good as the bare loop.

    The first round is not counted.
    """
    for target, run in sides.values():
        measure(target, run)
    samples: dict[str, list[Sample]] = {side: [] for side in sides}
    for _ in range(pairs):
        for side, (target, run) in sides.items():
            samples[side].append(measure(target, run, units))
    values: dict[str, Any] = {}
    for side, taken in samples.items():
        prefix = "" if side == OURS else side + "_"
        for key in taken[0]:
            values[prefix + key] = rounded(median([sample[key] for sample in taken]))
    if BARE in samples:
        values |= spread("of_bare", ratios(samples[BARE], samples[OURS]))
    if PEER in samples and "cpu_us" in samples[PEER][0]:
        values |= spread("peer_over_ours", ratios(samples[PEER], samples[OURS]))
    return Figure(name, what, values, samples, shown="cpu_us", unit="µs of server CPU per answer")


def ratios(over: Sequence[Sample], under: Sequence[Sample], measure: str = "cpu_us") -> list[float]:
    """Of each pair."""
    return [one[measure] / max(other[measure], 1e-9) for one, other in zip(over, under, strict=True)]


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """A median, with the least and the most of its runs."""
    return {name: rounded(median(values)), f"{name}_least": rounded(min(values)), f"{name}_most": rounded(max(values))}


def rounded(value: float) -> float:
    """Three digits that count, and all before the point."""
    if value == 0 or not math.isfinite(value):
        return value
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return round(value, digits) if digits else round(value)


def median(values: Sequence[float]) -> float:
    """The middle."""
    return statistics.median(values)

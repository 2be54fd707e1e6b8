"""Which plot a figure of a result gets. Pure: a figure as it stands in the JSON, and the text of an SVG."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.plot import Bar, Point, bars, lines

Figure = Mapping[str, Any]
SIDES = {
    "ours": ("Callboard", 0),
    "bare": ("bare loop", 1),
    "peer": ("peer", 2),
    "one": ("one process", 3),
    "etcd": ("etcd", 2),
    "ZooKeeper": ("ZooKeeper", 4),
}
"""How a side of a comparison is called, and its colour."""

CURVES = {
    "change_us": "change", "change_and_read_us": "change, then read", "register_us": "register", "dns_us": "DNS question",
}  # fmt: skip
OVERVIEW_TITLE = "How near to a bare loop"
OVERVIEW_UNIT = "CPU of a bare loop over Callboard's, for the same bytes; dashed: the bar to reach"


def chart(figure: Figure, peer: str = "peer") -> str | None:
    """The plot of one figure; none if it has nothing to show."""
    title = figure["name"].replace("_", " ")
    if figure.get("across"):
        return lines(title, figure["across"], figure["unit"], _series(figure))
    shown = figure.get("shown") or "cpu_us"
    rows = []
    for name, taken in figure["samples"].items():
        values = [sample[shown] for sample in taken if shown in sample]
        if values:
            label, colour = SIDES.get(name, (name.replace("_", " "), 0))
            rows.append(Bar(peer if name == "peer" else label, *_spread(values), colour))
    return bars(title, figure.get("unit") or "µs of server CPU per answer", rows) if rows else None


def overview(figures: Sequence[Figure]) -> str | None:
    """All figures that were compared with a bare loop, with the bars they are to reach."""
    rows = []
    for figure in figures:
        values = figure["values"]
        if "of_bare" in values and values["of_bare"] > 0.01:  # a batch is compared by its beats
            goal = next((each["least"] for each in figure.get("goals", ()) if each["value"] == "of_bare"), None)
            spread = (values["of_bare"], values["of_bare_least"], values["of_bare_most"])
            rows.append(Bar(figure["name"].replace("_", " "), *spread, goal=goal))
    return bars(OVERVIEW_TITLE, OVERVIEW_UNIT, rows) if rows else None


def _series(figure: Figure) -> dict[str, list[Point]]:
    series = {}
    for curve in figure["curves"]:
        runs = figure["samples"].values()
        points = [Point(taken[0][figure["across"]], *_spread([sample[curve] for sample in taken])) for taken in runs]
        series[CURVES.get(curve, curve)] = points
    return series


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)

"""Plots as SVG, written by hand: bars with whiskers, and lines over axes that grow tenfold from mark to mark. Pure; no library is needed.

A plot carries its own colours for light and dark, and its own ground, so that it can be read wherever a page shows it as a picture.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH_PX = 760
_ROW_PX, _BAR_PX, _PAD_PX, _HEAD_PX, _FOOT_PX = 30, 16, 16, 46, 40
_LETTER_PX = 7.0
"""Of the letters of labels, on average and rounded up."""

_VALUE_PX = 92
_PLOT_PX = 300
_TICKS = 5
_COLOURS = 5
_STYLE = """<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f }
.ground { fill: #ffffff; stroke: #d0d7de } .title { font-weight: 600; font-size: 14px } .soft { fill: #59636e; font-size: 12px }
.grid { stroke: #d8dee4 } .line { fill: none; stroke-width: 2 }
.whisker { stroke: #24292f; stroke-width: 1.5; fill: none } .goal { stroke: #cf222e; stroke-width: 2; stroke-dasharray: 3 2 }
.c0 { fill: #0969da } .c1 { fill: #8c959f } .c2 { fill: #bf8700 } .c3 { fill: #1a7f37 } .c4 { fill: #8250df }
.l0 { stroke: #0969da } .l1 { stroke: #8c959f } .l2 { stroke: #bf8700 } .l3 { stroke: #1a7f37 } .l4 { stroke: #8250df }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .ground { fill: #0d1117; stroke: #3d444d } .soft { fill: #9198a1 }
.grid { stroke: #2a313c } .whisker { stroke: #e6edf3 } .goal { stroke: #f85149 }
.c0 { fill: #4493f8 } .c1 { fill: #8b949e } .c2 { fill: #d29922 } .c3 { fill: #3fb950 } .c4 { fill: #ab7df8 }
.l0 { stroke: #4493f8 } .l1 { stroke: #8b949e } .l2 { stroke: #d29922 } .l3 { stroke: #3fb950 } .l4 { stroke: #ab7df8 }
}
</style>"""


@dataclass(frozen=True)
class Bar:
    """One bar: a median, its least and its most."""

    label: str
    value: float
    least: float
    most: float
    colour: int = 0
    goal: float | None = None
    """Where it should at least, or at most, come to: a mark across the bar."""


@dataclass(frozen=True)
class Point:
    """One point of a line; both axes are logarithmic, so all is above nothing."""

    across: float
    value: float
    least: float
    most: float


def bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars from nothing on, one below the other."""
    left = _PAD_PX + max(len(row.label) for row in rows) * _LETTER_PX + 10
    right = WIDTH_PX - _PAD_PX - _VALUE_PX
    highest = max(max(row.most, row.value, row.goal or 0) for row in rows) or 1.0
    marks = [mark for mark in ticks(highest) if mark <= highest * 1.001]
    scale = (right - left) / max(highest, marks[-1])
    bottom = _HEAD_PX + len(rows) * _ROW_PX
    parts = []
    for mark in marks:
        x = left + mark * scale
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{_HEAD_PX - 4}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="soft" x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{number(mark)}</text>')
    for place, row in enumerate(rows):
        parts += _bar(row, _HEAD_PX + place * _ROW_PX + (_ROW_PX - _BAR_PX) / 2, left, scale)
    parts.append(f'<text class="soft" x="{left:.1f}" y="{bottom + 31}">{escape(unit)}</text>')
    return _page(title, bottom + _FOOT_PX, parts)


def _bar(row: Bar, top: float, left: float, scale: float) -> Iterable[str]:
    middle = top + _BAR_PX / 2
    yield f'<text x="{left - 8:.1f}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(row.label)}</text>'
    width = max(1.0, row.value * scale)
    yield f'<rect class="c{row.colour % _COLOURS}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{_BAR_PX}" rx="2"/>'
    end = left + max(row.value, row.most) * scale
    if row.most > row.least:
        low, high = left + row.least * scale, left + row.most * scale
        ends = "".join(f"M{x:.1f} {middle - 4:.1f}V{middle + 4:.1f}" for x in (low, high))
        yield f'<path class="whisker" d="M{low:.1f} {middle:.1f}H{high:.1f}{ends}"/>'
    if row.goal is not None:
        x = left + row.goal * scale
        end = max(end, x)
        yield f'<line class="goal" x1="{x:.1f}" y1="{top - 4:.1f}" x2="{x:.1f}" y2="{top + _BAR_PX + 4:.1f}"/>'
    yield f'<text x="{end + 8:.1f}" y="{middle + 4.5:.1f}">{number(row.value)}</text>'


def lines(title: str, across: str, unit: str, series: Mapping[str, Sequence[Point]]) -> str:
    """Lines over logarithmic axes, with whiskers, each named at its end."""
    every = [point for points in series.values() for point in points]
    names_px = max(len(name) for name in series) * _LETTER_PX + 14
    left, right = _PAD_PX + 52.0, WIDTH_PX - _PAD_PX - names_px
    top, bottom = float(_HEAD_PX), float(_HEAD_PX + _PLOT_PX)
    low_x, high_x = decades(min(p.across for p in every), max(p.across for p in every))
    low_y, high_y = decades(min(p.least for p in every), max(p.most for p in every))

    def x_of(value: float) -> float:
        return left + (math.log10(value) - low_x) / (high_x - low_x) * (right - left)

    def y_of(value: float) -> float:
        return bottom - (math.log10(value) - low_y) / (high_y - low_y) * (bottom - top)

    parts = []
    for power in range(low_x, high_x + 1):
        x = x_of(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="soft" x="{x:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{number(10.0**power)}</text>')
    for power in range(low_y, high_y + 1):
        y = y_of(10.0**power)
        parts.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="soft" x="{left - 7:.1f}" y="{y + 4:.1f}" text-anchor="end">{number(10.0**power)}</text>')
    named = _apart({name: y_of(points[-1].value) for name, points in series.items()})
    for place, (name, points) in enumerate(series.items()):
        colour = place % _COLOURS
        path = "L".join(f"{x_of(p.across):.1f} {y_of(p.value):.1f}" for p in points)
        parts.append(f'<path class="line l{colour}" d="M{path}"/>')
        for p in points:
            parts.append(f'<path class="line l{colour}" d="M{x_of(p.across):.1f} {y_of(p.least):.1f}V{y_of(p.most):.1f}"/>')
            parts.append(f'<circle class="c{colour}" cx="{x_of(p.across):.1f}" cy="{y_of(p.value):.1f}" r="4"/>')
        parts.append(f'<text x="{x_of(points[-1].across) + 10:.1f}" y="{named[name] + 4.5:.1f}">{escape(name)}</text>')
    parts.append(f'<text class="soft" x="{left}" y="{bottom + 33:.1f}">{escape(unit)}, over {escape(across)}</text>')
    return _page(title, round(bottom) + _FOOT_PX + 4, parts)


def _apart(wanted: Mapping[str, float], least_px: float = 16.0) -> dict[str, float]:
    """Places for names, near where they are wanted and not on top of each other."""
    placed: dict[str, float] = {}
    last = -math.inf
    for name, y in sorted(wanted.items(), key=lambda item: item[1]):
        last = placed[name] = max(y, last + least_px)
    return placed


def ticks(highest: float) -> list[float]:
    """Round marks from 0 to at least `highest`: steps of 1, 2 or 5 times a power of ten."""
    rough = highest / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(step * place, 10) for place in range(math.ceil(highest / step - 1e-9) + 1)]


def decades(least: float, most: float) -> tuple[int, int]:
    """The powers of ten around a stretch: at least one apart."""
    low = math.floor(math.log10(least) + 1e-9)
    return low, max(low + 1, math.ceil(math.log10(most) - 1e-9))


def number(value: float) -> str:
    """For people: three digits that count, thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 1_000_000 and value % 1_000 == 0:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1_000:
        return f"{round(value):,}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _page(title: str, height: float, parts: Iterable[str]) -> str:
    size = f'width="{WIDTH_PX}" height="{height:g}" viewBox="0 0 {WIDTH_PX} {height:g}"'
    ground = f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH_PX - 1}" height="{height - 1:g}" rx="6"/>'
    head = f'<text class="title" x="{_PAD_PX}" y="27">{escape(title)}</text>'
    body = "\n".join((_STYLE, ground, head, *parts))
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">\n{body}\n</svg>\n'

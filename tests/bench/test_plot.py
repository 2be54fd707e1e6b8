"""Plots: well-formed, everything inside the picture, every text as it was said, and axes whose marks enclose what is shown."""

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.plot import WIDTH_PX, Bar, Point, bars, decades, lines, number, ticks

SVG = "{http://www.w3.org/2000/svg}"
POSITIVE = st.floats(min_value=1e-6, max_value=1e9)


@st.composite
def spreads(draw: st.DrawFn) -> tuple[float, float, float]:
    least, value, most = sorted(draw(st.tuples(POSITIVE, POSITIVE, POSITIVE)))
    return value, least, most


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


@given(st.lists(spreads(), min_size=1, max_size=8), st.one_of(st.none(), POSITIVE))
def test_bars_stay_inside_the_picture(spread: list[tuple[float, float, float]], goal: float | None) -> None:
    root = ET.fromstring(bars("a title", "a unit", [Bar(f"row {place}", *each, goal=goal) for place, each in enumerate(spread)]))
    drawn = [rect for rect in root.iter(f"{SVG}rect") if rect.get("class", "").startswith("c")]
    assert len(drawn) == len(spread)
    for rect in drawn:
        assert float(rect.attrib["x"]) >= 0
        assert float(rect.attrib["x"]) + float(rect.attrib["width"]) <= WIDTH_PX
        assert float(rect.attrib["y"]) + float(rect.attrib["height"]) <= float(root.attrib["height"])


def test_a_longer_bar_is_for_a_larger_value() -> None:
    root = ET.fromstring(bars("t", "u", [Bar("one", 1, 1, 1), Bar("four", 4, 4, 4)]))
    one, four = (float(rect.attrib["width"]) for rect in root.iter(f"{SVG}rect") if rect.get("class") == "c0")
    assert four == pytest.approx(4 * one, rel=0.01)


def test_a_whisker_only_where_runs_differ() -> None:
    root = ET.fromstring(bars("t", "u", [Bar("same", 2, 2, 2), Bar("not", 2, 1, 3)]))
    assert len([path for path in root.iter(f"{SVG}path") if path.get("class") == "whisker"]) == 1


def test_text_is_escaped() -> None:
    assert {"<a & b>", '"c"', "d<e"} <= set(texts(bars("<a & b>", "d<e", [Bar('"c"', 1, 1, 1)])))


@given(st.lists(st.tuples(POSITIVE, spreads()), min_size=1, max_size=6))
def test_points_of_lines_stay_inside_the_picture(made: list[tuple[float, tuple[float, float, float]]]) -> None:
    root = ET.fromstring(lines("t", "instances", "µs", {"a line": [Point(across, *spread) for across, spread in made]}))
    circles = list(root.iter(f"{SVG}circle"))
    assert len(circles) == len(made)
    for circle in circles:
        assert 0 <= float(circle.attrib["cx"]) <= WIDTH_PX
        assert 0 <= float(circle.attrib["cy"]) <= float(root.attrib["height"])


def test_every_line_is_named_and_names_do_not_lie_on_each_other() -> None:
    svg = lines("t", "x", "y", {name: [Point(1, 5, 5, 5), Point(10, 5, 5, 5)] for name in ("one", "two", "three")})
    named = [element for element in ET.fromstring(svg).iter(f"{SVG}text") if element.text in {"one", "two", "three"}]
    places = sorted(float(element.attrib["y"]) for element in named)
    assert len(places) == 3
    assert min(b - a for a, b in pairwise(places)) >= 15


@given(POSITIVE)
def test_marks_enclose_the_highest_value_and_are_few(highest: float) -> None:
    marks = ticks(highest)
    assert marks[0] == 0
    assert marks[-1] >= highest * (1 - 1e-9)
    assert 2 <= len(marks) <= 7


@given(POSITIVE, POSITIVE)
def test_decades_enclose(one: float, other: float) -> None:
    low, high = decades(min(one, other), max(one, other))
    assert high > low
    assert 10.0**low <= min(one, other) * (1 + 1e-6)
    assert 10.0**high >= max(one, other) * (1 - 1e-6)


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.0123, "0.0123"), (9.5, "9.5"), (10.04, "10"), (318.2, "318"), (31343, "31,343"), (1e6, "1M")]
)
def test_numbers_for_people(value: float, shown: str) -> None:
    assert number(value) == shown

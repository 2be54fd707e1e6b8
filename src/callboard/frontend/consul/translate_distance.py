"""How far nodes are from each other by their coordinates, and the order that follows. Pure."""

from collections.abc import Callable, Iterable, Mapping
from math import dist, inf, isfinite
from typing import TypeVar

from callboard.model.coordinate import Coordinate, Place

T = TypeVar("T")


def distance_s(one: Place, other: Place) -> float:
    """The round trip to expect, in seconds: between the points, up and down their heights, and as either end has learned to adjust it."""
    way = dist(one.vec, other.vec) + one.height + other.height
    adjusted = way + one.adjustment + other.adjustment
    return adjusted if adjusted > 0.0 else way


def by_distance(items: Iterable[T], node_of: Callable[[T], str], coordinates: Mapping[str, Coordinate], source: str) -> list[T]:
    """The items by how far their nodes are from `source` (all in lower case). Equal ones stay in order; those without coordinates are last.

    A source without coordinates leaves everything where it is.
    """
    here = coordinates.get(source)
    if here is None:
        return list(items)

    def how_far_ns(item: T) -> float:
        there = coordinates.get(node_of(item))
        way_ns = distance_s(here.place, there.place) * 1e9 if there is not None else inf
        return int(way_ns) if isfinite(way_ns) else inf  # whoever wrote the coordinates may have written anything

    return sorted(items, key=how_far_ns)

"""Metrics in Prometheus' text format, read from the rooms' plain counters at each scrape; nothing is counted twice and nothing is global.

A counter's metric is `callboard_<room>_<field>`; fields that end as `_GAUGES` do go up and down, the others only up and
get `_total`.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from callboard.frontend.base import Measure
from callboard.server.metric_texts import TEXTS
from callboard.server.workers.figures import Figure

GAUGES: Final = {
    "revision": "The revision of this server's view.",
    "ready": "1 once there is a view, and requests are answered.",
    "nodes": "Nodes in the catalog.",
    "services": "Services in the catalog, of all namespaces.",
    "instances": "Instances in the catalog.",
    "checks": "Checks in the catalog.",
    "floors": "Rows that keep the index of what was removed.",
    "leading": "1 while this server leads.",
    "leader_known": "1 while this server knows who leads.",
    "members_count": "Servers that are present.",
    "view_age_ms": "Milliseconds since this server last knew its view to be the newest; 0 at the leader.",
}
"""How the catalog is now, and how this server stands among the members."""
_GAUGES = ("_now", "_bytes", "_count", "_revision", "_seconds")
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class _Rooms(Collector):
    def __init__(self, rooms: Mapping[str, object], gauges: Callable[[], Mapping[str, float]]) -> None:
        self._rooms = rooms
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        for figure in figures(self._rooms, self._gauges()):
            family = CounterMetricFamily if figure.counts else GaugeMetricFamily
            yield family(figure.name, figure.text, value=figure.value)


def figures(rooms: Mapping[str, object], gauges: Mapping[str, float]) -> Iterator[Figure]:
    """Everything there is, with what each says of itself."""
    for name, value in gauges.items():
        yield Figure(f"callboard_{name}", GAUGES[name], float(value), counts=False)
    for room, stats in rooms.items():
        for field, value in fields_of(stats):
            text = TEXTS.get(f"{type(stats).__name__}.{field}", f"{room}: {field.replace('_', ' ')}")
            yield Figure(metric_name(room, field), text, value, counts=not field.endswith(_GAUGES))


def metric_name(room: str, field: str) -> str:
    """The name a room's counter is shown under."""
    if field.endswith(_GAUGES):
        return f"callboard_{room}_{field}"
    return f"callboard_{room}_{field.removesuffix('_total')}_total"


def fields_of(stats: object) -> Iterator[tuple[str, float]]:
    """Names and values of a struct's numbers."""
    names = (
        [field.name for field in dataclasses.fields(stats)] if dataclasses.is_dataclass(stats) else getattr(stats, "__struct_fields__", ())
    )
    for name in names:
        value = getattr(stats, name)
        if isinstance(value, int | float):
            yield name, value


class Telemetry:
    """The metrics of one server; lives as long as it."""

    def __init__(self, rooms: Mapping[str, object], gauges: Callable[[], Mapping[str, float]]) -> None:
        self._rooms = rooms
        self._gauges = gauges
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Rooms(rooms, gauges))

    def measures(self) -> Iterator[Measure]:
        """Everything, as it is now, one by one."""
        for name, value in self._gauges().items():
            yield Measure(f"callboard_{name}", value, counts=False)
        for room, stats in self._rooms.items():
            for field, value in fields_of(stats):
                yield Measure(metric_name(room, field), value, counts=not field.endswith(_GAUGES))

    def figures(self) -> Iterator[Figure]:
        """The same, with what each says of itself."""
        return figures(self._rooms, self._gauges())

    def page(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return bytes(generate_latest(self._registry))

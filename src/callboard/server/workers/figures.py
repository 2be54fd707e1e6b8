"""The metrics of several processes on one page: each figure once for each process, with its number as the label `worker`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

LABEL: Final = "worker"


class Figure(NamedTuple):
    """One metric of one process."""

    name: str
    text: str
    value: float
    counts: bool


_figures: Final = msgspec.msgpack.Decoder(list[Figure])


def decode_figures(data: bytes) -> list[Figure]:
    """What a worker has told."""
    return _figures.decode(data)


def encode_figures(figures: Sequence[Figure]) -> bytes:
    """What a worker tells."""
    return msgspec.msgpack.encode(figures)


class _Gathered(Collector):
    def __init__(self, by_worker: Mapping[int, Sequence[Figure]]) -> None:
        self._by_worker = by_worker

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for number, figures in sorted(self._by_worker.items()):
            for figure in figures:
                family = families.get(figure.name)
                if family is None:
                    make = CounterMetricFamily if figure.counts else GaugeMetricFamily
                    family = families[figure.name] = make(figure.name, figure.text, labels=[LABEL])
                suffix = "" if not figure.counts else "_total"
                family.add_sample(family.name + suffix, {LABEL: str(number)}, figure.value)
        yield from families.values()


def page(by_worker: Mapping[int, Sequence[Figure]]) -> bytes:
    """Everything, as Prometheus reads it. 0 is the process that holds the engine."""
    return bytes(generate_latest(_Gathered(by_worker)))

"""What a board does, as Prometheus metrics of the process that uses it.

    instrument(board)             # before services are followed: what was told before is not known
    instrument(board, registry)   # a registry of your own, say for a second board

Nothing here serves them: `prometheus_client.start_http_server`, or whatever the program has, does. See docs/guides/observability.md.
"""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from callboard.client.events import AttemptEnded, Ejected, Event, FeedLost
from callboard.integrations.base.ledger import Ledger, Observed
from callboard.integrations.base.needs import needs

with needs("prometheus"):
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
    from prometheus_client.core import GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector as BaseCollector

__all__ = ["Collector", "instrument"]

Labels = TypeVar("Labels", bound=tuple[str, ...])

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Collector(BaseCollector):
    """The metrics of one board, from `instrument` to `close`."""

    def __init__(self, board: Observed, registry: CollectorRegistry) -> None:
        """Raises prometheus_client's `ValueError` when the registry has the metrics of another board."""
        self._registry = registry
        self._ledger = Ledger(board)
        self._attempts = Counter(
            "callboard_client_attempts", "Tries of calls, by service and outcome.", ("service", "outcome"), registry=registry
        )
        self._durations = Histogram(
            "callboard_client_attempt_duration_seconds",
            "Time to the head of the answer.",
            ("service",),
            registry=registry,
            buckets=BUCKETS_S,
        )
        self._retries = Counter("callboard_client_retries", "Attempts after the first of a call.", ("service",), registry=registry)
        self._ejections = Counter("callboard_client_ejections", "Instances left out because calls fail.", ("service",), registry=registry)
        self._losses = Counter(
            "callboard_client_feed_losses", "Times the registry could not be followed.", ("namespace",), registry=registry
        )
        self._closed = False
        registry.register(self)
        self._stop = board.observe(self._observe)

    def _observe(self, event: Event) -> None:
        self._ledger.note(event)
        match event:
            case AttemptEnded(service=service, outcome=outcome, number=number, elapsed_ns=elapsed_ns):
                self._attempts.labels(service, outcome).inc()
                self._durations.labels(service).observe(elapsed_ns / 1e9)
                if number > 1:
                    self._retries.labels(service).inc()
            case Ejected(service=service, out=True):
                self._ejections.labels(service).inc()
            case FeedLost(namespace=namespace):
                self._losses.labels(namespace).inc()

    def collect(self) -> Iterator[Metric]:
        """The gauges, at a scrape."""
        known = ("namespace", "service")
        instances = GaugeMetricFamily("callboard_client_instances", "Instances known of a service.", labels=known)
        held = GaugeMetricFamily("callboard_client_instances_held", "Kept though the last picture lacks them: doubted.", labels=known)
        stale = GaugeMetricFamily("callboard_client_snapshot_stale", "1: from the disk, or the registry is not heard.", labels=known)
        age = GaugeMetricFamily("callboard_client_snapshot_age_seconds", "Since the registry was last heard.", labels=known)
        for snapshot in self._ledger.snapshots():
            of = (snapshot.namespace, snapshot.service)
            instances.add_metric(of, snapshot.instances)
            held.add_metric(of, snapshot.held)
            stale.add_metric(of, snapshot.stale)
            if (age_s := self._ledger.age_s(*of)) is not None:
                age.add_metric(of, age_s)
        yield from (instances, held, stale, age)
        yield _gauge(
            "callboard_client_ejected", "Instances left out now.", ("service",), {(s,): n for s, n in self._ledger.ejected().items()}
        )
        states = self._ledger.registrations()
        yield _gauge("callboard_client_registrations", "Registrations of this process, by state.", ("service", "state"), states)
        blocked = {(service,): count for service, count in self._ledger.blocked().items()}
        yield _gauge("callboard_client_loops_blocked", "Registrations whose event loop does not turn.", ("service",), blocked)

    def close(self) -> None:
        """Take the metrics out of the registry. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._stop()
        for collector in (self, self._attempts, self._durations, self._retries, self._ejections, self._losses):
            self._registry.unregister(collector)


def _gauge(name: str, help_text: str, labels: tuple[str, ...], values: Mapping[Labels, int]) -> Metric:
    gauge = GaugeMetricFamily(name, help_text, labels=labels)
    for of, value in values.items():
        gauge.add_metric(of, value)
    return gauge


def instrument(board: Observed, registry: CollectorRegistry | None = None) -> Collector:
    """Metrics of what `board` does from now on, in `registry` (the default one of prometheus_client)."""
    return Collector(board, REGISTRY if registry is None else registry)

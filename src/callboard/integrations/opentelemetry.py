"""What a board does, as OpenTelemetry spans and metrics.

    stop = instrument(board)   # with the global providers; before services are followed

Each try of a call is a span below the caller's own, made when it ended. Headers that carry the trace to the instance (`traceparent`) are
the business of the HTTP library's own instrumentation: put it on the library, it works on what goes to each instance. Needs the API only.
See docs/guides/observability.md.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

from callboard import __version__
from callboard.client.events import AttemptEnded, Ejected, Event, FeedLost, Registering, SnapshotChanged
from callboard.integrations.base.ledger import Ledger, Observed
from callboard.integrations.base.needs import needs

with needs("opentelemetry"):
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider, Observation
    from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, TracerProvider

__all__ = ["instrument"]

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those that the semantic conventions give for durations of HTTP calls."""
_SCOPE: Final = "callboard"
_TROUBLE: Final = frozenset({"lost", "refused"})

Attributes = dict[str, str | int]


def instrument(
    board: Observed, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> Callable[[], None]:
    """Spans and metrics of what `board` does from now on; call the answer to stop. Without providers: the global ones."""
    spans = _Spans(trace.get_tracer(_SCOPE, __version__, tracer_provider))
    numbers = _Numbers(metrics.get_meter(_SCOPE, __version__, meter_provider), Ledger(board))

    def observe(event: Event) -> None:
        spans.note(event)
        numbers.note(event)

    remove = board.observe(observe)

    def stop() -> None:
        numbers.stopped = True
        remove()

    return stop


class _Spans:
    """Events as spans."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def note(self, event: Event) -> None:
        match event:
            case AttemptEnded():
                self._attempt(event)
            case Registering(service=service, instance_id=instance, state=state, reason=reason):
                attributes: Attributes = {"service.name": service, "callboard.instance": instance, "callboard.registration.state": state}
                span = self._tracer.start_span(f"registration {state}", kind=SpanKind.INTERNAL, attributes=attributes)
                if state in _TROUBLE:
                    span.set_status(Status(StatusCode.ERROR, reason))
                span.end()

    def _attempt(self, event: AttemptEnded) -> None:
        """The caller's context is the present one: a board tells the end of an attempt in its caller's thread or task."""
        ended = time.time_ns()
        attributes = {**_outcome(event), "callboard.instance": event.instance, "callboard.attempt.number": event.number}
        if event.address:
            attributes |= {"server.address": event.address, "server.port": event.port}
        if event.number > 1:
            attributes["http.request.resend_count"] = event.number - 1
        name = f"attempt {event.service}"
        span = self._tracer.start_span(name, kind=SpanKind.INTERNAL, attributes=attributes, start_time=ended - event.elapsed_ns)
        if not event.ok:
            span.set_status(Status(StatusCode.ERROR, event.outcome))
        span.end(ended)


def _outcome(event: AttemptEnded) -> Attributes:
    """What spans and metrics say alike; nothing that has many values."""
    attributes: Attributes = {"service.peer.name": event.service, "callboard.attempt.outcome": event.outcome}
    if event.outcome.isdigit():
        attributes["http.response.status_code"] = int(event.outcome)
    if not event.ok:
        attributes["error.type"] = event.outcome
    return attributes


class _Numbers:
    """Events as metrics."""

    def __init__(self, meter: Meter, ledger: Ledger) -> None:
        self.stopped = False
        """Gauges cannot be taken back, only be silent."""
        self._ledger = ledger
        self._durations = meter.create_histogram(
            "callboard.client.attempt.duration",
            unit="s",
            description="Time to the head of the answer, for each try of a call.",
            explicit_bucket_boundaries_advisory=BUCKETS_S,
        )
        self._ejections = meter.create_counter("callboard.client.ejections", unit="{ejection}", description="Instances left out.")
        self._losses = meter.create_counter("callboard.client.feed.losses", unit="{loss}", description="The registry was not heard.")
        self._changes = meter.create_counter(
            "callboard.client.registration.changes", unit="{change}", description="Registrations that went over to a state."
        )
        gauges: tuple[tuple[str, str, Callable[[SnapshotChanged], float | None]], ...] = (
            ("callboard.client.instances", "{instance}", lambda snapshot: snapshot.instances),
            ("callboard.client.instances.held", "{instance}", lambda snapshot: snapshot.held),
            ("callboard.client.snapshot.stale", "1", lambda snapshot: int(snapshot.stale)),
            ("callboard.client.snapshot.age", "s", lambda snapshot: ledger.age_s(snapshot.namespace, snapshot.service)),
        )
        for name, unit, value in gauges:
            meter.create_observable_gauge(name, callbacks=[self._each(value)], unit=unit)
        meter.create_observable_gauge("callboard.client.registrations", callbacks=[self._registrations], unit="{registration}")

    def note(self, event: Event) -> None:
        self._ledger.note(event)
        match event:
            case AttemptEnded(elapsed_ns=elapsed_ns):
                self._durations.record(elapsed_ns / 1e9, _outcome(event))
            case Ejected(service=service, out=True):
                self._ejections.add(1, {"service.peer.name": service})
            case FeedLost(namespace=namespace):
                self._losses.add(1, {"service.peer.namespace": namespace})
            case Registering(service=service, state=state):
                self._changes.add(1, {"service.name": service, "callboard.registration.state": state})

    def _each(self, value: Callable[[SnapshotChanged], float | None]) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            for snapshot in self._ledger.snapshots() if not self.stopped else ():
                if (now := value(snapshot)) is not None:
                    yield Observation(now, {"service.peer.name": snapshot.service, "service.peer.namespace": snapshot.namespace})

        return observe

    def _registrations(self, _: CallbackOptions) -> Iterable[Observation]:
        for (service, state), count in self._ledger.registrations().items() if not self.stopped else ():
            yield Observation(count, {"service.name": service, "callboard.registration.state": state})

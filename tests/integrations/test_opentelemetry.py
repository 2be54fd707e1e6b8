"""A board's spans and metrics in the real SDK of OpenTelemetry, from real calls."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

import callboard
from callboard import aio
from callboard.integrations import httpx as ours
from callboard.integrations.opentelemetry import instrument
from tests.integrations.orders import Service, orders, registry, settings
from tests.support import poll_until, run

__all__ = ["orders", "registry"]


class Telemetry:
    """Providers of a test's own."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        resources = data.resource_metrics if data is not None else []
        found = [metric for one in resources for scope in one.scope_metrics for metric in scope.metrics if metric.name == name]
        return [point for metric in found for point in metric.data.data_points]


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def said(span: ReadableSpan) -> Mapping[str, object]:
    assert span.attributes is not None
    return span.attributes


def test_each_attempt_is_a_span_below_the_callers(orders: Service, telemetry: Telemetry) -> None:
    good, bad = orders.add(), orders.add()
    bad.mode = "status 503"

    async def work() -> None:
        async with (
            aio.connect(orders.registry, settings=settings(retry_floor_per_s=100.0)) as board,
            httpx.AsyncClient(mounts={"svc://": ours.AsyncTransport(board, policy="smooth_wrr")}) as http,
        ):
            instrument(board, telemetry.tracers, telemetry.meters)
            async for snapshot in board.service(orders.name).watch():
                if len(snapshot.instances) == 2:
                    break
            for _ in range(2):
                with telemetry.tracers.get_tracer("test").start_as_current_span("caller"):
                    assert (await http.get(f"svc://{orders.name}/")).status_code == 200

    run(work())
    attempts, callers = telemetry.spans(f"attempt {orders.name}"), telemetry.spans("caller")
    failed, retried = (
        next(span for span in attempts if said(span)["callboard.attempt.number"] == number and ok(span) is (number == 2))
        for number in (1, 2)
    )
    assert said(failed)["error.type"] == "503"
    assert said(failed)["http.response.status_code"] == 503
    assert (said(failed)["server.address"], said(failed)["server.port"]) == ("127.0.0.1", bad.port)
    assert failed.status.status_code is StatusCode.ERROR
    assert said(retried)["server.port"] == good.port
    assert said(retried)["http.request.resend_count"] == 1
    assert said(retried)["service.peer.name"] == orders.name
    assert "error.type" not in said(retried)
    contexts = {caller.context.span_id for caller in callers if caller.context is not None}
    assert all(span.parent is not None and span.parent.span_id in contexts for span in attempts)
    assert failed.start_time is not None
    assert failed.end_time is not None
    assert 0 < failed.end_time - failed.start_time < 10**10


def ok(span: ReadableSpan) -> bool:
    return span.status.status_code is not StatusCode.ERROR


def test_calls_and_what_is_known_are_measured_until_it_is_stopped(orders: Service, telemetry: Telemetry) -> None:
    orders.add()
    with callboard.connect(orders.registry, settings=settings()) as board, ours.client(board) as http:
        stop = instrument(board, telemetry.tracers, telemetry.meters)
        for _ in range(5):
            http.get(f"svc://{orders.name}/")
        (durations,) = telemetry.points("callboard.client.attempt.duration")
        assert durations.count == 5
        assert durations.explicit_bounds[0] == 0.005
        assert dict(durations.attributes) == {
            "service.peer.name": orders.name,
            "callboard.attempt.outcome": "200",
            "http.response.status_code": 200,
        }
        values = {
            name: telemetry.points(f"callboard.client.{name}")[0].value
            for name in ("instances", "instances.held", "snapshot.stale", "snapshot.age")
        }
        assert values.pop("snapshot.age") < 5
        assert values == {"instances": 1, "instances.held": 0, "snapshot.stale": 0}
        stop()
        http.get(f"svc://{orders.name}/")
        assert telemetry.points("callboard.client.instances") == []
        assert len(telemetry.spans(f"attempt {orders.name}")) == 5


def in_state(point: Any, state: str) -> bool:
    return bool(point.attributes["callboard.registration.state"] == state)


def test_registrations_are_told(orders: Service, telemetry: Telemetry) -> None:
    instance = orders.add()
    name = f"{orders.name}-mine"
    with callboard.connect(orders.registry, settings=settings()) as board:
        instrument(board, telemetry.tracers, telemetry.meters)
        with board.register(name, port=instance.port) as registered:
            registered.wait(60)
            (point,) = poll_until(
                lambda: [one for one in telemetry.points("callboard.client.registrations") if in_state(one, "registered")]
            )
            assert (point.value, point.attributes["service.name"]) == (1, name)
    assert telemetry.points("callboard.client.registrations") == []
    changes = telemetry.points("callboard.client.registration.changes")
    assert [point.value for point in changes if in_state(point, "ended")] == [1]
    (span,) = telemetry.spans("registration registered")
    assert said(span)["callboard.instance"] == registered.id


def test_the_global_providers_are_taken_when_none_are_given(orders: Service) -> None:
    orders.add()
    with callboard.connect(orders.registry, settings=settings()) as board, ours.client(board) as http:
        stop = instrument(board)
        assert http.get(f"svc://{orders.name}/").status_code == 200
        stop()

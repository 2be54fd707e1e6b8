"""What a caller does, as OpenTelemetry spans."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import callboard
from callboard.integrations.opentelemetry import instrument
from callboard.integrations.requests import session

spans, tracers = InMemorySpanExporter(), TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
with callboard.connect() as board, session(board) as http:
    instrument(board, tracers)  # without providers: the global ones
    with tracers.get_tracer("shop").start_as_current_span("buy"):
        http.get("svc://orders/")
for span in spans.get_finished_spans():
    attributes = span.attributes or {}
    print(span.name, attributes.get("http.response.status_code"))

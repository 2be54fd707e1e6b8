"""`agent/metrics`: every metric of this server, as Consul shows its own, as Prometheus reads them, or as a stream that goes on for ever."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from callboard.frontend.base import Operations
from callboard.frontend.consul.agent_admin import operations_of
from callboard.frontend.consul.blocking import check_agent
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY, ConsulError
from callboard.frontend.consul.translate_servers import metrics
from callboard.model.time import SECOND
from callboard.net.http.message import JSON, Answer, Reply, Request, Route, Stream
from callboard.wire.consul_json import encode

PROMETHEUS: Final = b"text/plain; version=0.0.4; charset=utf-8"
LINES: Final = b"application/x-ndjson"


class AgentMetrics:
    """Handlers of `agent/metrics`."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._started = door.registry.clock.now()
        self._now_count = 0

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/agent/metrics", self.metrics, quick=False),
            Route("GET", "/v1/agent/metrics/stream", self.stream, quick=False),
        )

    def metrics(self, request: Request) -> Reply:
        """All of them, once."""
        operations = self._checked(request)
        if request.query.get("format") == "prometheus":
            return Answer(200, operations.page(), PROMETHEUS, POLICY)
        return Answer(200, self._now(operations, pretty="pretty" in request.query), JSON, POLICY)

    def stream(self, request: Request) -> Reply:
        """All of them now, and again after each interval, one line each time."""
        operations, limit = self._checked(request), self._door.settings.monitors_max_count
        if self._now_count >= limit:
            raise ConsulError(429, f"{limit} streams of metrics are read already (monitors_max_count); try again later")
        return Stream(self._lines(operations), LINES, (*POLICY, (b"cache-control", b"no-store")))

    async def _lines(self, operations: Operations) -> AsyncGenerator[bytes, None]:
        self._now_count += 1
        try:
            while True:
                yield self._now(operations) + b"\n"
                await asyncio.sleep(self._door.settings.metrics_interval_ms / 1_000)
        finally:
            self._now_count -= 1

    def _now(self, operations: Operations, *, pretty: bool = False) -> bytes:
        clock = self._door.registry.clock
        uptime_s = (clock.now() - self._started) / SECOND
        return encode(metrics(operations.measures(), clock.wall(), uptime_s), pretty=pretty)

    def _checked(self, request: Request) -> Operations:
        check_agent(request.query)
        check_headers(request.headers)
        return operations_of(self._door)

"""Metrics as Consul shows its own, as Prometheus reads them, and as a stream."""

import json
import re
from collections.abc import AsyncGenerator

from callboard.frontend.consul.settings import ConsulSettings
from callboard.net.http.message import Stream
from tests.frontend.consul.harness import consul
from tests.frontend.consul.operations import PAGE, operated
from tests.support import run


def test_metrics_have_consuls_shape() -> None:
    async def scenario() -> None:
        async with consul() as door:
            operated(door)
            got = await door.get("/v1/agent/metrics")
            assert list(got) == ["Timestamp", "Gauges", "Points", "Counters", "Samples"]
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", got["Timestamp"])
            assert got["Gauges"] == [{"Name": "callboard_revision", "Value": 7.0, "Labels": {}}]
            (counter,) = got["Counters"]
            assert list(counter) == ["Name", "Count", "Rate", "Sum", "Min", "Max", "Mean", "Stddev", "Labels"]
            assert (counter["Count"], counter["Sum"]) == (30, 30.0)
            assert counter["Rate"] > 0
            assert (got["Points"], got["Samples"]) == ([], [])

    run(scenario())


def test_metrics_are_the_page_of_prometheus_when_that_is_asked_for() -> None:
    async def scenario() -> None:
        async with consul() as door:
            operated(door)
            assert (await door.ask("GET", "/v1/agent/metrics?format=prometheus")).body == PAGE

    run(scenario())


def test_the_stream_is_one_line_for_each_interval() -> None:
    async def scenario() -> None:
        async with consul(ConsulSettings(metrics_interval_ms=1)) as door:
            operated(door)
            reply = door.reply("GET", "/v1/agent/metrics/stream")
            assert isinstance(reply, Stream)
            lines = []
            async for line in reply.chunks:
                lines.append(line)
                if len(lines) == 3:
                    break
            await reply.chunks.aclose()  # type: ignore[attr-defined]  # an async generator
            assert all(line.endswith(b"\n") and json.loads(line)["Gauges"][0]["Value"] == 7 for line in lines)

    run(scenario())


def test_so_many_read_the_stream_at_once_and_who_leaves_makes_room() -> None:
    async def scenario() -> None:
        async with consul(ConsulSettings(monitors_max_count=1)) as door:
            operated(door)
            reply = door.reply("GET", "/v1/agent/metrics/stream")
            assert isinstance(reply, Stream)
            assert isinstance(reply.chunks, AsyncGenerator)
            await anext(reply.chunks)
            got = await door.ask("GET", "/v1/agent/metrics/stream")
            assert (got.status, "monitors_max_count" in got.text) == (429, True)
            await reply.chunks.aclose()
            assert (await door.ask("GET", "/v1/agent/metrics/stream")).status == 200

    run(scenario())


def test_without_a_server_around_it_there_are_none() -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert (await door.ask("GET", "/v1/agent/metrics")).status == 503

    run(scenario())

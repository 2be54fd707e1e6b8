"""Checks of the agent: how they register, and the signs of life that keep them passing."""

import asyncio
from typing import Any

import pytest

from callboard.model.check import HttpCheck, TcpCheck
from tests.frontend.consul.harness import Consul, consul, served
from tests.support import repeated_if_stopped, run

WEB = {"ID": "web1", "Name": "web", "Tags": ["v1"], "Check": {"TTL": "15s"}}


def test_a_check_is_shown_with_the_fields_of_consul_in_its_order() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            (check,) = (await door.get("/v1/agent/checks")).values()
            del check["CreateIndex"], check["ModifyIndex"]
            assert list(check.items()) == [
                ("Node", "callboard"), ("CheckID", "service:web1"), ("Name", "Service 'web' check"), ("Status", "critical"), ("Notes", ""),
                ("Output", ""), ("ServiceID", "web1"), ("ServiceName", "web"), ("ServiceTags", ["v1"]), ("Type", "ttl"), ("Interval", "0s"),
                ("Timeout", "0s"), ("ExposedPort", 0), ("Definition", {}),
            ]  # fmt: skip

    run(scenario())


def test_a_check_belongs_to_a_service_or_to_the_callers_node() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/agent/check/register", {"Name": "disk", "TTL": "1m", "Status": "passing", "Notes": "n"})
            await door.put("/v1/agent/check/register", {"ID": "deep", "Name": "Deep look", "ServiceID": "web1", "TTL": "1m"})
            checks = await door.get("/v1/agent/checks")
            assert {name: (check["ServiceID"], check["Status"]) for name, check in checks.items()} == {
                "disk": ("", "passing"), "service:web1": ("web1", "critical"), "deep": ("web1", "critical"),
            }  # fmt: skip
            await door.put("/v1/agent/check/deregister/deep")
            assert set(await door.get("/v1/agent/checks")) == {"disk", "service:web1"}
            got = await door.ask("PUT", "/v1/agent/check/deregister/deep")
            assert (got.status, got.text) == (404, 'Unknown check ID "deep". Ensure that the check ID is passed, not the check name.')

    run(scenario())


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"TTL": "1s"}, 400, "Missing check name"),
        ({"Name": "c", "TTL": "1s", "Status": "great"}, 400, "Bad check status"),
        ({"Name": "c"}, 400, "Invalid check: TTL must be > 0 for TTL checks"),
        ({"Name": "c", "TTL": "1s", "ServiceID": "nope"}, 404, 'ServiceID "nope" does not exist'),
        ({"Name": "c", "TTL": "1us"}, 400, "Invalid check: TTL: must be at least 1 ms"),
        (
            {"Name": "c", "TCP": "x:1", "Interval": "1s", "FailuresBeforeWarning": 2},
            400,
            "FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
        ),
        (
            {"Name": "c", "TTL": "1s", "FailuresBeforeCritical": -1},
            400,
            "FailuresBeforeWarning can't be higher than FailuresBeforeCritical",
        ),
        ({"Name": "c", "GRPC": "x:0", "Interval": "1s"}, 400, "Invalid check: GRPC: must be between 1 and 65535"),
        ({"Name": "c", "Args": ["a", "\0"], "Interval": "1s"}, 400, "Invalid check: Args: must not contain NUL"),
        ({"Name": "c", "AliasService": "a" * 300}, 400, "Invalid check: AliasService: must have at most 255 characters, has 300"),
        ({"Name": "c", "TCP": "x:1", "HTTP": "http://x/", "Interval": "1s"}, 400, "Invalid check: HTTP and TCP cannot both be specified"),
        ({"Name": "c", "TTL": "1s", "OutputMaxSize": -1}, 400, "Invalid check: MaxOutputMaxSize must be positive"),
    ],
)
def test_what_is_no_check_is_refused_in_words(body: dict[str, Any], status: int, text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("PUT", "/v1/agent/check/register", body)
            assert got.status == status
            assert text in got.text

    run(scenario())


def test_definitions_carry_everything_a_probe_needs() -> None:
    async def scenario() -> None:
        async with consul() as door:
            http = {
                "Name": "h", "HTTP": "http://127.0.0.1:8080/health", "Interval": "100ms", "Timeout": "2s", "Method": "HEAD", "Body": "b",
                "Header": {"X-A": ["1", "2"]}, "DisableRedirects": True, "SuccessBeforePassing": 1, "FailuresBeforeWarning": 2,
                "FailuresBeforeCritical": 3, "DeregisterCriticalServiceAfter": "100ms", "OutputMaxSize": 99999,
            }  # fmt: skip
            await door.put("/v1/agent/check/register", http)
            await door.put("/v1/agent/check/register", {"Name": "t", "TCP": "[::1]:80", "Interval": "1m30s"})
            check = door.registry.view.check("public", "callboard", "h")
            assert check is not None
            definition = check.definition
            assert isinstance(definition, HttpCheck)
            assert (definition.interval, definition.timeout, definition.deregister_after) == (10**9, 2 * 10**9, 10**9)
            assert (definition.method, definition.body, definition.headers) == ("HEAD", "b", (("X-A", "1"), ("X-A", "2")))
            assert (definition.follow_redirects, definition.output_max_bytes, definition.connect) == (False, 4096, "")
            thresholds = definition.thresholds
            assert (thresholds.success_before_passing, thresholds.failures_before_warning, thresholds.failures_before_critical) == (1, 2, 3)
            tcp = door.registry.view.check("public", "callboard", "t")
            assert tcp is not None
            assert isinstance(tcp.definition, TcpCheck)
            assert (tcp.definition.host, tcp.definition.port) == ("::1", 80)
            shown = await door.get("/v1/agent/checks")
            assert [(shown[name]["Type"], shown[name]["Interval"], shown[name]["Timeout"]) for name in "ht"] == [
                ("http", "1s", "2s"),
                ("tcp", "1m30s", "10s"),
            ]

    run(scenario())


# -- signs of life


async def _state(door: Consul) -> tuple[str, str]:
    check = (await door.get("/v1/agent/checks"))["service:web1"]
    return check["Status"], check["Output"]


def test_a_ttl_check_says_what_it_is_told() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            assert await door.put("/v1/agent/check/pass/service:web1") == b""
            assert await _state(door) == ("passing", "")
            await door.put("/v1/agent/check/warn/service:web1?note=hot+here")
            assert await _state(door) == ("warning", "hot here")
            await door.put("/v1/agent/check/fail/service:web1?note=x")
            assert await _state(door) == ("critical", "x")
            await door.put("/v1/agent/check/update/service:web1", {"Status": "passing", "Output": "again"})
            assert await _state(door) == ("passing", "again")
            await door.put("/v1/agent/check/update/service:web1", {"status": "warning"})
            assert await _state(door) == ("warning", "")
            got = await door.ask("PUT", "/v1/agent/check/update/service:web1", {"Status": "odd"})
            assert (got.status, got.text) == (400, "Invalid check status: 'odd'")

    run(scenario())


def test_a_heartbeat_without_news_writes_nothing() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            for target in ("pass/service:web1", "pass/service:web1?note=fine", "warn/service:web1?note=" + "x" * 5000):
                await door.put(f"/v1/agent/check/{target}")
                revision, beats = door.registry.revision, door.registry.stats.beats
                await door.put(f"/v1/agent/check/{target}")
                await door.put(f"/v1/agent/check/{target}", peer="10.0.0.9")
                assert (door.registry.revision, door.registry.stats.beats) == (revision, beats + 2)

    run(scenario())


def test_long_output_is_clipped_and_says_so() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/agent/check/update/service:web1", {"Status": "passing", "Output": "x" * 5000})
            _, output = await _state(door)
            assert output == "x" * 4096 + " ... (captured 4096 of 5000 bytes)"

    run(scenario())


def test_signs_of_life_are_for_ttl_checks_only() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/check/register", {"Name": "t", "TCP": "127.0.0.1:1", "Interval": "1h"})
            got = await door.ask("PUT", "/v1/agent/check/pass/t")
            assert (got.status, got.text) == (500, 'CheckID "t" does not have associated TTL')
            got = await door.ask("PUT", "/v1/agent/check/pass/nope")
            assert (got.status, got.text) == (404, 'Unknown check ID "nope". Ensure that the check ID is passed, not the check name.')

    run(scenario())


def test_silence_turns_a_ttl_check_critical_in_consuls_words() -> None:
    async def scenario() -> None:
        async with served() as server:
            await server.put("/v1/agent/service/register", WEB | {"Check": {"TTL": "500ms"}})
            await server.put("/v1/agent/check/pass/service:web1?note=still+here")
            before = await server.get("/v1/health/service/web?passing")
            assert len(before.json()) == 1
            after = await asyncio.wait_for(server.blocked("/v1/health/service/web?passing", int(before.headers["x-consul-index"])), 60)
            assert after.json() == []
            (check,) = (await server.get("/v1/health/checks/web")).json()
            assert check["Output"] == "TTL expired (last output before timeout follows): still here"

    repeated_if_stopped(lambda: run(scenario()))

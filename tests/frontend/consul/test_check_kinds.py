"""Every kind of check that Consul's agent takes: what becomes of its fields, how it is shown, what is refused and in which words."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from callboard.frontend.consul.plugin import PLUGIN
from callboard.frontend.consul.settings import ConsulSettings
from callboard.model.check import (
    AliasCheck,
    Definition,
    GrpcCheck,
    H2pingCheck,
    HttpCheck,
    OsServiceCheck,
    ScriptCheck,
    Status,
    TcpCheck,
    Thresholds,
    TlsOptions,
    UdpCheck,
)
from callboard.model.time import SECOND, Duration
from callboard.registry.clock import SystemClock, SystemEntropy
from callboard.registry.registry import Registry
from callboard.registry.settings import RegistrySettings
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.store import MemoryStore
from tests.frontend.consul.harness import Consul, consul
from tests.support import run

HOUR = Duration(3600 * SECOND)
TEN = Duration(10 * SECOND)
A = "10.0.0.7"


def define(kind: type[Any], *args: Any, **more: Any) -> Any:
    """A definition asked once an hour."""
    return kind(*args, interval=HOUR, **more)


KINDS: list[tuple[dict[str, Any], Definition, tuple[str, str, str]]] = [
    ({"UDP": "10.1.1.1:53"}, define(UdpCheck, "10.1.1.1", 53), ("udp", "1h0m0s", "10s")),
    ({"GRPC": "10.1.1.1:50051"}, define(GrpcCheck, "10.1.1.1", 50051), ("grpc", "1h0m0s", "10s")),
    ({"GRPC": ":50051/a.b/C", "GRPCUseTLS": True}, define(GrpcCheck, "127.0.0.1", 50051, service="a.b/C", tls=TlsOptions()),
     ("grpc", "1h0m0s", "10s")),
    ({"H2PING": "[::1]:443"}, define(H2pingCheck, "::1", 443, tls=TlsOptions()), ("h2ping", "1h0m0s", "10s")),
    ({"h2ping": "x:80", "h2ping_use_tls": False}, define(H2pingCheck, "x", 80), ("h2ping", "1h0m0s", "10s")),
    ({"H2Ping": "x:80", "TLSServerName": "y", "TLSSkipVerify": True}, define(H2pingCheck, "x", 80, tls=TlsOptions("y", True)),
     ("h2ping", "1h0m0s", "10s")),
    ({"TCP": "x:80", "TCPUseTLS": True, "tls_server_name": "y"}, define(TcpCheck, "x", 80, tls=TlsOptions("y")), ("tcp", "1h0m0s", "10s")),
    ({"HTTP": "https://x/", "tls_skip_verify": True}, define(HttpCheck, "https://x/", tls=TlsOptions("", True)), ("http", "1h0m0s", "10s")),
    ({"OSService": "nginx.service", "Timeout": "3s"}, define(OsServiceCheck, "nginx.service", timeout=Duration(3 * SECOND)),
     ("os_service", "1h0m0s", "3s")),
    ({"args": ["/bin/true", "-x"]}, define(ScriptCheck, ("/bin/true", "-x")), ("script", "1h0m0s", "30s")),
    ({"ScriptArgs": ["/bin/true"], "Timeout": "1s"}, define(ScriptCheck, ("/bin/true",), timeout=SECOND), ("script", "1h0m0s", "1s")),
    ({"AliasService": "db", "Interval": "0s"}, AliasCheck("", "db"), ("alias", "0s", "0s")),
    ({"alias_node": "n2", "alias_service": "db", "Interval": 0}, AliasCheck("n2", "db"), ("alias", "0s", "0s")),
    ({"AliasNode": "n2", "Interval": 0, "DeregisterCriticalServiceAfter": "1m"}, AliasCheck("n2", "", Duration(60 * SECOND)),
     ("alias", "0s", "0s")),
]  # fmt: skip


class Scripted:
    """A server that runs scripts, or does not, with real probes."""

    def __init__(self, *, script_checks: bool) -> None:
        settings = RegistrySettings(member="m1", script_checks=script_checks)
        self.registry = Registry(MemoryStore(MemoryEngine()), settings, SystemClock(), SystemEntropy())

    async def __aenter__(self) -> Consul:
        await self.registry.open()
        return Consul(self.registry, PLUGIN.build(self.registry, ConsulSettings()))

    async def __aexit__(self, *_: object) -> None:
        await self.registry.close()


def definition_of(door: Consul, check: str = "c", node: str = "callboard") -> Any:
    """How a check is asked."""
    there = door.registry.view.check("public", node, check)
    assert there is not None
    return there.definition


@pytest.mark.parametrize(("fields", "definition", "shown"), KINDS, ids=[str(fields) for fields, *_ in KINDS])
def test_each_kind_is_taken_and_shown_with_consuls_type(
    fields: dict[str, Any], definition: Definition, shown: tuple[str, str, str]
) -> None:
    async def scenario() -> None:
        async with Scripted(script_checks=True) as door:
            await door.put("/v1/agent/check/register", {"Name": "c", "Interval": "1h", **fields})
            assert definition_of(door) == definition
            check = (await door.get("/v1/agent/checks"))["c"]
            assert (check["Type"], check["Interval"], check["Timeout"]) == shown
            await door.put("/v1/agent/service/register", {"Name": "web", "Check": {"CheckID": "d", "Interval": "1h", **fields}})
            assert definition_of(door, "d") == definition
            (of_service,) = await door.get("/v1/health/checks/web")
            assert (of_service["Type"], of_service["Interval"], of_service["Timeout"]) == shown

    run(scenario())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"UDP": "x:1"}, "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"),
        ({"Args": ["x"]}, "Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks"),
        ({"GRPC": "x:1", "Interval": "1s", "TTL": "1s"}, "Interval and TTL cannot both be specified"),
        ({"AliasService": "x", "HTTP": "http://x/", "Interval": "1s"}, "Interval cannot be set for Alias checks"),
        ({"AliasService": "x", "TTL": "1s"}, "TTL must be not be set for Alias checks"),
        ({"UDP": "x:1", "GRPC": "x:1", "Interval": "1s"}, "UDP and GRPC cannot both be specified"),
        ({"UDP": "x", "Interval": "1s"}, "UDP: must be host:port"),
        ({"GRPC": "x/y", "Interval": "1s"}, "GRPC: must be host:port[/service]"),
        ({"H2PING": "x:0", "Interval": "1s"}, "H2PING: must be between 1 and 65535"),
        ({"HTTP": "ftp://x/", "Interval": "1s"}, "HTTP: must start with http:// or https://"),
        ({"OSService": "a b", "Interval": "1s"}, "OSService: must be the name of a unit of systemd"),
        ({"DockerContainerID": "x", "Args": ["x"], "Interval": "1s"}, "DockerContainerID checks are not built"),
        ({"Shell": "/bin/sh", "Args": ["x"], "Interval": "1s"}, "Shell has no meaning without DockerContainerID"),
    ],
)
def test_what_is_no_check_of_its_kind_is_refused_in_words(fields: dict[str, Any], text: str) -> None:
    async def scenario() -> None:
        async with Scripted(script_checks=True) as door:
            got = await door.ask("PUT", "/v1/agent/check/register", {"Name": "c", **fields})
            assert got.status == 400
            assert got.text.startswith("Invalid check: " + text)

    run(scenario())


def test_checks_of_every_kind_aimed_at_the_callers_loopback_are_probed_at_the_callers_address() -> None:
    async def scenario() -> None:
        async with consul() as door:
            aims = {"HTTP": "https://localhost/", "TCP": "127.0.0.1:1", "UDP": ":1", "GRPC": "[::1]:1/x", "H2PING": "localhost:1"}
            checks = [{"CheckID": kind, "Interval": "1h", kind: aim} for kind, aim in aims.items()]
            await door.put("/v1/agent/service/register", {"Name": "web", "Checks": checks}, peer=A)
            assert {kind: definition_of(door, kind, "10-0-0-7").connect for kind in aims} == dict.fromkeys(aims, A)
            await door.put("/v1/agent/service/register", {"Name": "web", "Checks": checks})
            assert {definition_of(door, kind).connect for kind in aims} == {""}

    run(scenario())


# -- scripts


def test_scripts_are_refused_in_consuls_words_unless_the_server_may_run_them() -> None:
    async def scenario() -> None:
        script = {"Args": ["/bin/true"], "Interval": "1h"}
        async with Scripted(script_checks=False) as door:
            for path, body in (
                ("check/register", {"Name": "c", **script}),
                ("service/register", {"Name": "web", "Check": script}),
                ("service/register", {"Name": "web", "Checks": [{"TTL": "1s"}, script]}),
            ):
                got = await door.ask("PUT", f"/v1/agent/{path}", body)
                assert got.status == 400
                assert got.text == (
                    "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
                )
            assert await door.get("/v1/agent/checks") == {}

    run(scenario())


async def _turned(door: Consul, check: str, status: Status) -> str:
    """The output of a check once it has this status."""
    async with asyncio.timeout(30):
        changed = asyncio.Event()
        leave = door.registry.subscribe(lambda _: changed.set())
        while (there := door.registry.view.check("public", "callboard", check)) is None or there.status is not status:
            await changed.wait()
            changed.clear()
        leave()
    return there.output


def test_a_script_is_run_and_an_alias_turns_with_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Scripted(script_checks=True) as door:
            script = {"CheckID": "s", "Name": "look", "Args": ["/bin/sh", "-c", f"cat {tmp_path}/said 2>&1"], "Interval": "1s"}
            await door.put("/v1/agent/service/register", {"Name": "db", "Check": script})
            await door.put("/v1/agent/check/register", {"Name": "a", "AliasService": "db"})
            (tmp_path / "said").write_text("well\n")
            assert await _turned(door, "s", Status.PASSING) == "well\n"
            assert await _turned(door, "a", Status.PASSING) == "All checks passing."
            (tmp_path / "said").unlink()
            assert "No such file" in await _turned(door, "s", Status.WARNING)
            there = door.registry.view.check("public", "callboard", "a")
            assert there is not None
            assert there.status is Status.WARNING, "in the very group in which the script turned"
            assert there.output.startswith('Aliased check "look" failing: ')

    run(scenario())


def test_a_member_that_may_not_run_scripts_says_so_where_it_must() -> None:
    """Another member may have taken the registration."""

    async def scenario() -> None:
        async with Scripted(script_checks=True) as door:
            await door.put("/v1/agent/check/register", {"Name": "s", "Args": ["/bin/true"], "Interval": "1s", "Status": "passing"})
            door.registry._probing._prober._ask._script_checks = False  # type: ignore[attr-defined]  # noqa: SLF001  # as if it were another's
            output = await _turned(door, "s", Status.CRITICAL)
            assert output == "Scripts are disabled on member m1, which is to run this check: start every member with --enable-script-checks"

    run(scenario())


# -- aliases


def test_an_alias_says_what_its_target_says_at_once() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/check/register", {"Name": "a", "AliasService": "db", "AliasNode": "callboard"})
            check = (await door.get("/v1/agent/checks"))["a"]
            assert (check["Status"], check["Output"]) == ("critical", "Service db could not be found on node callboard")
            await door.put("/v1/agent/service/register", {"Name": "db", "Check": {"TTL": "1m", "Name": "beat"}})
            for word, status, output in (
                ("pass", "passing", "All checks passing."),
                ("warn", "warning", 'Aliased check "beat" failing: hot'),
                ("fail", "critical", 'Aliased check "beat" failing: hot'),
            ):
                await door.put(f"/v1/agent/check/{word}/service:db?note=hot")
                check = (await door.get("/v1/agent/checks"))["a"]
                assert (check["Status"], check["Output"]) == (status, output)
            got = await door.ask("PUT", "/v1/agent/check/pass/a")
            assert (got.status, got.text) == (500, 'CheckID "a" does not have associated TTL')
            await door.put("/v1/agent/service/deregister/db")
            assert (await door.get("/v1/agent/checks"))["a"]["Status"] == "critical"

    run(scenario())


def test_thresholds_and_limits_hold_for_every_kind() -> None:
    async def scenario() -> None:
        fields = {
            "Interval": "1h", "SuccessBeforePassing": 1, "FailuresBeforeWarning": 2, "FailuresBeforeCritical": 3, "OutputMaxSize": 99,
            "DeregisterCriticalServiceAfter": "2m", "Timeout": "7s",
        }  # fmt: skip
        async with Scripted(script_checks=True) as door:
            for kind, what in (
                ("HTTP", "http://x/"), ("TCP", "x:1"), ("UDP", "x:1"), ("GRPC", "x:1"), ("H2PING", "x:1"), ("Args", ["x"]),
                ("OSService", "x"),
            ):  # fmt: skip
                await door.put("/v1/agent/check/register", {"Name": kind, kind: what, **fields})
                definition = definition_of(door, kind)
                assert definition == replace(
                    definition, interval=HOUR, thresholds=Thresholds(1, 2, 3), output_max_bytes=99, deregister_after=Duration(120 * SECOND),
                    timeout=Duration(7 * SECOND),
                )  # fmt: skip

    run(scenario())


# -- checks of the catalog


async def _shown(door: Consul, **fields: Any) -> tuple[str, Any]:
    """Type and definition of a check of the catalog, once it is registered with these fields."""
    await door.put("/v1/catalog/register", {"Node": "ext", "Address": "10.9.9.9", "Check": {"CheckID": "x", "Status": "passing", **fields}})
    (check,) = await door.get("/v1/health/node/ext")
    return check["Type"], list(check["Definition"].items())


def test_the_definition_of_a_check_of_the_catalog_is_kept_for_whoever_asks_it() -> None:
    """As real Consul 1.22 shows them: order, spans as text but for TTL, no empty fields, no unknown ones."""

    async def scenario() -> None:
        async with consul() as door:
            definition: dict[str, Any] = {
                "HTTP": "http://x/", "Interval": "30s", "Timeout": 1_000_000_000, "TLSSkipVerify": True, "Header": {"A": ["b"]},
                "DeregisterCriticalServiceAfter": "1h", "Bogus": 1, "TCP": "",
            }  # fmt: skip
            assert await _shown(door, Definition=definition) == ("http", [
                ("Interval", "30s"), ("Timeout", "1s"), ("DeregisterCriticalServiceAfter", "1h0m0s"), ("HTTP", "http://x/"),
                ("TLSSkipVerify", True), ("Header", {"A": ["b"]}),
            ])  # fmt: skip
            assert await _shown(door, Type="mine", Definition={"tcp": "a:1", "H2PingUseTLS": True, "TTL": "5s", "OutputMaxSize": 5}) == (
                "mine", [("OutputMaxSize", 5), ("TCP", "a:1"), ("H2PingUseTLS", True), ("TTL", 5_000_000_000)],
            )  # fmt: skip
            assert await _shown(door, Definition={"Bogus": 1}) == ("", [])
            assert await _shown(door) == ("", [])
            bad: list[Any] = [{"HTTP": 1}, {"Interval": "soon"}, [], {"Body": "x" * 20_000}]
            for wrong in bad:
                check = {"CheckID": "x", "Definition": wrong}
                got = await door.ask("PUT", "/v1/catalog/register", {"Node": "ext", "Address": "10.9.9.9", "Check": check})
                assert (got.status, "Definition" in got.text) == (400, True), wrong

    run(scenario())

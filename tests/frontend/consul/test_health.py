"""Health: what an instance's health is derived from, and what `passing` keeps."""

from callboard.core.catalog.commands import SetPhase, Target
from callboard.model.instance import Phase
from tests.frontend.consul.harness import Consul, consul
from tests.support import run

WEB = {"ID": "web1", "Name": "web", "Tags": ["v1"], "Address": "10.0.0.5", "Port": 80, "Check": {"TTL": "15s"}}


def test_the_answer_has_the_fields_of_consul_in_its_order() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            got = await door.ask("GET", "/v1/health/service/web")
            (entry,) = got.json()
            node, service, checks = entry["Node"], entry["Service"], entry["Checks"]
            assert list(entry) == ["Node", "Service", "Checks"]
            assert list(node) == ["ID", "Node", "Address", "Datacenter", "TaggedAddresses", "Meta", "CreateIndex", "ModifyIndex"]
            assert len(node["ID"]) == 36
            assert node["TaggedAddresses"] == {"lan": "127.0.0.1", "lan_ipv4": "127.0.0.1", "wan": "127.0.0.1", "wan_ipv4": "127.0.0.1"}
            assert list(service) == [
                "ID", "Service", "Tags", "Address", "TaggedAddresses", "Meta", "Port", "Weights", "EnableTagOverride", "Proxy",
                "Connect", "PeerName",
                "CreateIndex", "ModifyIndex",
            ]  # fmt: skip
            assert service["Proxy"] == {"Mode": "", "MeshGateway": {}, "Expose": {}}
            assert [check["CheckID"] for check in checks] == ["serfHealth", "service:web1"]
            assert all(list(check) == [
                "Node", "CheckID", "Name", "Status", "Notes", "Output", "ServiceID", "ServiceName", "ServiceTags", "Type", "Interval",
                "Timeout",
                "ExposedPort", "Definition", "CreateIndex", "ModifyIndex",
            ] for check in checks)  # fmt: skip
            serf = checks[0]
            assert (serf["Name"], serf["Status"], serf["Output"], serf["ServiceTags"]) == (
                "Serf Health Status", "passing", "Agent alive and reachable", [],
            )  # fmt: skip

    run(scenario())


async def _passing(door: Consul) -> list[str]:
    return [entry["Service"]["ID"] for entry in await door.get("/v1/health/service/web?passing")]


def test_passing_drops_an_instance_with_any_other_check() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            for verb, kept in (("pass", ["web1"]), ("warn", []), ("fail", []), ("pass", ["web1"])):
                await door.put(f"/v1/agent/check/{verb}/service:web1")
                assert await _passing(door) == kept
            await door.put("/v1/agent/check/register", {"Name": "disk", "TTL": "1h", "Status": "warning"})
            assert await _passing(door) == []
            assert await door.get("/v1/health/service/web?passing=false") == await door.get("/v1/health/service/web")
            got = await door.ask("GET", "/v1/health/service/web?passing=perhaps")
            assert (got.status, got.text) == (400, "Invalid value for ?passing")

    run(scenario())


def test_a_draining_instance_shows_a_critical_check_and_is_not_passing() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "ID": "web1"})
            assert await _passing(door) == ["web1"]
            for phase in (Phase.DRAINING, Phase.STARTING):
                door.registry.submit(SetPhase(Target("callboard", "web1"), phase))
                await door.put("/v1/agent/service/register", {"Name": "other"})
                assert await _passing(door) == []
                for path in ("checks/web", "node/callboard", "state/critical"):
                    (check,) = [check for check in await door.get(f"/v1/health/{path}") if check["CheckID"].startswith("_callboard_")]
                    assert (check["CheckID"], check["Status"], check["Type"]) == (
                        f"_callboard_{phase.value}:web1",
                        "critical",
                        "maintenance",
                    )
                assert len((await door.get("/v1/health/service/web"))[0]["Checks"]) == 2
                assert await door.get("/v1/agent/checks") == {}
            door.registry.submit(SetPhase(Target("callboard", "web1"), Phase.SERVING))
            await door.put("/v1/agent/service/deregister/other")
            assert await _passing(door) == ["web1"]

    run(scenario())


def test_checks_are_listed_by_service_node_and_state() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/agent/check/register", {"Name": "disk", "TTL": "1h", "Status": "warning"})
            ids = {
                path: [check["CheckID"] for check in await door.get(f"/v1/health/{path}")]
                for path in (
                    "checks/web",
                    "node/CallBoard",
                    "node/nope",
                    "state/any",
                    "state/warning",
                    "state/passing",
                    "state/critical",
                    "state/Warning",
                    "state/odd",
                )
            }
            assert ids == {
                "checks/web": ["service:web1"], "node/CallBoard": ["disk", "serfHealth", "service:web1"], "node/nope": [],
                "state/any": ["disk", "serfHealth", "service:web1"], "state/warning": ["disk"], "state/passing": ["serfHealth"],
                "state/critical": ["service:web1"], "state/Warning": ["disk"], "state/odd": [],
            }  # fmt: skip
            texts = [(await door.ask("GET", f"/v1/health/{path}/")).text for path in ("service", "checks", "node", "state")]
            assert texts == ["Missing service name", "Missing service name", "Missing node name", "Missing check state"]

    run(scenario())


def test_names_are_looked_up_in_any_case() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "Web"})
            assert len(await door.get("/v1/health/service/wEB")) == len(await door.get("/v1/catalog/service/WEB")) == 1

    run(scenario())


def test_ids_may_hold_what_urls_must_escape() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "ID": "app#10.0.0.1/x:80", "Check": {"TTL": "15s"}})
            await door.put("/v1/agent/check/pass/service:app%2310.0.0.1/x:80")
            assert await _passing(door) == ["app#10.0.0.1/x:80"]
            await door.put("/v1/agent/service/deregister/app%2310.0.0.1%2Fx:80")
            assert await door.get("/v1/health/service/web") == []

    run(scenario())

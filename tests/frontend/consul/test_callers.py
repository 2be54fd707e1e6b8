"""Nodes by caller: equal ids on different hosts are different instances, and an id is found wherever it is unique."""

from callboard.model.check import HttpCheck, TcpCheck
from tests.frontend.consul.harness import consul
from tests.support import run

A, B = "10.0.0.7", "10.0.0.8"


def test_equal_ids_on_two_hosts_are_two_instances_each_with_its_address() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for peer in (A, B):
                await door.put("/v1/agent/service/register", {"Name": "web", "Port": 80}, peer=peer)
            shown = await door.get("/v1/health/service/web")
            assert [(entry["Node"]["Node"], entry["Node"]["Address"], entry["Service"]["Address"]) for entry in shown] == [
                ("10-0-0-7", A, ""), ("10-0-0-8", B, ""),
            ]  # fmt: skip
            assert list(await door.get("/v1/agent/services", peer=A)) == ["web"]
            assert await door.get("/v1/agent/services") == {}
            await door.put("/v1/agent/service/deregister/web", peer=A)
            assert [entry["Node"] for entry in await door.get("/v1/catalog/service/web")] == ["10-0-0-8"]
            assert [node["Node"] for node in await door.get("/v1/catalog/nodes")] == ["10-0-0-8", "callboard"]

    run(scenario())


def test_an_id_that_is_unique_is_found_from_elsewhere_and_else_the_nodes_are_named() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "Check": {"TTL": "15s"}}, peer=A)
            await door.put("/v1/agent/check/pass/service:web")
            assert (await door.get("/v1/agent/service/web"))["Service"] == "web"
            await door.put("/v1/agent/service/register", {"Name": "web", "Check": {"TTL": "15s"}}, peer=B)
            for method, path in (("PUT", "service/deregister/web"), ("PUT", "check/pass/service:web"), ("GET", "service/web"),
                                 ("PUT", "service/maintenance/web?enable=1")):  # fmt: skip
                got = await door.ask(method, f"/v1/agent/{path}")
                assert got.status == 409
                assert "is on 2 nodes (10-0-0-7, 10-0-0-8); name one with ?node= or X-Callboard-Node" in got.text
            assert (await door.ask("PUT", "/v1/agent/service/deregister/web", headers={"x-callboard-node": "10-0-0-7"})).status == 200
            await door.put("/v1/agent/service/deregister/web")
            assert await door.get("/v1/catalog/service/web") == []

    run(scenario())


def test_a_caller_may_name_its_node() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register?node=Blue", {"Name": "web"}, peer=A)
            await door.ask("PUT", "/v1/agent/service/register", {"Name": "web"}, headers={"x-callboard-node": "green"})
            assert [(entry["Node"], entry["Address"]) for entry in await door.get("/v1/catalog/service/web")] == [
                ("Blue", A),
                ("green", "127.0.0.1"),
            ]
            assert list(await door.get("/v1/agent/services?node=blue")) == ["web"]
            assert (await door.ask("PUT", "/v1/agent/service/register?node=" + "x" * 300, {"Name": "web"})).status == 400
            about = await door.get("/v1/agent/self?node=blue")
            assert about["Config"]["NodeName"] == "Blue"
            assert (await door.get("/v1/agent/self", peer=B))["Config"]["NodeName"] == "10-0-0-8"

    run(scenario())


def test_a_check_aimed_at_the_callers_loopback_is_probed_at_the_callers_address() -> None:
    async def scenario() -> None:
        async with consul() as door:
            checks = [
                {"CheckID": "h", "HTTP": "http://localhost:8080/", "Interval": "1h"}, {"CheckID": "t", "TCP": ":22", "Interval": "1h"},
                {"CheckID": "o", "TCP": "10.1.1.1:22", "Interval": "1h"},
            ]  # fmt: skip
            for peer in (A, "127.0.0.1"):
                await door.put("/v1/agent/service/register", {"Name": "web", "Checks": checks}, peer=peer)
            dialled = {}
            for node in ("10-0-0-7", "callboard"):
                for name in "hto":
                    check = door.registry.view.check("public", node, name)
                    assert check is not None
                    assert isinstance(check.definition, HttpCheck | TcpCheck)
                    dialled[node, name] = check.definition.connect
            assert dialled == {
                ("10-0-0-7", "h"): A, ("10-0-0-7", "t"): A, ("10-0-0-7", "o"): "",
                ("callboard", "h"): "", ("callboard", "t"): "", ("callboard", "o"): "",
            }  # fmt: skip

    run(scenario())


def test_maintenance_of_a_node_is_that_of_the_caller() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for peer in (A, B):
                await door.put("/v1/agent/service/register", {"Name": "web"}, peer=peer)
            await door.put("/v1/agent/maintenance?enable=true", peer=A)
            assert [entry["Node"]["Node"] for entry in await door.get("/v1/health/service/web?passing")] == ["10-0-0-8"]

    run(scenario())

"""The catalog: registrations on behalf of any node, with status, and what its reads show."""

from typing import Any

import pytest

from callboard.model.check import TtlCheck
from tests.frontend.consul.harness import Consul, consul
from tests.support import run

N1 = {"Node": "N1", "Address": "10.0.0.1"}
WEB = {"ID": "web1", "Service": "web", "Tags": ["v1"], "Port": 80}
UUID = "f0e1d2c3-0000-4000-8000-0123456789ab"


def test_a_node_is_registered_alone_and_shown_as_it_was_spelled() -> None:
    async def scenario() -> None:
        async with consul() as door:
            body = N1 | {"ID": UUID, "TaggedAddresses": {"lan": "10.0.0.1"}, "NodeMeta": {"rack": "a"}}
            assert await door.put("/v1/catalog/register", body) == b"true"
            node = (await door.get("/v1/catalog/node/n1"))["Node"]
            index = node.pop("CreateIndex")
            assert node == {
                "ID": UUID, "Node": "N1", "Address": "10.0.0.1", "Datacenter": "dc1", "TaggedAddresses": {"lan": "10.0.0.1"},
                "Meta": {"rack": "a"}, "ModifyIndex": index,
            }  # fmt: skip
            await door.put("/v1/catalog/register", {"Node": "plain", "Address": "10.0.0.2"})
            plain = (await door.get("/v1/catalog/node/PLAIN"))["Node"]
            assert (plain["ID"], plain["TaggedAddresses"], plain["Meta"]) == ("", None, None)
            assert [node["Node"] for node in await door.get("/v1/catalog/nodes")] == ["callboard", "N1", "plain"]

    run(scenario())


def test_unknown_nodes_are_null_and_unknown_services_empty() -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert await door.get("/v1/catalog/node/nope") is None
            assert await door.get("/v1/catalog/node-services/nope") == {"Node": None, "Services": None}
            assert await door.get("/v1/catalog/service/nope") == []
            for path in ("service", "node", "node-services"):
                assert (await door.ask("GET", f"/v1/catalog/{path}/")).status == 400

    run(scenario())


def test_a_service_is_shown_flat_with_the_fields_of_consul_in_its_order() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/catalog/register", N1 | {"Service": WEB})
            (shown,) = await door.get("/v1/catalog/service/web")
            assert list(shown) == [
                "ID", "Node", "Address", "Datacenter", "TaggedAddresses", "NodeMeta", "ServiceKind", "ServiceID", "ServiceName",
                "ServiceTags",
                "ServiceAddress", "ServiceWeights", "ServiceMeta", "ServicePort", "ServicePorts", "ServiceSocketPath",
                "ServiceEnableTagOverride", "ServiceProxy", "ServiceConnect", "ServiceLocality", "CreateIndex", "ModifyIndex",
            ]  # fmt: skip
            assert (shown["Address"], shown["ServiceAddress"], shown["ServicePort"], shown["ServiceTags"]) == ("10.0.0.1", "", 80, ["v1"])
            node = await door.get("/v1/catalog/node/n1")
            assert list(node["Services"]["web1"]) == [
                "ID", "Service", "Tags", "Address", "Meta", "Port", "Weights", "EnableTagOverride", "Proxy", "Connect", "PeerName",
                "CreateIndex", "ModifyIndex",
            ]  # fmt: skip
            assert (await door.get("/v1/catalog/node-services/n1"))["Services"] == list(node["Services"].values())
            assert await door.get("/v1/catalog/services") == {"consul": [], "web": ["v1"]}

    run(scenario())


def test_lower_case_registration_and_removal_of_a_check_keeps_the_node() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(
                "/v1/catalog/register", {"node": "n1", "address": "10.0.0.1", "service": {"service": "s1"}, "check": {"name": "c1"}}
            )
            assert [check["CheckID"] for check in await door.get("/v1/health/node/n1")] == ["c1"]
            await door.put("/v1/catalog/deregister", {"node": "n1", "checkid": "c1"})
            assert (await door.get("/v1/catalog/node/n1"))["Services"].keys() == {"s1"}
            await door.put("/v1/catalog/deregister", {"Node": "n1", "ServiceID": "s1"})
            assert (await door.get("/v1/catalog/node/n1"))["Services"] == {}
            await door.put("/v1/catalog/deregister", {"Node": "n1"})
            assert await door.get("/v1/catalog/node/n1") is None

    run(scenario())


def test_removing_what_is_gone_already_is_no_error() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for body in ({"Node": "n"}, {"Node": "n", "ServiceID": "s"}, {"Node": "n", "CheckID": "c"}):
                assert await door.put("/v1/catalog/deregister", body) == b"true"

    run(scenario())


def test_the_catalogs_word_on_status_counts_and_keeps_how_a_check_is_asked() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "Check": {"TTL": "15s"}})
            body = {
                "Node": "callboard",
                "Address": "127.0.0.1",
                "Check": {"CheckID": "service:web", "ServiceID": "web", "Name": "x", "Status": "passing"},
            }
            await door.put("/v1/catalog/register", body)
            (check,) = await door.get("/v1/health/checks/web")
            assert (check["Status"], check["Name"], check["Type"]) == ("passing", "x", "ttl")
            row = door.registry.view.check("public", "callboard", "service:web")
            assert row is not None
            assert isinstance(row.definition, TtlCheck)

    run(scenario())


def test_a_health_answer_can_be_sent_back_and_changes_nothing() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "Address": "10.0.0.5", "Port": 1, "Check": {"TTL": "15s"}})
            await door.put("/v1/agent/service/maintenance/web?enable=true")
            (shown,) = await door.get("/v1/health/service/web")
            own = [check for check in shown["Checks"] if check["CheckID"] != "serfHealth"]
            body = {"Node": "callboard", "SkipNodeUpdate": True, "Service": shown["Service"], "Checks": own}
            await door.put("/v1/catalog/register", body)
            (again,) = await door.get("/v1/health/service/web")
            assert [check["Type"] for check in again["Checks"]] == [check["Type"] for check in shown["Checks"]]
            assert again["Service"]["TaggedAddresses"] == shown["Service"]["TaggedAddresses"]

    run(scenario())


def test_maintenance_can_be_set_from_elsewhere_through_the_catalog() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/catalog/register", N1 | {"Service": WEB, "Check": {"CheckID": "_node_maintenance", "Name": "m"}})
            (check,) = (await door.get("/v1/health/service/web"))[0]["Checks"]
            assert (check["Status"], check["Type"]) == ("critical", "maintenance")
            assert await door.get("/v1/health/service/web?passing") == []

    run(scenario())


def test_skip_node_update_leaves_a_node_that_is_there() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/catalog/register", N1)
            await door.put("/v1/catalog/register", {"Node": "n1", "Address": "10.9.9.9", "SkipNodeUpdate": True, "Service": WEB})
            await door.put("/v1/catalog/register", {"Node": "n1", "SkipNodeUpdate": True, "Service": WEB | {"ID": "web2"}})
            node = await door.get("/v1/catalog/node/n1")
            assert (node["Node"]["Address"], set(node["Services"])) == ("10.0.0.1", {"web1", "web2"})
            await door.put("/v1/catalog/register", {"Node": "n1", "Address": "10.9.9.9"})
            assert (await door.get("/v1/catalog/node/n1"))["Node"]["Address"] == "10.9.9.9"

    run(scenario())


def test_identical_registrations_do_not_move_the_index() -> None:
    async def scenario() -> None:
        async with consul() as door:
            body = N1 | {"Service": WEB, "Check": {"CheckID": "c", "ServiceID": "web1", "Status": "passing", "Output": "o"}}
            await door.put("/v1/catalog/register", body)
            revision = door.registry.revision
            await door.put("/v1/catalog/register", body)
            assert door.registry.revision == revision

    run(scenario())


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"Address": "10.0.0.1"}, 400, "Must provide node"),
        ({"Node": "n1"}, 400, "Must provide address if SkipNodeUpdate is not set"),
        ({"Node": "n1", "SkipNodeUpdate": True}, 400, "Must provide address: node 'n1' is not registered yet"),
        (N1 | {"ID": "x"}, 400, "Bad node ID: uuid string is wrong length"),
        (N1 | {"ID": "x" * 36}, 400, "Bad node ID: uuid is improperly formatted"),
        (N1 | {"Service": {}}, 400, "service name (Service.Service) is required; "),
        (N1 | {"Service": {"ID": "x"}}, 400, "Must provide service name (Service.Service) when service ID is provided"),
        (N1 | {"Service": {"Service": "x", "Address": "::"}}, 400, "Invalid service address"),
        (N1 | {"Service": {"Service": "x", "PeerName": "p"}}, 400, "cannot register requests with PeerName in them"),
        (N1 | {"Check": {"Name": "c", "ServiceID": "nope"}}, 500, "Unknown service ID 'nope' for check ID 'c'"),
        (N1 | {"Check": {}}, 400, "Must provide check ID or name (Check.CheckID, Check.Name)"),
        (N1 | {"Check": {"Name": "c", "Status": "odd"}}, 400, "Invalid check status: 'odd'"),
        (N1 | {"Check": {"Name": "c", "Node": "n2"}}, 400, "Node 'n2' for check 'c' doesn't match register request node 'N1'"),
        (N1 | {"Check": {"CheckID": "_callboard_draining:x"}}, 400, "ids that begin with _callboard_ are reserved"),
        (N1 | {"Datacenter": "dc2"}, 500, "No path to datacenter"),
        (N1 | {"Namespace": "x"}, 400, "Namespaces are a Consul Enterprise feature"),
        (N1 | {"Colour": 1}, 400, 'Request decode failed: json: unknown field "Colour"'),
        ({"Node": "callboard", "Address": "127.0.0.1", "Service": {"Service": "consul"}}, 400, "is the server's own"),
        ({"Node": "callboard", "Address": "127.0.0.1", "Check": {"Name": "serfHealth"}}, 400, "is the server's own"),
    ],
)
def test_what_cannot_be_registered_is_refused_in_words(body: dict[str, Any], status: int, text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            revision = door.registry.revision
            got = await door.ask("PUT", "/v1/catalog/register", body)
            assert got.status == status
            assert text in got.text
            assert door.registry.revision == revision

    run(scenario())


def test_the_servers_own_entries_cannot_be_removed() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for body in (
                {"Node": "Callboard"},
                {"Node": "callboard", "ServiceID": "consul"},
                {"Node": "callboard", "CheckID": "serfHealth"},
            ):
                got = await door.ask("PUT", "/v1/catalog/deregister", body)
                assert got.status == 400
                assert "is the server's own" in got.text
            assert (await door.ask("PUT", "/v1/catalog/deregister", {})).text == "Must provide node"

    run(scenario())


# -- selections


async def _fill(door: Consul) -> None:
    for node, rack, tags in (("n1", "a", ["v1", "Prod"]), ("n2", "b", ["v1"]), ("n3", "b", ["V2", "prod"])):
        body = {"Node": node, "Address": "10.0.0.1", "NodeMeta": {"rack": rack, "os": "linux"}, "Service": {"Service": "web", "Tags": tags}}
        await door.put("/v1/catalog/register", body)


@pytest.mark.parametrize(
    ("query", "nodes"),
    [
        ("", ["n1", "n2", "n3"]), ("?tag=v1", ["n1", "n2"]), ("?tag=V1&tag=prod", ["n1"]), ("?tag=v3", []), ("?node-meta=rack:b", ["n2",
        "n3"]),
        ("?node-meta=rack:b&node-meta=os:linux&tag=v2", ["n3"]), ("?node-meta=rack", []), ("?peer=other", []),
        ("?near=n3", ["n1", "n2", "n3"]),
    ],
)  # fmt: skip
def test_tags_and_node_meta_select_with_and(query: str, nodes: list[str]) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await _fill(door)
            assert [entry["Node"] for entry in await door.get(f"/v1/catalog/service/web{query}")] == nodes
            assert [entry["Node"]["Node"] for entry in await door.get(f"/v1/health/service/web{query}")] == nodes

    run(scenario())


def test_node_meta_selects_nodes_services_and_checks() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await _fill(door)
            assert [node["Node"] for node in await door.get("/v1/catalog/nodes?node-meta=rack:a")] == ["n1"]
            assert await door.get("/v1/catalog/services?node-meta=rack:b") == {"web": ["V2", "prod", "v1"]}
            assert await door.get("/v1/health/state/any?node-meta=rack:b") == []

    run(scenario())

"""Services of the agent: what registers, shows, hides and removes them."""

from typing import Any
from urllib.parse import quote

import pytest

from callboard.frontend.consul.settings import ConsulSettings
from callboard.net.seldom import LINES_MAX_COUNT
from tests.frontend.consul.harness import Consul, consul
from tests.support import run

WEB = {"ID": "web1", "Name": "web", "Tags": ["v1"], "Address": "10.0.0.5", "Port": 80}


def test_a_registered_service_is_shown_with_the_fields_of_consul_in_its_order() -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert await door.put("/v1/agent/service/register", WEB) == b""
            got = await door.ask("GET", "/v1/agent/services")
            assert got.text == (
                '{"web1":{"ID":"web1","Service":"web","Tags":["v1"],"Meta":{},"Port":80,"Address":"10.0.0.5","TaggedAddresses":'
                '{"lan_ipv4":{"Address":"10.0.0.5","Port":80},"wan_ipv4":{"Address":"10.0.0.5","Port":80}},'
                '"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Datacenter":"dc1"}}'
            )

    run(scenario())


def test_a_name_that_dns_cannot_say_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with consul() as door:
            for name in ("we b", "web"):
                await door.put("/v1/agent/service/register", WEB | {"Name": name})
            assert [record.getMessage().partition(":")[0] for record in caplog.records if "DNS" in record.getMessage()] == [
                "service 'we b' cannot be found over DNS"
            ]

    run(scenario())


def test_names_that_dns_cannot_say_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with consul() as door:
            for number in range(LINES_MAX_COUNT + 5):
                await door.put("/v1/agent/service/register", WEB | {"Name": f"we b{number}", "ID": str(number)})
            assert len([record for record in caplog.records if "DNS" in record.getMessage()]) == LINES_MAX_COUNT

    run(scenario())


def test_the_servers_own_entries_are_in_the_catalog_and_not_at_the_agent() -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert await door.get("/v1/agent/services") == {}
            assert await door.get("/v1/agent/checks") == {}
            assert await door.get("/v1/catalog/services") == {"consul": []}
            assert [check["CheckID"] for check in await door.get("/v1/health/state/any")] == ["serfHealth"]
            for call in ("service/deregister/consul", "check/deregister/serfHealth", "service/maintenance/consul?enable=true"):
                assert (await door.ask("PUT", f"/v1/agent/{call}")).status == 404
                assert (await door.ask("PUT", f"/v1/agent/{call}", peer="10.0.0.7")).status == 404
            assert (await door.ask("GET", "/v1/agent/service/consul")).status == 404
            assert (await door.ask("GET", "/v1/agent/service/consul", peer="10.0.0.7")).status == 404
            for body in ({"Name": "consul"}, {"Name": "x", "Check": {"CheckID": "serfHealth", "TTL": "1s"}}):
                got = await door.ask("PUT", "/v1/agent/service/register", body)
                assert got.status == 400
                assert "is the server's own" in got.text
            assert (await door.ask("PUT", "/v1/agent/check/register", {"Name": "serfHealth", "TTL": "1s"})).status == 400
            assert (await door.ask("PUT", "/v1/agent/check/register", {"Name": "x", "TTL": "1s", "ServiceID": "consul"})).status == 404

    run(scenario())


def test_one_service_carries_the_hash_of_what_it_shows() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            first = await door.ask("GET", "/v1/agent/service/web1")
            assert first.headers["x-consul-contenthash"] == first.json()["ContentHash"]
            assert list(first.json()) == [
                "ID", "Service", "Tags", "Meta", "Port", "Address", "TaggedAddresses", "Weights", "EnableTagOverride", "ContentHash",
                "Datacenter",
            ]  # fmt: skip
            await door.put("/v1/agent/service/register", WEB)
            assert (await door.ask("GET", "/v1/agent/service/web1")).body == first.body
            await door.put("/v1/agent/service/register", WEB | {"Port": 81})
            assert (await door.get("/v1/agent/service/web1"))["ContentHash"] != first.json()["ContentHash"]
            missing = await door.ask("GET", "/v1/agent/service/web2?hash=00")
            assert (missing.status, missing.text) == (404, "unknown service ID: web2")

    run(scenario())


def test_deregistering_takes_the_checks_along() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB | {"Check": {"TTL": "15s"}})
            assert list(await door.get("/v1/agent/checks")) == ["service:web1"]
            assert await door.put("/v1/agent/service/deregister/web1") == b""
            assert (await door.get("/v1/agent/services"), await door.get("/v1/agent/checks")) == ({}, {})
            got = await door.ask("PUT", "/v1/agent/service/deregister/web1")
            assert got.status == 404
            assert got.text == 'Unknown service ID "web1". Ensure that the service ID is passed, not the service name.'

    run(scenario())


def test_registering_again_keeps_status_and_other_checks_unless_they_are_to_be_replaced() -> None:
    async def scenario() -> None:
        async with consul() as door:
            two = WEB | {"Checks": [{"CheckID": "a", "TTL": "15s"}, {"CheckID": "b", "TTL": "15s"}]}
            one = WEB | {"Checks": [{"CheckID": "a", "TTL": "15s"}]}
            await door.put("/v1/agent/service/register", two)
            await door.put("/v1/agent/check/pass/a?note=fine")
            await door.put("/v1/agent/service/register", one)
            checks = await door.get("/v1/agent/checks")
            assert {name: (check["Status"], check["Output"]) for name, check in checks.items()} == {
                "a": ("passing", "fine"),
                "b": ("critical", ""),
            }
            for no in ("1", "True", "0", "rubbish"):
                await door.put(f"/v1/agent/service/register?replace-existing-checks={no}", one)
                assert list(await door.get("/v1/agent/checks")) == ["a", "b"], no
            for yes in ("", "=", "=true"):
                await door.put("/v1/agent/service/register", two)
                await door.put(f"/v1/agent/service/register?replace-existing-checks{yes}", one)
                assert list(await door.get("/v1/agent/checks")) == ["a"], yes

    run(scenario())


def test_checks_get_the_ids_and_names_of_consul() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "one", "Check": {"TTL": "1s"}, "Checks": []})
            await door.put("/v1/agent/service/register", {"Name": "two", "Check": {"TTL": "1s"}, "Checks": [{"TTL": "1s", "Name": "mine"}]})
            await door.put("/v1/agent/service/register", {"Name": "none", "Check": {}})
            checks = await door.get("/v1/agent/checks")
            assert {name: check["Name"] for name, check in checks.items()} == {
                "service:one": "Service 'one' check", "service:two:1": "Service 'two' check", "service:two:2": "mine",
            }  # fmt: skip

    run(scenario())


def test_an_id_under_another_name_moves() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/agent/service/register", WEB | {"Name": "api"})
            assert await door.get("/v1/catalog/services") == {"api": ["v1"], "consul": []}

    run(scenario())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "Missing service name"),
        ({"Name": "w", "Address": "0.0.0.0"}, "Invalid service address"),
        ({"Name": "w", "Weights": {"Passing": 0, "Warning": 1}}, "Invalid Weights: Passing must be greater than 0"),
        ({"Name": "w", "Weights": {"Passing": 70000, "Warning": 1}}, "Invalid Weights: DNS Weight must be between 0 and 65535"),
        ({"Name": "w", "Check": {"Name": "c"}}, "Invalid check: TTL must be > 0 for TTL checks"),
        ({"Name": "w", "Check": {"TTL": "1s", "Interval": "1s"}}, "Invalid check: Interval and TTL cannot both be specified"),
        ({"Name": "w", "Check": {"HTTP": "http://x/"}}, "Invalid check: Interval must be > 0 for"),
        ({"Name": "w", "Check": {"TTL": "1s", "Status": "fine"}}, "Status for checks must 'passing', 'warning', 'critical'"),
        ({"Name": "w", "Check": {"TCP": "x", "Interval": "1s"}}, "Invalid check: TCP: must be host:port"),
        ({"Name": "w", "Check": {"Args": ["x"], "Interval": "1s"}}, "Scripts are disabled on this agent"),
        ({"Name": "w", "Check": {"HTTP": "http://x/\r\nA: b", "Interval": "1s"}}, "Invalid check: HTTP: must be a URL"),
        (
            {"Name": "w", "Check": {"HTTP": "http://x/", "Interval": "1s", "Header": {"a": ["b\r\nc"]}}},
            "Invalid check: Header: values of 'a'",
        ),
        ({"Name": "w", "Check": {"HTTP": "http://x/", "Interval": "1s", "Method": "GET /\r\n"}}, "Invalid check: Method: must be"),
        ({"Name": "w", "Check": {"HTTP": "http://[::1/", "Interval": "1s"}}, "Invalid check: HTTP: must be a URL"),
        (
            {"Name": "w", "Checks": [{"CheckID": "a", "TTL": "1s"}, {"CheckID": "a", "TTL": "1s"}]},
            "Invalid check: the id 'a' is given twice",
        ),
        ({"Name": "w", "Check": {"CheckID": "_callboard_x", "TTL": "1s"}}, "Invalid check: ids that begin with _callboard_ are reserved"),
        ({"Name": "w", "Namespace": "team"}, "Namespaces are a Consul Enterprise feature"),
        ({"Name": "w" * 300}, "service: must have at most 255 characters"),
        ({"Name": "w", "Port": 70000}, "port: must be between 0 and 65535"),
    ],
)
def test_what_cannot_be_registered_is_refused_in_words(body: dict[str, Any], text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            before = door.registry.revision
            got = await door.ask("PUT", "/v1/agent/service/register", body)
            assert got.status == 400
            assert text in got.text
            assert door.registry.revision == before

    run(scenario())


async def _statuses(door: Consul, service: str) -> dict[str, str]:
    return {check["CheckID"]: check["Status"] for check in await door.get(f"/v1/health/checks/{service}")}


def test_maintenance_of_a_service_is_a_critical_check_of_type_maintenance() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/agent/service/maintenance/web1?enable=true&reason=repairs")
            check = (await door.get("/v1/agent/checks"))["_service_maintenance:web1"]
            assert (check["Status"], check["Type"], check["Notes"], check["Name"]) == (
                "critical",
                "maintenance",
                "repairs",
                "Service Maintenance Mode",
            )
            assert await door.get("/v1/health/service/web?passing") == []
            await door.put("/v1/agent/service/maintenance/web1?enable=0")
            assert len(await door.get("/v1/health/service/web?passing")) == 1
            texts = [
                (await door.ask("PUT", f"/v1/agent/service/maintenance/{rest}")).text
                for rest in ("?enable=true", "web1", "web1?enable=maybe")
            ]
            assert texts == ["Missing service ID", "Missing value for enable", 'Invalid value for enable: "maybe"']
            assert (await door.ask("PUT", "/v1/agent/service/maintenance/nope?enable=true")).status == 404

    run(scenario())


def test_maintenance_of_a_node_counts_for_every_service_on_it() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/agent/maintenance?enable=true")
            check = (await door.get("/v1/agent/checks"))["_node_maintenance"]
            assert (check["Status"], check["Type"]) == ("critical", "maintenance")
            assert check["Notes"] == "Maintenance mode is enabled for this node, but no reason was provided. This is a default message."
            assert await door.get("/v1/health/service/web?passing") == []
            await door.put("/v1/agent/maintenance?enable=false")
            assert await door.get("/v1/agent/checks") == {}

    run(scenario())


def test_health_of_the_agents_own_services_is_a_status_code() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB | {"Check": {"TTL": "15s"}})
            await door.put("/v1/agent/service/register", WEB | {"ID": "web2"})
            by_id, by_name = "/v1/agent/health/service/id/web1", "/v1/agent/health/service/name/web"
            for verb, code, word in (("fail", 503, "critical"), ("warn", 429, "warning"), ("pass", 200, "passing")):
                await door.put(f"/v1/agent/check/{verb}/service:web1")
                one, all_of_them = await door.ask("GET", by_id), await door.ask("GET", by_name)
                assert (one.status, one.json()["AggregatedStatus"], all_of_them.status) == (code, word, code)
                text = await door.ask("GET", by_id + "?format=text")
                assert (text.status, text.text) == (code, word)
            await door.put("/v1/agent/service/maintenance/web1?enable=true")
            assert (await door.ask("GET", by_id)).json()["AggregatedStatus"] == "maintenance"
            assert [len(one["Checks"]) for one in (await door.ask("GET", by_name)).json()] == [2, 0]
            missing = await door.ask("GET", "/v1/agent/health/service/id/nope")
            assert (missing.status, missing.json()) == (404, {"AggregatedStatus": "critical", "Service": None, "Checks": None})
            assert (await door.ask("GET", "/v1/agent/health/service/name/n%C3%B6?format=text")).text == "ServiceName n\u00f6 Not Found"

    run(scenario())


def test_the_agent_says_who_it_is() -> None:
    async def scenario() -> None:
        async with consul() as door:
            about = await door.get("/v1/agent/self")
            assert list(about) == ["Config", "DebugConfig", "Coord", "Member", "Stats", "Meta", "xDS"]
            assert list(about["Config"]) == [
                "Datacenter", "PrimaryDatacenter", "NodeName", "NodeID", "Revision", "Server", "Version", "BuildDate",
                "BindAddr",
            ]  # fmt: skip
            assert (about["Config"]["Version"], about["Config"]["Datacenter"], about["Config"]["Server"]) == ("1.22.0", "dc1", True)
            assert about["Stats"]["consul"]["leader_addr"] == await door.get("/v1/status/leader") == "127.0.0.1:8300"
            assert await door.get("/v1/status/peers") == ["127.0.0.1:8300"]
            (node,) = await door.get("/v1/catalog/nodes")
            assert (about["Config"]["NodeName"], about["Config"]["NodeID"]) == (node["Node"], node["ID"])
            (member,) = await door.get("/v1/agent/members")
            assert (member["Name"], member["Status"], member["Tags"]["dc"]) == (node["Node"], 1, "dc1")
            assert (await door.get("/v1/agent/members?wan=1"))[0]["Name"] == "callboard.dc1"

    run(scenario())


def test_clients_from_before_consul_1_0_write_by_get_and_browsers_do_not() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB | {"Check": {"TTL": "15s"}})
            assert (await door.ask("GET", "/v1/agent/check/pass/service:web1")).status == 200
            assert len(await door.get("/v1/health/service/web?passing")) == 1
            refused = await door.ask("GET", "/v1/agent/service/deregister/web1", headers={"user-agent": "Mozilla/5.0 (X11)"})
            assert refused.status == 405
            assert (await door.ask("GET", "/v1/agent/service/deregister/web1")).status == 200
            assert await door.get("/v1/agent/services") == {}
        async with consul(ConsulSettings(get_writes=False)) as door:
            got = await door.ask("GET", "/v1/agent/service/deregister/web1")
            assert (got.status, got.headers["allow"], got.text) == (405, "OPTIONS,PUT", "method GET not allowed")

    run(scenario())


@pytest.mark.parametrize("instance", ["x" * 255, "\N{GRINNING FACE}" * 255, "a/b#c%2F?d"])
def test_an_id_as_long_as_may_be_has_room_for_what_is_derived_from_it(instance: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", {"Name": "web", "ID": instance, "Checks": [{"TTL": "9s"}, {"TTL": "9s"}]})
            path = quote(instance, safe="")
            await door.put(f"/v1/agent/check/pass/service%3A{path}%3A2")
            await door.put(f"/v1/agent/service/maintenance/{path}?enable=true")
            assert len(await door.get("/v1/agent/checks")) == 3
            await door.put(f"/v1/agent/service/deregister/{path}")
            assert await door.get("/v1/agent/checks") == {}

    run(scenario())

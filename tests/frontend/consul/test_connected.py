"""Who speaks for a service: sidecars that come and go with their parents, proxies, native instances; and what waits for them."""

from typing import Any

import pytest

from tests.frontend.consul.harness import Consul, consul, served
from tests.support import run

REGISTER = "/v1/agent/service/register"
WEB = {"Name": "web", "ID": "web1", "Port": 80, "Address": "10.0.0.5", "Tags": ["a"], "Meta": {"k": "v"}}
PROXY = {"Name": "px", "Kind": "connect-proxy", "Port": 83, "Proxy": {"DestinationServiceName": "Web"}}


async def _ids(door: Consul, path: str) -> list[str]:
    return [entry.get("ServiceID") or entry["Service"]["ID"] for entry in await door.get(path)]


def test_a_sidecar_is_made_of_its_parent_as_consul_does() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, WEB | {"Locality": {"Region": "eu"}, "connect": {"sidecar_service": {}}})
            services = await door.get("/v1/agent/services")
            assert "Connect" not in services["web1"]
            sidecar = services["web1-sidecar-proxy"]
            assert sidecar == {
                "Kind": "connect-proxy", "ID": "web1-sidecar-proxy", "Service": "web-sidecar-proxy", "Tags": ["a"], "Meta": {"k": "v"},
                "Port": 21000, "Address": "10.0.0.5",
                "TaggedAddresses": {name: {"Address": "10.0.0.5", "Port": 21000} for name in ("lan_ipv4", "wan_ipv4")},
                "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": False,
                "Proxy": {
                    "DestinationServiceName": "web", "DestinationServiceID": "web1", "LocalServiceAddress": "127.0.0.1",
                    "LocalServicePort": 80, "MeshGateway": {}, "Expose": {},
                },
                "Datacenter": "dc1", "Locality": {"Region": "eu", "Zone": ""},
            }  # fmt: skip
            checks = await door.get("/v1/agent/checks")
            assert {name: (check["Name"], check["Type"], check["Interval"]) for name, check in checks.items()} == {
                "service:web1-sidecar-proxy:1": ("Connect Sidecar Listening", "tcp", "10s"),
                "service:web1-sidecar-proxy:2": ("Connect Sidecar Aliasing web1", "alias", "0s"),
            }

    run(scenario())


def test_what_a_sidecar_says_itself_counts() -> None:
    async def scenario() -> None:
        async with consul() as door:
            said = {
                "Name": "envoy", "Port": 9000, "Tags": ["s"], "Meta": {"m": "1"}, "Address": "10.0.0.9", "Check": {"TTL": "10s"},
                "Proxy": {"Upstreams": [{"DestinationName": "db", "LocalBindPort": 9191}], "LocalServicePort": 8080},
            }  # fmt: skip
            await door.put(REGISTER, WEB | {"SocketPath": "/run/web", "Connect": {"SidecarService": said}})
            sidecar = (await door.get("/v1/agent/services"))["web1-sidecar-proxy"]
            assert (sidecar["Service"], sidecar["Port"], sidecar["Tags"], sidecar["Meta"]) == ("envoy", 9000, ["s"], {"m": "1"})
            assert sidecar["Proxy"]["LocalServiceSocketPath"] == "/run/web"
            assert "LocalServiceAddress" not in sidecar["Proxy"]
            assert sidecar["Proxy"]["Upstreams"][0]["DestinationType"] == "service"
            assert list(await door.get("/v1/agent/checks")) == ["service:web1-sidecar-proxy"]

    run(scenario())


def test_a_sidecar_goes_with_its_parent_and_when_the_parent_comes_again_without_it() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, WEB | {"Connect": {"SidecarService": {}}})
            revision = door.registry.revision
            await door.put(REGISTER, WEB | {"Connect": {"SidecarService": {}}})
            assert door.registry.revision == revision
            entry = {"Node": "callboard", "SkipNodeUpdate": True, "Service": {"ID": "web1", "Service": "web", "Tags": ["b"]}}
            await door.put("/v1/catalog/register", entry)
            assert list(await door.get("/v1/agent/services")) == ["web1", "web1-sidecar-proxy"]
            await door.put(REGISTER, WEB)
            assert (list(await door.get("/v1/agent/services")), await door.get("/v1/agent/checks")) == (["web1"], {})
            await door.put(REGISTER, WEB | {"Connect": {"SidecarService": {}}})
            await door.put("/v1/agent/service/deregister/web1")
            assert (await door.get("/v1/agent/services"), await door.get("/v1/agent/checks")) == ({}, {})

    run(scenario())


def test_a_proxy_registered_on_its_own_is_nobodys_sidecar() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, WEB)
            await door.put(REGISTER, PROXY | {"ID": "web1-sidecar-proxy"})
            await door.put("/v1/agent/service/deregister/web1")
            assert list(await door.get("/v1/agent/services")) == ["web1-sidecar-proxy"]

    run(scenario())


def test_ports_of_sidecars_are_free_on_their_node_and_stay() -> None:
    async def scenario() -> None:
        async with consul() as door:

            async def port(name: str, peer: str = "127.0.0.1") -> int:
                await door.put(REGISTER, {"Name": name, "Port": 80, "Connect": {"SidecarService": {}}}, peer=peer)
                return int((await door.get("/v1/agent/services", peer=peer))[f"{name}-sidecar-proxy"]["Port"])

            await door.put(REGISTER, {"Name": "other", "Port": 21001})
            assert [await port("a"), await port("b"), await port("a"), await port("a", "10.0.0.7")] == [21000, 21002, 21000, 21000]
            await door.put("/v1/agent/service/deregister/a")
            assert [await port("c"), await port("b")] == [21000, 21002]

    run(scenario())


def test_when_all_ports_are_taken_nothing_is_registered() -> None:
    async def scenario() -> None:
        async with consul() as door:
            for number in range(21_000, 21_256):
                await door.put(REGISTER, {"Name": f"s{number}", "Port": number})
            before = door.registry.revision
            got = await door.ask("PUT", REGISTER, WEB | {"Connect": {"SidecarService": {}}})
            text = "no port provided for sidecar_service and none left in the configured range [21000, 21255]"
            assert (got.status, got.text, door.registry.revision) == (400, text, before)

    run(scenario())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"Port": 1, "Connect": {"SidecarService": {"Check": {"Name": "x"}}}}, "Invalid check in sidecar_service: TTL must be > 0 for TTL"),
        ({"Port": 1, "Connect": {"SidecarService": {"Check": {"Args": ["x"], "Interval": "1s"}}}}, "Scripts are disabled on this agent"),
        ({"Port": 1, "Connect": {"SidecarService": {"Proxy": {"Upstreams": [{}]}}}},
         "Failed Validation: 1 error occurred:\n\t* upstream destination name cannot be empty\n\n"),
        ({"Port": 1, "Connect": {"SidecarService": {"Kind": "mesh-gateway"}}}, "Failed Validation: "),
        ({"Ports": [{"Name": "a", "Port": 1, "Default": True}], "Connect": {"SidecarService": {}}},
         "MultiPort cannot be used with Consul Connect."),
        ({"Port": 1, "Connect": {"SidecarService": {"Address": "0.0.0.0"}}}, "Invalid service address"),
    ],
)  # fmt: skip
def test_a_sidecar_that_cannot_be_takes_its_parent_along(body: dict[str, Any], text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("PUT", REGISTER, {"Name": "w"} | body)
            assert got.status == 400
            assert text in got.text
            assert await door.get("/v1/agent/services") == {}
            got = await door.ask("PUT", "/v1/catalog/register", {
                "Node": "n", "Address": "10.0.0.1", "Service": {"Service": "w", "Port": 1, "Connect": {"SidecarService": {}}}
            })  # fmt: skip
            assert got.status == 400
            assert "Connect.SidecarService is for the agent's API" in got.text

    run(scenario())


def test_a_sidecar_is_as_healthy_as_its_parent_and_drains_with_it() -> None:
    async def scenario() -> None:
        async with consul() as door:
            own = {"SidecarService": {"Checks": [{"AliasService": "web1"}]}}
            await door.put(REGISTER, WEB | {"Check": {"TTL": "30s", "Status": "passing"}, "Connect": own})
            assert await _ids(door, "/v1/health/connect/web?passing") == ["web1-sidecar-proxy"]
            await door.put("/v1/agent/check/fail/service:web1")
            assert await _ids(door, "/v1/health/connect/web?passing") == []
            await door.put("/v1/agent/check/pass/service:web1")
            await door.put("/v1/agent/service/maintenance/web1?enable=true")
            assert await _ids(door, "/v1/health/connect/web?passing") == []

    run(scenario())


def test_proxies_and_native_instances_speak_for_a_service() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, WEB | {"Connect": {"SidecarService": {"Checks": [{"TTL": "9s", "Status": "passing"}]}}})
            await door.put(REGISTER, PROXY | {"Tags": ["v2"]})
            await door.put(REGISTER, {"Name": "nat", "Port": 82, "Connect": {"Native": True}})
            n1 = {"Node": "n1", "Address": "10.0.0.8", "NodeMeta": {"rack": "1"}}
            await door.put(
                "/v1/catalog/register", n1 | {"Service": {"ID": "web9", "Service": "web", "Connect": {"Native": True}, "Port": 4}}
            )
            everybody = ["px", "web1-sidecar-proxy", "web9"]
            for path in ("/v1/health/connect/web", "/v1/catalog/connect/web", "/v1/health/connect/WEB"):
                assert await _ids(door, path) == everybody
            assert await _ids(door, "/v1/health/connect/nat") == ["nat"]
            assert await _ids(door, "/v1/health/connect/px") == []
            assert await _ids(door, "/v1/health/connect/web?tag=V2") == ["px"]
            assert await _ids(door, "/v1/catalog/connect/web?node-meta=rack:1") == ["web9"]
            assert await _ids(door, "/v1/health/connect/web?filter=Service.Kind==%22connect-proxy%22+and+Service.Port==83") == ["px"]
            assert await _ids(door, "/v1/catalog/connect/web?filter=ServicePort==4") == ["web9"]
            assert await _ids(door, "/v1/health/connect/web?peer=x") == []
            assert await door.get("/v1/health/connect/web") == [
                entry for name in ("px", "web-sidecar-proxy") for entry in await door.get(f"/v1/health/service/{name}")
            ] + [entry for entry in await door.get("/v1/health/service/web") if entry["Service"]["ID"] == "web9"]

    run(scenario())


def test_gateways_serve_nothing_where_nothing_tells_them_to() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, {"Name": "ig", "Kind": "ingress-gateway"})
            for path in ("/v1/health/ingress/web", "/v1/health/ingress/web?passing", "/v1/catalog/gateway-services/ig"):
                got = await door.ask("GET", path)
                assert (got.status, got.text, int(got.headers["x-consul-index"]) >= 1) == (200, "[]", True)
            for path, text in (
                ("/v1/health/connect/", "Missing service name"), ("/v1/catalog/connect/", "Missing service name"),
                ("/v1/health/ingress/", "Missing service name"), ("/v1/catalog/gateway-services/", "Missing gateway name"),
                ("/v1/health/ingress/web?passing=x", "Invalid value for ?passing"),
            ):  # fmt: skip
                got = await door.ask("GET", path)
                assert (got.status, got.text) == (400, text)
            assert (await door.ask("GET", "/v1/health/ingress/web?filter=Nope==1")).status == 500

    run(scenario())


def test_whoever_waits_for_a_services_proxies_is_told_of_all_their_changes_and_of_no_others() -> None:
    async def scenario() -> None:
        async with served() as door:
            await door.put(REGISTER, PROXY | {"Check": {"TTL": "30s"}})
            path = "/v1/health/connect/web"
            steps: list[tuple[str, dict[str, Any], int]] = [
                ("/v1/agent/check/pass/service:px", {}, 1),
                (REGISTER, PROXY | {"Port": 84}, 1),
                (REGISTER, PROXY | {"Proxy": {"DestinationServiceName": "db"}}, 0),
                (REGISTER, PROXY, 1),
                ("/v1/catalog/register", {"Node": "callboard", "Address": "10.9.9.9"}, 1),
                ("/v1/agent/service/deregister/px", {}, 0),
                (REGISTER, {"Name": "web", "Port": 1, "Connect": {"Native": True}}, 1),
                (REGISTER, {"Name": "web", "Port": 1}, 0),
            ]
            for target, body, count in steps:
                index = int((await door.get(path)).headers["x-consul-index"])
                waiting = door.blocked(path, index)
                await door.parked(1)
                await door.put(REGISTER, {"Name": "unrelated", "Port": index})
                assert not waiting.done()
                await door.put(target, body)
                answer = await waiting
                assert int(answer.headers["x-consul-index"]) > index, target
                assert len(answer.json()) == count, target

    run(scenario())

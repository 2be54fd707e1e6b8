"""Stories that only py-consul has words for: filters, definitions, sidecars, snapshots, autopilot, metrics."""

import importlib
from typing import Any

from tests.interop.clients.stories import refused, same, until

consul = importlib.import_module("consul")
Check = consul.Check


def filters_choose(client: Any) -> None:
    client.agent.service.register("web", service_id="web2", port=81, tags=["v2"], meta={"env": "test"})
    same(sorted(client.agent.services(filter_expr="Meta.env == test")), ["web2"])
    same([entry["Service"]["ID"] for entry in client.health.service("web", filter_expr='"v1" in Service.Tags')[1]], ["web1"])
    same([found["ServiceID"] for found in client.catalog.service("web", filter_expr="ServicePort == 81")[1]], ["web2"])
    same(client.catalog.services(filter_expr='"v2" in ServiceTags')[1], {"web": ["v2"]})
    same(sorted(client.catalog.node(name_of(client), filter_expr="Port == 81")[1]["Services"]), ["web2"])
    same([check["CheckID"] for check in client.health.state("any", filter_expr='Type == "ttl" and Status == passing')[1]], ["service:ttl1"])
    same([node["Node"] for node in client.catalog.nodes(filter_expr='Meta["nope"] == x')[1]], [])
    same(list(client.agent.checks(filter_expr='ServiceName == "nobody"')), [])
    said = refused(consul.ConsulException, lambda: client.health.service("web", filter_expr="Service.Nope == 1"))
    assert said.startswith("500"), said


def name_of(client: Any) -> str:
    return str(client.agent.self()["Config"]["NodeName"])


def a_definition_is_shown_whole(client: Any) -> None:
    assert client.agent.service.register(
        "full", service_id="full1", address="10.0.0.9", port=9, weights={"Passing": 7, "Warning": 2}, enable_tag_override=True,
        tagged_addresses={"lan": {"address": "10.0.0.9", "port": 9}, "wan": {"address": "198.51.100.9", "port": 99}},
        locality={"Region": "eu", "Zone": "eu-1"}, check=Check.ttl("10m"), extra_checks=[Check.ttl("11m")],
    )  # fmt: skip
    shown = client.agent.service_definition("full1")
    same([shown["Address"], shown["Port"], shown["EnableTagOverride"]], ["10.0.0.9", 9, True])
    same([shown["Weights"], shown["Locality"]], [{"Passing": 7, "Warning": 2}, {"Region": "eu", "Zone": "eu-1"}])
    same(shown["TaggedAddresses"]["wan"], {"Address": "198.51.100.9", "Port": 99})
    assert shown["ContentHash"]
    same(sorted(check["CheckID"] for check in client.health.checks("full")[1]), ["service:full1:1", "service:full1:2"])
    assert client.agent.service.register("full", service_id="full1", port=9, check=Check.ttl("10m"), replace_existing_checks=True)
    same([check["CheckID"] for check in client.health.checks("full")[1]], ["service:full1"])
    same(client.agent.service_definition("nobody"), None)


def a_sidecar_comes_and_goes_with_its_service(client: Any) -> None:
    assert client.agent.service.register("mesh", service_id="mesh1", port=10, connect={"sidecar_service": {}})
    proxy = client.agent.services()["mesh1-sidecar-proxy"]
    same([proxy["Kind"], proxy["Proxy"]["DestinationServiceName"]], ["connect-proxy", "mesh"])
    same([entry["Service"]["ID"] for entry in client.health.connect("mesh")[1]], ["mesh1-sidecar-proxy"])
    same([found["ServiceID"] for found in client.catalog.connect("mesh")[1]], ["mesh1-sidecar-proxy"])
    same([client.health.ingress("mesh")[1], client.catalog.gateway_services("gateway")], [[], []])
    assert client.agent.service.deregister("mesh1")
    same([name for name in client.agent.services() if name.startswith("mesh1")], [])


def a_proxy_is_registered_by_hand(client: Any) -> None:
    proxy = {"DestinationServiceName": "web", "LocalServicePort": 80}
    assert client.agent.service.register("web-proxy", port=20, kind="connect-proxy", proxy=proxy)
    same([entry["Service"]["Service"] for entry in client.health.connect("web")[1]], ["web-proxy"])
    assert client.agent.service.register("local", socket_path="/run/local.sock")
    same(client.agent.services()["local"]["SocketPath"], "/run/local.sock")


def a_grpc_check_is_taken(client: Any) -> None:
    assert client.agent.check.register("rpc", Check.grpc("127.0.0.1:1", "1s", timeout="1s"), check_id="rpc", service_id="web1")
    until(lambda: client.agent.checks()["rpc"]["Output"])
    assert client.agent.check.deregister("rpc")


def coordinates_are_told_and_order_what_is_near(client: Any) -> None:
    for name, place in (("here", 0.0), ("there", 0.1)):
        client.catalog.register(name, f"10.1.0.{len(name)}", service={"service": "spread", "id": name})
        assert client.coordinate.update(name, {"Vec": [place] + [0.0] * 7, "Error": 1.5, "Adjustment": 0, "Height": 0.00001})
    until(lambda: len([place for place in client.coordinate.nodes()[1] if place["Node"] in {"here", "there"}]) == 2)
    same(client.coordinate.node("there")[1][0]["Coord"]["Vec"][0], 0.1)
    for near in ("here", "there"):
        same(client.health.service("spread", near=near)[1][0]["Node"]["Node"], near)
        same(client.catalog.service("spread", near=near)[1][0]["Node"], near)
        assert client.catalog.deregister(near)


def the_autopilot_is_set(client: Any) -> None:
    before = client.operator.autopilot_configuration()
    same(client.operator.update_autopilot_configuration(cleanup_dead_servers=False, cas=before["ModifyIndex"] + 1000), False)
    assert client.operator.update_autopilot_configuration(cleanup_dead_servers=False, cas=before["ModifyIndex"])
    same(client.operator.autopilot_configuration()["CleanupDeadServers"], False)
    same(until(lambda: client.operator.autopilot_health()["Healthy"]), True)


def the_operator_counts(client: Any) -> None:
    usage = client.operator.usage()["Usage"]["dc1"]
    assert usage["ServiceInstances"] >= usage["Services"] >= 2, usage


def metrics_are_read(client: Any) -> None:
    assert {"Timestamp", "Gauges", "Points", "Counters", "Samples"} <= set(client.agent.metrics())
    client.agent.metrics(format_prometheus=True)


def a_snapshot_brings_back_what_was_there(client: Any) -> None:
    saved = client.snapshot.save()
    same(saved[:2], b"\x1f\x8b")
    client.catalog.register("late", "10.2.0.1")
    assert client.snapshot.restore(saved)
    same(until(lambda: client.catalog.node("late")[1] is None), True)


def no_access_control_is_said(client: Any) -> None:
    assert "ACL support disabled" in refused(consul.ACLDisabled, lambda: client.agent.token.set_default("secret"))


def there_are_no_keys_of_gossip(client: Any) -> None:
    operator = client.operator
    for write in (operator.keyring_install, operator.keyring_use, operator.keyring_remove):
        refused(consul.ConsulException, lambda write=write: write("pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="))  # type: ignore[misc]  # bound now


def the_agent_is_reloaded(client: Any) -> None:
    assert client.agent.reload()


STORIES = (
    filters_choose,
    a_definition_is_shown_whole,
    a_sidecar_comes_and_goes_with_its_service,
    a_proxy_is_registered_by_hand,
    a_grpc_check_is_taken,
    coordinates_are_told_and_order_what_is_near,
    the_autopilot_is_set,
    the_operator_counts,
    metrics_are_read,
    a_snapshot_brings_back_what_was_there,
    no_access_control_is_said,
    there_are_no_keys_of_gossip,
    the_agent_is_reloaded,
)

"""Stories of discovery told through python-consul2 or py-consul: both bring a package `consul`.

`python -m tests.interop.clients.consul_python CLIENT URL`, in the environment of the client.
"""

import base64
import importlib
import sys
import threading
from typing import Any
from urllib.parse import urlsplit

from tests.interop.clients.stories import refused, same, tell, until

consul = importlib.import_module("consul")
Check = consul.Check


def statuses(client: Any, service: str) -> "list[str]":
    return sorted(check["Status"] for check in client.health.checks(service)[1])


def ports(client: Any, service: str, **asked: Any) -> "list[int]":
    return sorted(entry["Service"]["Port"] for entry in client.health.service(service, **asked)[1])


def an_empty_server_shows_itself(client: Any) -> None:
    same(client.agent.services(), {})
    same(client.agent.checks(), {})
    same([check["CheckID"] for check in client.health.state("any")[1]], ["serfHealth"])
    same(client.catalog.services()[1], {"consul": []})
    assert client.status.leader() in client.status.peers()
    same(client.agent.self()["Config"]["Datacenter"], "dc1")
    same([member["Status"] for member in client.agent.members()], [1])
    same(client.catalog.datacenters(), ["dc1"])


def a_service_is_registered_and_found(client: Any) -> None:
    assert client.agent.service.register("web", service_id="web1", address="10.0.0.5", port=80, tags=["v1", "blue"], meta={"env": "prod"})
    service = client.agent.services()["web1"]
    same([service[key] for key in ("Service", "Address", "Port", "Tags", "Meta")], ["web", "10.0.0.5", 80, ["v1", "blue"], {"env": "prod"}])
    same(ports(client, "web", passing=True), [80])
    same(ports(client, "web", tag="blue"), [80])
    same(ports(client, "web", tag="green"), [])
    ((found,), names) = client.catalog.service("web")[1], client.catalog.services()[1]
    same([found["ServiceAddress"], found["ServiceID"], found["ServiceMeta"]], ["10.0.0.5", "web1", {"env": "prod"}])
    same(sorted(names["web"]), ["blue", "v1"])


def a_ttl_check_is_pushed(client: Any) -> None:
    assert client.agent.service.register("ttl", service_id="ttl1", port=1, check=Check.ttl("10m"))
    same(statuses(client, "ttl"), ["critical"])
    for push, status in (
        (client.agent.check.ttl_warn, "warning"),
        (client.agent.check.ttl_fail, "critical"),
        (client.agent.check.ttl_pass, "passing"),
    ):
        assert push("service:ttl1", notes=f"now {status}")
        (check,) = client.health.checks("ttl")[1]
        same([check["Status"], check["Output"]], [status, f"now {status}"])
    same(ports(client, "ttl", passing=True), [1])


def a_ttl_runs_out(client: Any) -> None:
    assert client.agent.service.register("short", port=2, check=Check.ttl("500ms"))
    assert client.agent.check.ttl_pass("service:short")
    same(statuses(client, "short"), ["passing"])
    until(lambda: statuses(client, "short") == ["critical"])
    assert "TTL expired" in client.health.checks("short")[1][0]["Output"]


def http_and_tcp_checks_ask_the_server_itself(client: Any) -> None:
    where = urlsplit(client.http.base_uri)
    assert client.agent.service.register("probed", port=3, check=Check.http(f"{client.http.base_uri}/v1/status/leader", "1s", timeout="5s"))
    assert client.agent.check.register("port open", Check.tcp(where.hostname, where.port, "1s"), check_id="open", service_id="probed")
    until(lambda: statuses(client, "probed") == ["passing", "passing"])
    same(sorted(check["Type"] for check in client.health.checks("probed")[1]), ["http", "tcp"])


def a_check_of_the_node(client: Any) -> None:
    assert client.agent.check.register("disk", Check.ttl("10m"), check_id="disk", notes="free space")
    same(client.agent.checks()["disk"]["Notes"], "free space")
    node = client.agent.self()["Config"]["NodeName"]
    assert "disk" in [check["CheckID"] for check in client.health.node(node)[1]]
    same(ports(client, "web", passing=True), [])
    assert client.agent.check.ttl_pass("disk")
    same(ports(client, "web", passing=True), [80])
    assert client.agent.check.deregister("disk")
    assert "disk" not in client.agent.checks()


def a_blocking_query_ends_with_the_change(client: Any) -> None:
    index, _ = client.health.service("later")
    timer = threading.Timer(0.3, lambda: consul.Consul(port=urlsplit(client.http.base_uri).port).agent.service.register("later", port=4))
    timer.start()
    moved, entries = client.health.service("later", index=index, wait="30s")
    timer.join()
    same([entry["Service"]["Port"] for entry in entries], [4])
    assert int(moved) > int(index)
    same(client.health.service("later", index=moved, wait="20ms")[0], moved)


def maintenance_of_a_service_and_of_the_node(client: Any) -> None:
    assert client.agent.service.maintenance("web1", "true", "upgrade")
    same([check["Notes"] for check in client.health.checks("web")[1] if check["CheckID"] == "_service_maintenance:web1"], ["upgrade"])
    same(ports(client, "web", passing=True), [])
    assert client.agent.service.maintenance("web1", "false")
    assert client.agent.maintenance("true", "reboot")
    assert "_node_maintenance" in client.agent.checks()
    same(ports(client, "web", passing=True), [])
    assert client.agent.maintenance("false")
    same(ports(client, "web", passing=True), [80])


def the_catalog_is_written_directly(client: Any) -> None:
    service = {"service": "db", "id": "db1", "port": 5432, "tags": ["primary"]}
    check = {"name": "db alive", "status": "passing", "serviceid": "db1"}
    assert client.catalog.register("far", "10.9.8.7", service=service, check=check)
    same([node["Address"] for node in client.catalog.nodes()[1] if node["Node"] == "far"], ["10.9.8.7"])
    same(sorted(client.catalog.node("far")[1]["Services"]), ["db1"])
    same([entry["Node"]["Node"] for entry in client.health.service("db", passing=True)[1]], ["far"])
    same(client.catalog.services()[1]["db"], ["primary"])
    assert client.catalog.deregister("far", check_id="db alive")
    same(client.health.checks("db")[1], [])
    assert client.catalog.deregister("far", service_id="db1")
    assert client.catalog.deregister("far")
    same(client.catalog.node("far")[1], None)


def nodes_are_chosen_by_their_meta(client: Any) -> None:
    assert client.catalog.register("far", "10.9.8.7", service={"service": "db"}, node_meta={"rack": "r1"})
    same([node["Address"] for node in client.catalog.nodes(node_meta={"rack": "r1"})[1]], ["10.9.8.7"])
    same(client.catalog.services(node_meta={"rack": "r1"})[1], {"db": []})
    same([client.catalog.services(node_meta={"rack": "r2"})[1], client.catalog.nodes(node_meta={"rack": "r2"})[1]], [{}, []])
    assert client.catalog.deregister("far")


def every_consistency(client: Any) -> None:
    for consistency in ("default", "stale", "consistent"):
        same([node["Datacenter"] for node in client.catalog.nodes(consistency=consistency)[1]], ["dc1"])


def an_unknown_datacenter_is_an_error(client: Any) -> None:
    for ask in (client.catalog.nodes, lambda dc: client.health.service("web", dc=dc)):
        assert "No path to datacenter" in refused(consul.ConsulException, lambda ask=ask: ask(dc="dc9"))  # type: ignore[misc]  # bound now


def events_are_fired_and_listed(client: Any) -> None:
    fired = client.event.fire("deploy", "v2")
    (event,) = until(lambda: client.event.list(name="deploy")[1])
    payload = event["Payload"]
    same([event["ID"], payload if isinstance(payload, bytes) else base64.b64decode(payload)], [fired["ID"], b"v2"])
    same(client.event.list(name="other")[1], [])


def coordinates_are_read(client: Any) -> None:
    same([place["Datacenter"] for place in client.coordinate.datacenters()], ["dc1"])
    assert isinstance(client.coordinate.nodes()[1], list)


def the_operator_looks_at_the_servers(client: Any) -> None:
    configuration = client.operator.raft_config()
    same(configuration["Index"], 0)
    same([server["Leader"] for server in configuration["Servers"]], [True])


def everything_is_deregistered(client: Any) -> None:
    while services := client.agent.services():
        assert client.agent.service.deregister(min(services))
    same([client.agent.services(), client.agent.checks()], [{}, {}])
    same(client.catalog.services()[1], {"consul": []})


BOTH = (
    an_empty_server_shows_itself,
    a_service_is_registered_and_found,
    a_ttl_check_is_pushed,
    a_ttl_runs_out,
    http_and_tcp_checks_ask_the_server_itself,
    a_check_of_the_node,
    a_blocking_query_ends_with_the_change,
    maintenance_of_a_service_and_of_the_node,
    the_catalog_is_written_directly,
    every_consistency,
    an_unknown_datacenter_is_an_error,
    events_are_fired_and_listed,
    coordinates_are_read,
    the_operator_looks_at_the_servers,
)


def main(name: str, url: str) -> None:
    where = urlsplit(url)
    # py-consul sends a node's meta where no server looks for it.
    more = (
        importlib.import_module("tests.interop.clients.consul_python_newer").STORIES
        if name == "py-consul"
        else (nodes_are_chosen_by_their_meta,)
    )
    tell((*BOTH, *more, everything_is_deregistered), consul.Consul(host=where.hostname, port=where.port))


if __name__ == "__main__":
    main(*sys.argv[1:])

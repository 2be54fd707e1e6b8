"""Stories of discovery told through consulate, which deregisters and pushes by GET as Consul took it before 1.0.

`python -m tests.interop.clients.consul_consulate CLIENT URL`, in the environment of the client.

It has no working word for writing the catalog (its `catalog.register` makes no address of the path), and of a list with one item it
shows the item.
"""

import importlib
import json
import sys
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from tests.interop.clients.stories import same, tell, until

consulate = importlib.import_module("consulate")
# It decodes with an argument that Python dropped in 3.9, and takes the failure for a text.
importlib.import_module("consulate.api.base").json = SimpleNamespace(loads=lambda body, encoding: json.loads(body), dumps=json.dumps)  # type: ignore[attr-defined]


def statuses(client: Any, service: str) -> "list[str]":
    return sorted(check["Status"] for check in client.health.checks(service))


def an_empty_server_shows_itself(client: Any) -> None:
    same(client.agent.services(), [{}])
    same(client.catalog.services(), [{"consul": []}])
    same(client.catalog.datacenters(), "dc1")
    assert client.status.leader() in client.status.peers()
    same([member["Status"] for member in client.agent.members()], [1])
    same([check["CheckID"] for check in client.health.state("any")], ["serfHealth"])


def a_service_is_registered_and_found(client: Any) -> None:
    assert client.agent.service.register("web", service_id="web1", address="10.0.0.5", port=80, tags=["v1"])
    (shown,) = client.agent.services()
    same([shown["web1"][key] for key in ("Service", "Address", "Port", "Tags")], ["web", "10.0.0.5", 80, ["v1"]])
    (found,) = client.catalog.service("web")
    same([found["ServiceID"], found["ServiceAddress"], found["ServicePort"]], ["web1", "10.0.0.5", 80])
    same([entry["Service"]["ID"] for entry in client.health.service("web", tag="v1", passing=True)], ["web1"])
    same(client.health.service("web", tag="v2"), [])
    same(client.catalog.services(), [{"consul": [], "web": ["v1"]}])


def a_ttl_check_is_pushed(client: Any) -> None:
    assert client.agent.service.register("ttl", ttl="10m")
    same(statuses(client, "ttl"), ["critical"])
    for push, status in (
        (client.agent.check.ttl_warn, "warning"),
        (client.agent.check.ttl_fail, "critical"),
        (client.agent.check.ttl_pass, "passing"),
    ):
        assert push("service:ttl")
        same(statuses(client, "ttl"), [status])


def an_http_check_is_asked(client: Any) -> None:
    leader = client.status._base_uri + "/leader"  # noqa: SLF001  # an address that answers
    assert client.agent.service.register("probed", httpcheck=leader, interval="1s")
    until(lambda: statuses(client, "probed") == ["passing"])


def a_check_of_the_node(client: Any) -> None:
    assert client.agent.check.register("disk", ttl="10m", notes="free space")
    (checks,) = client.agent.checks()
    same(checks["disk"]["Notes"], "free space")
    assert client.agent.check.ttl_pass("disk")
    (node,) = {member["Name"] for member in client.agent.members()}
    assert {"disk": "passing"}.items() <= {check["CheckID"]: check["Status"] for check in client.health.node(node)}.items()
    assert client.agent.check.deregister("disk")


def events_are_fired_and_listed(client: Any) -> None:
    fired = client.event.fire("deploy", "v2")
    same(until(lambda: client.event.list("deploy"))["ID"], fired)


def everything_is_deregistered(client: Any) -> None:
    (services,) = client.agent.services()
    assert all(client.agent.service.deregister(name) for name in services)
    same(client.catalog.services(), [{"consul": []}])


STORIES = (
    an_empty_server_shows_itself, a_service_is_registered_and_found, a_ttl_check_is_pushed, an_http_check_is_asked, a_check_of_the_node,
    events_are_fired_and_listed, everything_is_deregistered,
)  # fmt: skip


if __name__ == "__main__":
    address = urlsplit(sys.argv[2])
    tell(STORIES, consulate.Consul(host=address.hostname, port=address.port))

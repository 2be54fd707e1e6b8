"""Answers in Consul's form: golden samples, field by field and in Go's order."""

import msgspec

from callboard.wire import consul_json as json

NODE = json.Node(
    id="1b7ec352-9a4f-4d8e-8f4c-aa11bb22cc33", node="node1", address="127.0.0.1", datacenter="dc1",
    tagged_addresses={"lan": "127.0.0.1", "lan_ipv4": "127.0.0.1", "wan": "127.0.0.1", "wan_ipv4": "127.0.0.1"}, meta={},
    create_index=13, modify_index=14,
)  # fmt: skip
OWN = json.TaggedAddress("10.0.0.5", 80)
SERVICE = json.Service(
    id="web1", service="web", tags=("v1",), address="10.0.0.5", tagged_addresses={"lan_ipv4": OWN, "wan_ipv4": OWN}, meta={}, port=80,
    weights=json.Weights(1, 1), enable_tag_override=False, create_index=20, modify_index=20,
)  # fmt: skip
SERF = json.Check(
    node="node1", check_id="serfHealth", name="Serf Health Status", status="passing", notes="", output="Agent alive and reachable",
    service_id="",
    service_name="", service_tags=(), type="", interval="", timeout="", create_index=13, modify_index=13,
)  # fmt: skip


def test_health_service_is_written_as_consul_writes_it() -> None:
    assert json.encode([json.ServiceHealth(msgspec.Raw(json.encode(NODE)), SERVICE, [SERF])]) == (
        b'[{"Node":{"ID":"1b7ec352-9a4f-4d8e-8f4c-aa11bb22cc33","Node":"node1","Address":"127.0.0.1","Datacenter":"dc1",'
        b'"TaggedAddresses":{"lan":"127.0.0.1","lan_ipv4":"127.0.0.1","wan":"127.0.0.1","wan_ipv4":"127.0.0.1"},"Meta":{},'
        b'"CreateIndex":13,"ModifyIndex":14},'
        b'"Service":{"ID":"web1","Service":"web","Tags":["v1"],"Address":"10.0.0.5",'
        b'"TaggedAddresses":{"lan_ipv4":{"Address":"10.0.0.5","Port":80},"wan_ipv4":{"Address":"10.0.0.5","Port":80}},"Meta":{},"Port":80,'
        b'"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":{"Mode":"","MeshGateway":{},"Expose":{}},"Connect":{},'
        b'"PeerName":"","CreateIndex":20,"ModifyIndex":20},'
        b'"Checks":[{"Node":"node1","CheckID":"serfHealth","Name":"Serf Health Status","Status":"passing","Notes":"",'
        b'"Output":"Agent alive and reachable","ServiceID":"","ServiceName":"","ServiceTags":[],"Type":"","Interval":"","Timeout":"",'
        b'"ExposedPort":0,"Definition":{},"CreateIndex":13,"ModifyIndex":13}]}]'
    )


def test_agent_services_are_written_as_consul_writes_them() -> None:
    service = json.AgentService(
        id="web1", service="web", tags=("v1",), meta={}, port=80, address="10.0.0.5", weights=json.Weights(1, 1), enable_tag_override=False,
        datacenter="dc1",
    )  # fmt: skip
    assert json.encode({"web1": service}) == (
        b'{"web1":{"ID":"web1","Service":"web","Tags":["v1"],"Meta":{},"Port":80,"Address":"10.0.0.5",'
        b'"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Datacenter":"dc1"}}'
    )


def test_what_has_no_node_is_null() -> None:
    assert json.encode(None) == b"null"
    assert json.encode(json.NodeServiceList(None, None)) == b'{"Node":null,"Services":null}'
    assert json.encode(json.NodeServices(NODE, {})).endswith(b'"Services":{}}')


def test_pretty_is_four_spaces_and_a_line_break() -> None:
    assert json.encode({"a": [1], "b": {}}, pretty=True) == b'{\n    "a": [\n        1\n    ],\n    "b": {}\n}\n'
    assert msgspec.json.decode(json.encode([SERF], pretty=True)) == msgspec.json.decode(json.encode([SERF]))

"""Filters over every answer that takes one: the selectors of each, what they see, and that a blocked query wakes for what it asked."""

import asyncio
import re
from typing import Any
from urllib.parse import quote

import pytest

from callboard.core.filter_values import Primitive
from callboard.core.filtering import Kind, ListOf, MapOf, Record
from callboard.frontend.consul import translate_filter as roots
from callboard.frontend.consul.filters import Filters
from callboard.model.errors import InvalidError
from callboard.net.http.message import Read
from tests.frontend.consul.harness import Consul, Served, consul, served
from tests.frontend.consul.test_readme import README
from tests.support import run

WEB: dict[str, Any] = {
    "ID": "web1", "Name": "web", "Tags": ["v1", "prod"], "Port": 80, "Address": "10.0.0.5", "Meta": {"env": "prod"},
    "Weights": {"Passing": 10, "Warning": 1}, "EnableTagOverride": True, "Check": {"TTL": "1h", "Status": "passing", "Notes": "n"},
}  # fmt: skip
WEB2 = WEB | {"ID": "web2", "Tags": ["v2"], "Port": 81, "Address": "web2.test", "Meta": {}, "Weights": {"Passing": 1, "Warning": 1}}
DB = {
    "Node": "N1", "Address": "10.0.0.1", "NodeMeta": {"rack": "a"}, "TaggedAddresses": {"wan": "1.2.3.4"},
    "Service": {
        "ID": "db1", "Service": "db", "Port": 5432, "Tags": ["primary"], "TaggedAddresses": {"wan": {"Address": "1.1.1.1", "Port": 9}},
    },
    "Checks": [
        {"CheckID": "c1", "Name": "disk full?", "Status": "warning", "ServiceID": "db1"},
        {"CheckID": "n1", "Name": "node", "Status": "passing"},
    ],
}  # fmt: skip


async def fill(door: Consul) -> None:
    await door.put("/v1/agent/service/register", WEB)
    await door.put("/v1/agent/service/register", WEB2)
    await door.put("/v1/catalog/register", DB)


def asked(path: str, expression: str) -> str:
    return f"/v1/{path}{'&' if '?' in path else '?'}filter={quote(expression)}"


def ids(answer: Any) -> list[str]:
    """What an answer is about, in one word each."""
    if isinstance(answer, dict):
        return [*answer]
    keys = ("ServiceID", "CheckID", "Name", "Node")
    return [item["Service"]["ID"] if "Checks" in item else next(item[key] for key in keys if item.get(key)) for item in answer]


@pytest.mark.parametrize(
    ("path", "expression", "kept"),
    [
        ("catalog/nodes", "Node == N1", ["N1"]),
        ("catalog/nodes", "Meta.rack == a", ["N1"]),
        ("catalog/nodes", "rack in Meta", ["N1"]),
        ("catalog/nodes", "rack not in Meta", ["callboard"]),
        ("catalog/nodes", "Meta.rack != a", ["callboard"]),
        ("catalog/nodes", 'TaggedAddresses.wan == "1.2.3.4"', ["N1"]),
        ("catalog/nodes", 'TaggedAddresses.lan matches "^127"', ["callboard", "N1"]),
        ("catalog/nodes", "ID == `` and Datacenter == dc1 and Partition == `` and PeerName == ``", ["N1"]),
        ("catalog/nodes?node-meta=rack:a", "Node != N1", []),
        ("catalog/services", "ServiceTags contains v1", ["web"]),
        ("catalog/services", "NodeMeta.rack == a", ["db"]),
        ("catalog/services?node-meta=rack:a", "ServiceName == web", []),
        ("catalog/services", "ServicePort == 8300", ["consul"]),
        ("catalog/service/web", "ServicePort == 80", ["web1"]),
        ("catalog/service/web", "ServiceMeta.env == prod", ["web1"]),
        ("catalog/service/web", "ServiceMeta is empty", ["web2"]),
        ("catalog/service/web", "ServiceWeights.Passing != 1", ["web1"]),
        ("catalog/service/web", 'ServiceTaggedAddresses.lan_ipv4.Address == "10.0.0.5"', ["web1"]),
        ("catalog/service/web", "lan_ipv4 not in ServiceTaggedAddresses", ["web2"]),
        ("catalog/service/web", "v2 in ServiceTags or ServiceAddress matches `^10`", ["web1", "web2"]),
        ("catalog/service/web?tag=v1", "ServicePort == 81", []),
        ("catalog/service/web", "ServiceEnableTagOverride == true and ServiceKind == `` and ServiceSocketPath == ``", ["web1", "web2"]),
        ("catalog/service/web", "ServiceProxy.Upstreams is empty and ServiceConnect.Native == false", ["web1", "web2"]),
        ("catalog/service/db", "ServiceTaggedAddresses.wan.Port == 9", ["db1"]),
        ("health/service/web", 'Service.Meta["env"] == prod', ["web1"]),
        ("health/service/web", "Service.Meta.env != prod", ["web2"]),
        ("health/service/web", "v1 in Service.Tags", ["web1"]),
        ("health/service/web", "Node.Node == callboard and Service.Port == 81", ["web2"]),
        ("health/service/web", "Checks.Status == critical", []),
        ("health/service/web", "Checks.CheckID == `service:web2`", ["web2"]),
        ("health/service/web", "not Checks.CheckID == `service:web2`", ["web1"]),
        ("health/service/web", "Checks.Type == ttl and Checks.Notes == n and Checks is not empty", ["web1", "web2"]),
        ("health/service/web", "Service.Weights.Passing == 10 and Service.Weights.Warning == 1", ["web1"]),
        ("health/service/web?passing", "Service.EnableTagOverride == false", []),
        ("health/service/db", "Checks.Status == warning and Checks.ServiceTags contains primary", ["db1"]),
        ("health/service/db", "Service.Service == db and Service.ID == db1 and Service.Address == ``", ["db1"]),
        ("health/service/db?passing", "Service.Service == db", []),
        ("health/checks/web", "ServiceID == web1", ["web1"]),
        ("health/node/n1", "Status == warning", ["db1"]),
        ("health/node/n1", "ServiceID == ``", ["n1"]),
        ("health/state/any", "CheckID == serfHealth", ["serfHealth"]),
        ("health/state/any", 'Name matches "full[?]$"', ["db1"]),
        ("health/state/passing", "Node == N1", ["n1"]),
        (
            "health/state/any",
            "ServiceName == web and Interval != `7s` and Timeout not matches `[1-9]` and ExposedPort == 0",
            ["web1", "web2"],
        ),
        ("agent/services", "Port == 80", ["web1"]),
        ("agent/services", "Meta is not empty or v2 in Tags", ["web1", "web2"]),
        ("agent/services", "Proxy.Mode == `` and Connect.Native == false and SocketPath == `` and PeerName == ``", ["web1", "web2"]),
        ("agent/services?node=n1", "Service == db", ["db1"]),
        ("agent/checks", "ServiceID == web2", ["service:web2"]),
        ("agent/checks", "Status != passing", []),
        ("agent/members", "Status == 1 and Tags.role == consul and Port == 8301 and ProtocolMax == 5", ["callboard"]),
        ("agent/members", "127 in Addr and Addr is not empty", ["callboard"]),
        ("agent/members", "Tags.dc == dc2", []),
    ],
)
def test_a_filter_keeps_what_it_says(path: str, expression: str, kept: list[str]) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await fill(door)
            assert ids(await door.get(asked(path, expression))) == kept

    run(scenario())


PROXY = {
    "Name": "side", "Kind": "connect-proxy", "Port": 1, "Proxy": {
        "DestinationServiceName": "web", "Mode": "transparent", "TransparentProxy": {"OutboundListenerPort": 15001},
        "Upstreams": [{"DestinationName": "db", "LocalBindPort": 9}, {"DestinationName": "log", "LocalBindPort": 10}],
        "MeshGateway": {"Mode": "local"}, "Expose": {"Paths": [{"Path": "/x", "ListenerPort": 3}]},
    },
}  # fmt: skip
PROXIES = [
    ("Proxy.DestinationServiceName == web and Kind == `connect-proxy`", True),
    ("Proxy.Upstreams.DestinationName == db and Proxy.Upstreams.DestinationName == log", True),
    ("Proxy.Upstreams.DestinationName == db and not Proxy.Upstreams.LocalBindPort == 9", False),
    ("Proxy.Upstreams.LocalBindPort == 11", False),
    ("Proxy.Upstreams is empty", False),
    ("Proxy.Expose.Paths.Path == `/x` and Proxy.Expose.Checks == false", True),
    ("Proxy.MeshGateway.Mode == local and Proxy.Mode == transparent", True),
    ("Proxy.TransparentProxy.OutboundListenerPort == 15001 and Proxy.AccessLogs.Enabled == false", True),
    ("Proxy.EnvoyExtensions is empty and Connect.Native == false", True),
]


@pytest.mark.parametrize(("expression", "kept"), PROXIES)
def test_a_filter_sees_into_a_proxy(expression: str, kept: bool) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", PROXY)
            for path, prefix in [("health/service/side", "Service."), ("agent/services", ""), ("catalog/service/side", "Service")]:
                asks = re.sub(r"\b(Proxy|Kind|Connect)\b(?=[. ])", prefix + r"\1", expression)
                assert ids(await door.get(asked(path, asks))) == (["side"] if kept else []), asks

    run(scenario())


def test_a_filter_over_a_node_keeps_services_and_always_the_node() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await fill(door)
            for expression, kept in [("Service == db", ["db1"]), ("Port == 1", [])]:
                answer = await door.get(asked("catalog/node/n1", expression))
                assert (answer["Node"]["Node"], [*answer["Services"]]) == ("N1", kept)
                answer = await door.get(asked("catalog/node-services/n1", expression))
                assert (answer["Node"]["Node"], [service["ID"] for service in answer["Services"]]) == ("N1", kept)
            assert await door.get(asked("catalog/node/nope", "Port == 1")) is None
            assert await door.get(asked("catalog/node-services/nope", "Port == 1")) == {"Node": None, "Services": None}

    run(scenario())


def test_services_are_listed_with_the_tags_of_the_instances_that_are_kept() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await fill(door)
            assert await door.get(asked("catalog/services", "prod in ServiceTags")) == {"web": ["prod", "v1"]}
            assert await door.get(asked("catalog/services", "ServiceID == web2")) == {"web": ["v2"]}
            assert await door.get(asked("catalog/services", "ServiceID == none")) == {}

    run(scenario())


FILTERED = [
    "catalog/nodes", "catalog/services", "catalog/service/web", "catalog/node/n1", "catalog/node-services/n1", "health/service/web",
    "health/checks/web", "health/node/n1", "health/state/any", "agent/services", "agent/checks", "agent/members",
]  # fmt: skip


@pytest.mark.parametrize("path", FILTERED)
@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("Nope.x == 1", 'Selector "Nope" is not valid'),
        ("Nope ==", "1:8 (7): no match found, expected a match such as `Field == value`, or `and`, `or` or the end after one"),
        ("CreateIndex == 1", 'Selector "CreateIndex" is not valid'),
        ("ModifyIndex == 1", 'Selector "ModifyIndex" is not valid'),
        ("Definition.TTL == 1", 'Selector "Definition" is not valid'),
        ("Locality.Zone == a", 'Selector "Locality" is not valid'),
        ("node == n1", 'Selector "node" is not valid'),
    ],
)
def test_a_filter_that_cannot_be_is_an_error_before_anything_is_read(path: str, expression: str, said: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await door.ask("GET", asked(path, expression))
            assert (got.status, got.text) == (500, f"Failed to create boolean expression evaluator: {said}")
            assert (await door.ask("GET", f"/v1/{path}?filter=")).status == 200

    run(scenario())


@pytest.mark.parametrize(
    "path", ["agent/self", "agent/service/web1", "agent/health/service/id/web1", "catalog/datacenters", "status/leader"]
)
def test_an_answer_without_items_takes_no_notice_of_a_filter(path: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await fill(door)
            assert (await door.ask("GET", asked(path, "Nope =="))).body == (await door.ask("GET", f"/v1/{path}")).body

    run(scenario())


@pytest.mark.parametrize("root", [
    roots.NODES, roots.SERVICE_NODES, roots.SERVICES, roots.INSTANCES, roots.CHECKS, roots.AGENT_SERVICES, roots.MEMBERS,
])  # fmt: skip
def test_every_selector_of_a_kind_can_be_asked_of_what_is_shown(root: roots.Root[Any]) -> None:
    paths = {
        roots.NODES: "catalog/nodes", roots.SERVICE_NODES: "catalog/service/web", roots.SERVICES: "catalog/node/callboard",
        roots.INSTANCES: "health/service/web", roots.CHECKS: "health/state/any", roots.AGENT_SERVICES: "agent/services",
        roots.MEMBERS: "agent/members",
    }  # fmt: skip

    async def scenario() -> None:
        async with consul() as door:
            await fill(door)
            for expression in _every(root.record, ""):
                assert (await door.ask("GET", asked(paths[root], expression))).status == 200, expression

    run(scenario())


def _every(kind: Kind, selector: str) -> list[str]:
    """An expression about everything a selector can lead to."""
    match kind:
        case Record(fields=fields):
            return [text for name, field in fields.items() for text in _every(field.kind, f"{selector}.{name}".removeprefix("."))]
        case MapOf(value=value):
            return [f"x in {selector}", f"{selector} is empty", *_every(value, f"{selector}.x"), *_every(value, f"{selector}.wan")]
        case ListOf(item=Primitive() as item):
            return [f"{_value(item)} in {selector}", f"{selector} is empty"]
        case ListOf(item=item):
            return [f"{selector} is empty", *_every(item, selector)]
        case Primitive.TEXT:
            return [f"{selector} == x", f"x in {selector}", f"{selector} matches x"]
        case Primitive() as primitive:
            return [f"{selector} == {_value(primitive)}"]


def _value(kind: Primitive) -> str:
    return {Primitive.TEXT: "x", Primitive.FLAG: "true"}.get(kind, "1")


def test_the_readme_names_the_selectors() -> None:
    rows = dict(
        re.findall(r"^\| `([^`]+)`[^|]*\| ([^|]+) \|$", README.partition("## Filters")[2].partition("## Consistency")[0], re.MULTILINE)
    )
    named = {path: re.findall(r"`(\w+)`", row) for path, row in rows.items()}
    flat, _, prefixed = rows["catalog/service"].partition("`Service` before it")
    of_service = ["Service" + name for name in re.findall(r"`(\w+)`", prefixed)]
    assert sorted(re.findall(r"`(\w+)`", flat) + of_service) == sorted(roots.SERVICE_NODES.record.fields)
    kinds: list[tuple[str, roots.Root[Any]]] = [
        ("catalog/nodes", roots.NODES), ("catalog/node", roots.SERVICES), ("health/checks", roots.CHECKS), ("agent/members", roots.MEMBERS),
    ]  # fmt: skip
    for path, root in kinds:
        assert sorted(named[path]) == sorted(root.record.fields)
    assert re.findall(r"`(\w+)\.`", rows["health/service"]) == [*roots.INSTANCES.record.fields]


# -- blocking


WAKES = [
    ("health/service/web", "Checks.Status == critical", "agent/check/fail/service:web1", b""),
    ("health/service/web", "v3 in Service.Tags", "agent/service/register", WEB | {"Tags": ["v3"]}),
    ("catalog/services", "ServiceMeta.env == dev", "agent/service/register", WEB2 | {"Meta": {"env": "dev"}}),
    ("catalog/services", "NodeMeta.rack == b", "catalog/register", {"Node": "N1", "Address": "10.0.0.1", "NodeMeta": {"rack": "b"}}),
    ("catalog/nodes", "Node == n2", "catalog/register", {"Node": "n2", "Address": "10.0.0.2"}),
    ("health/state/any", "Status == critical", "agent/check/fail/service:web1", b""),
    ("catalog/node/callboard", "Port == 80", "agent/service/deregister/web1", b""),
]


@pytest.mark.parametrize(("path", "expression", "write", "body"), WAKES)
def test_a_change_of_what_a_filter_keeps_wakes(path: str, expression: str, write: str, body: object) -> None:
    async def scenario() -> None:
        async with served() as server:
            await fill(server.consul)
            first, blocked = await _blocked(server, asked(path, expression))
            await server.put(f"/v1/{write}", body)
            answer = await asyncio.wait_for(blocked, 60)
            assert answer.content != first.content
            assert int(answer.headers["x-consul-index"]) > int(first.headers["x-consul-index"])

    run(scenario())


@pytest.mark.parametrize(
    ("path", "expression"),
    [
        ("health/service/web", "Service.ID == web2"),
        ("health/checks/web", "ServiceID == web2"),
        ("health/node/callboard", "ServiceID == web2"),
        ("health/state/any", "ServiceName == db"),
        ("catalog/service/web", "ServiceID == web2"),
        ("catalog/services", "ServiceName == db"),
        ("catalog/node/callboard", "Port == 81"),
    ],
)
def test_a_change_that_a_filter_hides_wakes_nobody(path: str, expression: str) -> None:
    async def scenario() -> None:
        async with served() as server:
            await fill(server.consul)
            first, blocked = await _blocked(server, asked(path, expression))
            await server.put("/v1/agent/check/fail/service:web1")
            await server.put("/v1/agent/service/register", WEB | {"Port": 8080, "Tags": ["v9"]})
            await server.put("/v1/agent/service/deregister/web1")
            await server.get("/v1/status/leader")  # a turn of the loop later
            assert server.http.stats.parked_now == 1
            assert (await server.get(asked(path, expression))).content == first.content
            blocked.cancel()

    run(scenario())


async def _blocked(server: Served, target: str) -> Any:
    """The answer there is, and a query that waits for another one."""
    first = await server.get(target)
    assert first.status_code == 200, first.text
    blocked = server.blocked(target, int(first.headers["x-consul-index"]))
    await server.parked(1)
    return first, blocked


def test_a_long_filter_comes_through_http() -> None:
    async def scenario() -> None:
        async with served() as server:
            await fill(server.consul)
            long = " or ".join(f"Service.ID == w{number}" for number in range(300)) + " or Service.ID == web2"
            for _ in range(3):
                answer = await server.get(asked("health/service/web", long))
                assert ids(answer.json()) == ["web2"]
            many = await server.get(asked("health/service/web", " or ".join(["x==1"] * 520)))
            assert (many.status_code, many.text.partition(": ")[2]) == (500, "1:4097 (4096): more than 512 match expressions")

    run(scenario())


def test_filtered_answers_are_compressed_and_kept_like_others() -> None:
    async def scenario() -> None:
        async with served() as server:
            for number in range(30):
                await server.put("/v1/agent/service/register", WEB | {"ID": f"web{number}", "Port": 80 + number % 2})
            target = asked("health/service/web", "Service.Port == 80")
            plain = await server.get(target, **{"Accept-Encoding": "identity"})
            packed = await server.get(target, **{"Accept-Encoding": "gzip"})
            assert "content-encoding" not in plain.headers
            assert packed.headers["content-encoding"] == "gzip"
            assert plain.headers["vary"].lower() == packed.headers["vary"].lower() == "accept-encoding"
            assert len(plain.json()) == 15
            assert plain.json() == packed.json()
            assert int(packed.headers["content-length"]) < len(plain.content)
            few = await server.get(asked("health/service/web", "Service.ID == none"), **{"Accept-Encoding": "gzip"})
            assert ("content-encoding" in few.headers, few.json()) == (False, [])
            index = int(plain.headers["x-consul-index"])
            blocked = asyncio.create_task(server.get(f"{target}&index={index}&wait=10m", **{"Accept-Encoding": "gzip"}))
            await server.parked(1)
            await server.put("/v1/agent/service/deregister/web0")
            answer = await asyncio.wait_for(blocked, 60)
            assert (answer.headers["content-encoding"], answer.headers["vary"].lower(), len(answer.json())) == (
                "gzip",
                "accept-encoding",
                14,
            )

    run(scenario())


def test_filters_that_come_again_are_compiled_once_and_only_so_many_are_kept() -> None:
    filters = Filters(4)
    first = filters.get("Node == a", roots.NODES)
    assert filters.get("Node == a", roots.NODES) is first
    assert filters.get("Node == a", roots.CHECKS) is not first
    filters.get("Node matches a or Node matches b", roots.NODES)
    assert len(filters) == 3
    assert filters.get("Node == a", roots.NODES) is first
    filters.get("Node == b", roots.NODES)
    assert len(filters) == 3
    assert filters.get("Node == a", roots.NODES) is first
    filters.get(" or ".join(["Node matches a"] * 5), roots.NODES)
    filters.get(f"Node == {'a' * 2000}", roots.NODES)
    assert len(filters) == 3
    for number in range(100):
        filters.get(f"Node == n{number}", roots.NODES)
    assert len(filters) == 4


def test_a_filter_that_costs_too_much_is_told_so_and_each_new_answer_may_cost_as_much() -> None:
    pattern = " or ".join(["Output matches `((a?){30}){30}c`"] * 10)

    async def work() -> None:
        async with consul() as door:
            await door.put("/v1/agent/service/register", WEB)
            await door.put("/v1/agent/check/fail/service:web1?note=" + "ab" * 1000)
            reply = door.reply("GET", asked("health/checks/web", pattern))
            assert isinstance(reply, Read)
            for note in "cdefghij":  # as often as somebody who waits is told
                reply.render()
                await door.put(f"/v1/agent/check/fail/service:web1?note={note}" + "ab" * 1000)
            for number in range(10):
                check = {"TTL": "1h", "Status": "critical", "Notes": "n"}
                await door.put("/v1/agent/service/register", WEB | {"ID": f"w{number}", "Check": check})
                await door.put(f"/v1/agent/check/fail/service:w{number}?note=" + "ab" * 1000)
            with pytest.raises(InvalidError, match="costs too much"):
                reply.render()

    run(work())


def test_looking_into_a_large_proxy_costs_by_its_size() -> None:
    proxy = {"DestinationServiceName": "web", "Config": {"envoy": "x" * 30_000}}
    large = {"Name": "p", "ID": "p", "Kind": "connect-proxy", "Port": 1, "Proxy": proxy}
    matches = " or ".join(["Service.Proxy.DestinationServiceName == a"] * 500)

    async def work() -> None:
        async with consul() as door:
            for number in range(20):
                await door.put("/v1/agent/service/register", large | {"ID": f"p{number}"})
            small = await door.ask("GET", asked("health/service/p", "Service.Proxy.DestinationServiceName == web"))
            assert len(small.json()) == 20
            reply = door.reply("GET", asked("health/service/p", matches))
            assert isinstance(reply, Read)
            with pytest.raises(InvalidError, match="costs too much"):
                reply.render()

    run(work())


def test_a_filter_that_comes_to_cost_too_much_hangs_nobody() -> None:
    pattern = " or ".join(["Output matches `((a?){30}){30}c`"] * 30)

    async def work() -> None:
        async with served() as door:
            await door.put("/v1/agent/service/register", WEB)
            index = int((await door.get(asked("health/checks/web", pattern))).headers["x-consul-index"])
            waiting = [door.blocked(asked("health/checks/web", pattern), index) for _ in range(3)]
            other = door.blocked(asked("health/checks/web", "Output contains ba"), index)
            await door.parked(4)
            for number in range(3):
                await door.put("/v1/agent/service/register", WEB | {"ID": f"w{number}"})
                await door.put(f"/v1/agent/check/fail/service:w{number}?note=" + "ab" * 1000)
            for response in await asyncio.gather(*waiting):
                assert (response.status_code, "costs too much" in response.text) == (400, True)
            assert (await other).status_code == 200
            assert (await door.get(asked("health/checks/web", pattern))).status_code == 400
            assert door.http.stats.failures == 0

    run(work())

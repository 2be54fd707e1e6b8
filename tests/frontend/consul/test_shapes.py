"""Definitions of services, complete: how each field is registered, refused, and shown, in the order and the words of Consul 1.22."""

from typing import Any

import pytest

from tests.frontend.consul.harness import Consul, Got, consul
from tests.support import run

REGISTER = "/v1/agent/service/register"
UPSTREAMS = [
    {
        "DestinationName": "db", "LocalBindPort": 9191, "Config": {"b": 1.0, "a": {"y": [1, 2.5], "x": None}},
        "MeshGateway": {"Mode": "local"},
    },
    {"DestinationType": "prepared_query", "DestinationName": "q", "LocalBindSocketPath": "/run/q", "Datacenter": "dc2"},
]  # fmt: skip
PROXY = {
    "destination_service_name": "web", "DestinationServiceID": "web1", "LocalServicePort": 80, "Mode": "transparent",
    "Config": {"b": 2.0, "a": "x"}, "Upstreams": UPSTREAMS, "MeshGateway": {"Mode": "none"},
    "Expose": {"Checks": True, "Paths": [{"Path": "/h", "ListenerPort": 1234, "LocalPathPort": 8080, "Protocol": "http"}]},
    "TransparentProxy": {"OutboundListenerPort": 15001}, "access_logs": {"Enabled": True, "json_format": "{}"},
}  # fmt: skip
IN_CATALOG = (
    '{"TransparentProxy":{"OutboundListenerPort":15001},"AccessLogs":{"Enabled":true,"JSONFormat":"{}"},"DestinationServiceName":"web",'
    '"DestinationServiceID":"web1","LocalServicePort":80,"Mode":"transparent","Config":{"a":"x","b":2},"Upstreams":[{"DestinationType":'
    '"service","DestinationName":"db","Datacenter":"","LocalBindPort":9191,"Config":{"a":{"x":null,"y":[1,2.5]},"b":1},"MeshGateway":'
    '{"Mode":"local"}},{"DestinationType":"prepared_query","DestinationName":"q","Datacenter":"dc2","LocalBindSocketPath":"/run/q",'
    '"MeshGateway":{}}],"MeshGateway":{"Mode":"none"},"Expose":{"Checks":true,"Paths":[{"ListenerPort":1234,"Path":"/h","LocalPathPort":'
    '8080,"Protocol":"http"}]}}'
)
AT_AGENT = (
    '{"DestinationServiceName":"web","DestinationServiceID":"web1","LocalServicePort":80,"Mode":"transparent","TransparentProxy":'
    '{"OutboundListenerPort":15001},"Config":{"a":"x","b":2},"Upstreams":[{"DestinationType":"service","DestinationName":"db",'
    '"LocalBindPort":9191,"Config":{"a":{"x":null,"y":[1,2.5]},"b":1},"MeshGateway":{"Mode":"local"}},{"DestinationType":'
    '"prepared_query","DestinationName":"q","Datacenter":"dc2","LocalBindSocketPath":"/run/q","MeshGateway":{}}],"MeshGateway":'
    '{"Mode":"none"},"Expose":{"Checks":true,"Paths":[{"ListenerPort":1234,"Path":"/h","LocalPathPort":8080,"Protocol":"http",'
    '"ParsedFromCheck":false}]},"AccessLogs":{"Enabled":true,"JSONFormat":"{}"}}'
)


def errors(*problems: str) -> str:
    """A list of problems as Consul writes one."""
    return f"{len(problems)} error{'s' if len(problems) > 1 else ''} occurred:\n\t" + "\n\t".join(f"* {one}" for one in problems) + "\n\n"


# -- shown


def test_a_proxy_is_kept_whole_and_shown_in_the_order_of_each_door() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, {"Name": "px", "Kind": "connect-proxy", "Port": 83, "Proxy": PROXY})
            agent = (await door.ask("GET", "/v1/agent/services")).text
            assert agent == (
                '{"px":{"Kind":"connect-proxy","ID":"px","Service":"px","Tags":[],"Meta":{},"Port":83,"Address":"","Weights":'
                '{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":' + AT_AGENT + ',"Datacenter":"dc1"}}'
            )
            assert f'"ServiceProxy":{IN_CATALOG},"ServiceConnect":{{}},' in (await door.ask("GET", "/v1/catalog/service/px")).text
            for path in ("/v1/health/service/px", "/v1/catalog/node/callboard", "/v1/catalog/node-services/callboard"):
                assert f'"Proxy":{IN_CATALOG},"Connect":{{}},' in (await door.ask("GET", path)).text

    run(scenario())


def test_ports_socket_locality_and_native_are_shown_where_consul_shows_them() -> None:
    async def scenario() -> None:
        async with consul() as door:
            ports = [{"Name": "http", "Port": 8080, "Default": True}, {"name": "admin", "port": 8081}]
            body = {"Name": "m", "Ports": ports, "Address": "10.0.0.6", "SocketPath": "/run/m", "Locality": {"Region": "eu", "Zone": "a"}}
            await door.put(REGISTER, body)
            await door.put(REGISTER, {"Name": "nat", "Port": 9, "Connect": {"Native": True}, "Locality": {"Region": "eu"}})
            shown_ports = '"Ports":[{"Name":"http","Port":8080,"Default":true},{"Name":"admin","Port":8081,"Default":false}]'
            agent = (await door.ask("GET", "/v1/agent/service/m")).text
            assert f'"Port":8080,{shown_ports},"Address":"10.0.0.6","SocketPath":"/run/m","TaggedAddresses":{{"lan_ipv4"' in agent
            assert agent.endswith('"Datacenter":"dc1","Locality":{"Region":"eu","Zone":"a"}}')
            assert agent.count('{"Address":"10.0.0.6","Port":8080}') == 2
            health = (await door.ask("GET", "/v1/health/service/m")).text
            assert f'"Meta":{{}},"Port":8080,{shown_ports},"SocketPath":"/run/m","Weights"' in health
            assert '"EnableTagOverride":false,"Locality":{"Region":"eu","Zone":"a"},"Proxy":{"Mode":""' in health
            flat = (await door.ask("GET", "/v1/catalog/service/m")).text
            assert f'"ServicePort":8080,"Service{shown_ports[1:]},"ServiceSocketPath":"/run/m","ServiceEnableTagOverride":false' in flat
            assert '"ServiceConnect":{},"ServiceLocality":{"Region":"eu","Zone":"a"},"CreateIndex"' in flat
            native = (await door.ask("GET", "/v1/agent/service/nat")).text
            assert native.endswith('"Connect":{"Native":true},"Datacenter":"dc1","Locality":{"Region":"eu","Zone":""}}')
            flat = (await door.ask("GET", "/v1/catalog/service/nat")).text
            assert '"ServicePorts":null,' in flat
            assert '"ServiceConnect":{"Native":true},"ServiceLocality":{"Region":"eu"},' in flat

    run(scenario())


@pytest.mark.parametrize(
    "change",
    [{"Kind": "ingress-gateway"}, {"SocketPath": "/x"}, {"Locality": {"Region": "r"}}, {"Connect": {"Native": True}},
     {"Port": 0, "Ports": [{"Name": "a", "Port": 80, "Default": True}]}],
)  # fmt: skip
def test_the_hash_of_a_service_covers_what_it_says(change: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, {"Name": "w", "Port": 80})
            before = (await door.get("/v1/agent/service/w"))["ContentHash"]
            await door.put(REGISTER, {"Name": "w", "Port": 80} | change)
            assert (await door.get("/v1/agent/service/w"))["ContentHash"] != before

    run(scenario())


@pytest.mark.parametrize(
    "body",
    [
        {"Name": "px", "Kind": "connect-proxy", "Port": 83, "Proxy": PROXY},
        {"Name": "m", "Ports": [{"Name": "http", "Port": 8080, "Default": True}], "Locality": {"Region": "eu"}},
        {"Name": "n", "SocketPath": "/run/n", "Connect": {"Native": True}},
        {"Name": "g", "Kind": "mesh-gateway", "Port": 1, "Meta": {"consul-wan-federation": "1"}},
    ],
)
def test_what_health_shows_can_be_sent_back_and_changes_nothing(body: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, body)
            (entry,) = await door.get(f"/v1/health/service/{body['Name']}")
            revision = door.registry.revision
            await door.put("/v1/catalog/register", {"Node": entry["Node"]["Node"], "SkipNodeUpdate": True, "Service": entry["Service"]})
            assert door.registry.revision == revision

    run(scenario())


# -- refused


async def _refused(door: Consul, body: dict[str, Any]) -> Got:
    before = door.registry.revision
    got = await door.ask("PUT", REGISTER, body)
    assert (got.status, door.registry.revision) == (400, before)
    return got


TWICE = 'upstreams cannot contain duplicates by local bind address and port or unix path; "127.0.0.1:1" is specified twice'
UPSTREAM = {"DestinationName": "db", "LocalBindPort": 1}
DEFAULT = {"Name": "a", "Port": 1, "Default": True}


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        (
            {"Kind": "connect-proxy"},
            ("Port or SocketPath must be set for a connect-proxy",
             "Proxy.DestinationServiceName must be non-empty for Connect proxy services"),
        ),
        (
            {"Kind": "connect-proxy", "Port": 1, "Proxy": {"DestinationServiceName": "*"}},
            ("Proxy.DestinationServiceName must not be a wildcard for Connect proxy services",),
        ),
        (
            {"Kind": "connect-proxy", "Port": 1, "Connect": {"Native": True}, "Proxy": {
                "DestinationServiceName": "x",
                "Upstreams": [{}, {"DestinationName": "a"}, UPSTREAM, UPSTREAM, UPSTREAM | {"DestinationName": "b"},
                              UPSTREAM | {"DestinationName": "*"}, UPSTREAM | {"LocalBindSocketPath": "/x"},
                              UPSTREAM | {"DestinationType": "zz"}, UPSTREAM | {"DestinationPeer": "p", "Datacenter": "d"}],
                "Expose": {"Paths": [{}, {"Path": "/x", "ListenerPort": 0, "Protocol": "X"}]}}},
            ("A Proxy cannot also be Connect Native, only typical services",
             "upstream destination name cannot be empty",
             "upstream local bind port or local socket path must be defined and nonzero",
             'upstreams cannot contain duplicates of [type="service", name="db", partition="", namespace="", peer="", datacenter=""]',
             TWICE,
             "upstream destination name cannot be a wildcard",
             "only one of upstream local bind port or local socket path can be defined and nonzero",
             'unknown upstream destination type: "zz"',
             "upstream cannot specify both destination peer and datacenter",
             "expose.paths: empty path exposed", "expose.paths: invalid listener port: 0",
             "expose.paths: duplicate listener ports exposed", "expose.paths: invalid listener port: 0",
             "protocol 'x' not supported for path: /x, must be in: [http http2]"),
        ),
        (
            {"Kind": "mesh-gateway", "Connect": {"SidecarService": {}}, "Proxy": {
                "DestinationServiceName": "x", "DestinationServiceID": "x", "LocalServiceAddress": "1", "LocalServicePort": 3,
                "LocalServiceSocketPath": "a", "Upstreams": [UPSTREAM]}},
            ("Port must be non-zero for a mesh-gateway", "A mesh-gateway cannot have a sidecar service defined",
             *(f"The Proxy.{name} configuration is invalid for a mesh-gateway" for name in (
                 "DestinationServiceName", "DestinationServiceID", "LocalServiceAddress", "LocalServicePort", "LocalServiceSocketPath",
                 "Upstreams"))),
        ),
        ({"Kind": "terminating-gateway"}, ("Port must be non-zero for a terminating-gateway",)),
        ({"Kind": "api-gateway", "Ports": [DEFAULT]}, ("Ports cannot be set for a api-gateway",)),
        ({"Connect": {"Native": True}}, ("Port or SocketPath must be set for a Connect native service.",)),
        ({"Port": 3, "Ports": [DEFAULT]}, ("Cannot set both Port and Ports",)),
        ({"Ports": [{"Name": "a", "Port": 2}]}, ("One of the Ports must be marked as Default",)),
        ({"Ports": [{"Name": " ", "Port": 2}]}, ("Ports.Name cannot be empty",)),
        ({"Ports": [{"Name": "a"}]}, ("Ports.Port must be greater than zero",)),
        ({"Ports": [DEFAULT, {"Name": "a", "Port": 2}]}, ('Ports.Name "a" has to be unique',)),
        ({"Ports": [DEFAULT, {"Name": "b", "Port": 2, "Default": True}]}, ("Only one port can be marked as default",)),
        ({"Locality": {"Zone": "z"}}, ("zone cannot be set without region",)),
        ({"Port": 1, "Connect": {"SidecarService": {"ID": "x"}}},
         ("A SidecarService cannot specify an ID as this is managed by the agent",)),
        ({"Port": 1, "Connect": {"SidecarService": {"Connect": {"SidecarService": {}}}}},
         ("A SidecarService cannot have a nested SidecarService",)),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_with_a_definition_is_listed_in_consuls_words(body: dict[str, Any], problems: tuple[str, ...]) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await _refused(door, {"Name": "w"} | body)
            assert got.text == "Validation failed: " + errors(*problems)
            if "SidecarService" not in str(body):
                got = await door.ask(
                    "PUT", "/v1/catalog/register", {"Node": "n", "Address": "10.0.0.1", "Service": {"Service": "w"} | body}
                )
                assert (got.status, got.text) == (400, errors(*problems))

    run(scenario())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"Meta": {"consul-x": "1"}}, "Couldn't load metadata pair ('consul-x', '1'): Key prefix 'consul-' is reserved for internal use"),
        ({"Meta": {"a b": "1"}}, "Couldn't load metadata pair ('a b', '1'): Key contains invalid characters"),
        ({"Meta": {"": "1"}}, "Couldn't load metadata pair ('', '1'): Key cannot be blank"),
        ({"Meta": {"k" * 129: "v"}}, f"Couldn't load metadata pair ('{'k' * 129}', 'v'): Key is too long (limit: 128 characters)"),
        ({"Meta": {"k": "v" * 513}}, f"Couldn't load metadata pair ('k', '{'v' * 513}'): Value is too long (limit: 512 characters)"),
        ({"Meta": {"k": "\N{EURO SIGN}" * 171}}, "Value is too long (limit: 512 characters)"),
        ({"Meta": {f"k{n}": "v" for n in range(65)}}, "Node metadata cannot contain more than 64 key/value pairs"),
    ],
)
def test_meta_has_the_limits_of_consul(body: dict[str, Any], text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            got = await _refused(door, {"Name": "w"} | body)
            assert got.text.startswith("Invalid Service Meta: ")
            assert got.text.endswith(text)
            entry = {"Node": "n", "Address": "10.0.0.1", "Service": {"Service": "w"} | body}
            in_catalog = (await door.ask("PUT", "/v1/catalog/register", entry)).text
            assert in_catalog == got.text.replace(":", " for node n and serviceID w:", 1).replace("I", "failed inserting service: I", 1)
            sidecar = {"Name": "w", "Port": 1, "Connect": {"SidecarService": body}}
            assert (await _refused(door, sidecar)).text == got.text.replace("Invalid Service Meta", "Invalid SidecarService")

    run(scenario())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"TaggedAddresses": {"lan_ipv4": {"Address": "x"}}}, 'Service tagged address "lan_ipv4" must be a valid ipv4 address'),
        ({"TaggedAddresses": {"wan_ipv6": {"Address": "10.0.0.1"}}}, 'Service tagged address "wan_ipv6" must be a valid ipv6 address'),
        ({"Kind": "teapot"}, "kind: 'teapot' is not one of api-gateway, connect-proxy, "),
        ({"Ports": [{"Name": "a", "Port": 70000, "Default": True}]}, "ports: 'a' must be between 1 and 65535, is 70000"),
        ({"Weights": {"Passing": 1, "Warning": -1}}, "Invalid Weights: Warning must be greater or equal than 0"),
        ({"Proxy": {"Config": {"x": "y" * 70_000}}}, "proxy: must have at most 65536 characters"),
        ({"Proxy": {"Nonsense": 1}}, 'Request decode failed: json: unknown field "Nonsense"'),
        ({"Kind": "connect-proxy", "Port": 1, "Proxy": {"DestinationServiceName": "x", "Upstreams": [
            UPSTREAM | {"DestinationNamespace": "team"}]}}, "Namespaces are a Consul Enterprise feature"),
    ],
)  # fmt: skip
def test_other_limits_are_told_with_the_field(body: dict[str, Any], text: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            assert text in (await _refused(door, {"Name": "w"} | body)).text

    run(scenario())


# -- names, tags, addresses


def test_names_that_are_no_dns_labels_and_lists_that_are_null_are_accepted() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, {"Name": "app#127.0.0.1#3000", "Tags": None, "Meta": None, "TaggedAddresses": None, "Ports": None})
            (entry,) = await door.get("/v1/health/service/app%23127.0.0.1%233000")
            assert (entry["Service"]["Tags"], entry["Service"]["Meta"]) == ([], {})

    run(scenario())


def test_an_ip_address_is_shown_under_the_names_of_the_agent_unless_these_were_given() -> None:
    async def scenario() -> None:
        async with consul() as door:
            await door.put(REGISTER, {"Name": "six", "Address": "fd00::1", "Port": 9})
            given = {"lan_ipv4": {"Address": "10.2.2.2", "Port": 3}, "x": {"Address": "y"}}
            await door.put(REGISTER, {"Name": "tagged", "Address": "10.1.1.1", "Port": 9, "TaggedAddresses": given})
            services = await door.get("/v1/agent/services")
            assert list(services["six"]["TaggedAddresses"]) == ["lan_ipv6", "wan_ipv6"]
            assert services["tagged"]["TaggedAddresses"] == {
                "lan_ipv4": {"Address": "10.2.2.2", "Port": 3},
                "wan_ipv4": {"Address": "10.1.1.1", "Port": 9},
                "x": {"Address": "y", "Port": 0},
            }

    run(scenario())


def test_weights_that_are_all_zero_in_the_catalog_are_none() -> None:
    """As Consul's own client sends them when nothing was said."""

    async def scenario() -> None:
        async with consul() as door:
            entry = {"Service": "web", "Weights": {"Passing": 0, "Warning": 0}}
            await door.put("/v1/catalog/register", {"Node": "n", "Address": "10.0.0.1", "Service": entry})
            (shown,) = await door.get("/v1/catalog/service/web")
            assert shown["ServiceWeights"] == {"Passing": 1, "Warning": 1}

    run(scenario())


async def _tags(door: Consul) -> list[str]:
    (entry,) = await door.get("/v1/catalog/service/web")
    return list(entry["ServiceTags"])


def test_tags_that_the_catalog_gave_stay_while_the_service_allows_it() -> None:
    async def scenario() -> None:
        async with consul() as door:
            mine = {"Name": "web", "Tags": ["mine"], "EnableTagOverride": True}
            theirs = {"Node": "callboard", "SkipNodeUpdate": True, "Service": {"Service": "web", "Tags": ["theirs"]}}
            await door.put(REGISTER, mine)
            await door.put(REGISTER, mine | {"Tags": ["mine", "new"]})
            assert await _tags(door) == ["mine", "new"]
            await door.put("/v1/catalog/register", theirs)
            await door.put(REGISTER, mine)
            assert await _tags(door) == ["theirs"]
            assert (await door.get("/v1/agent/services"))["web"]["EnableTagOverride"] is True
            await door.put(REGISTER, mine | {"EnableTagOverride": False})
            assert await _tags(door) == ["mine"]
            await door.put("/v1/catalog/register", theirs)
            await door.put(REGISTER, mine)
            assert await _tags(door) == ["mine"]

    run(scenario())

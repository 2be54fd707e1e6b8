"""Consul's answers: field names and order as Go's structs have them. They live while an answer is encoded.

What Consul leaves out when it is empty is `UNSET`; what is always the same here (no mesh, no peers) is JSON made once.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from callboard.wire.consul_fields import go_name

_OBJECT: Final = Raw(b"{}")
_NO_PROXY: Final = Raw(b'{"Mode":"","MeshGateway":{},"Expose":{}}')
_encode: Final = msgspec.json.Encoder().encode


class Weights(Struct, frozen=True, gc=False, rename=go_name):
    """Share of traffic while passing and while warning."""

    passing: int
    warning: int


class TaggedAddress(Struct, frozen=True, gc=False, rename=go_name):
    """A further address of a service."""

    address: str
    port: int


class Node(Struct, frozen=True, gc=False, rename=go_name, kw_only=True):
    """A node of the catalog."""

    id: str
    node: str
    address: str
    datacenter: str
    tagged_addresses: dict[str, str] | None
    meta: dict[str, str] | None
    create_index: int
    modify_index: int


class Service(Struct, frozen=True, gc=False, rename=go_name, kw_only=True):
    """A service on a node, in health answers and below `catalog/node`."""

    kind: str | UnsetType = UNSET
    id: str
    service: str
    tags: tuple[str, ...]
    address: str
    tagged_addresses: dict[str, TaggedAddress] | UnsetType = UNSET
    meta: dict[str, str]
    port: int | UnsetType = UNSET
    weights: Weights
    enable_tag_override: bool
    proxy: Raw = _NO_PROXY
    connect: Raw = _OBJECT
    peer_name: str = ""
    create_index: int
    modify_index: int


class Check(Struct, frozen=True, gc=False, rename=go_name, kw_only=True):
    """A check with its last answer."""

    node: str
    check_id: str
    name: str
    status: str
    notes: str
    output: str
    service_id: str
    service_name: str
    service_tags: tuple[str, ...]
    type: str
    interval: str
    timeout: str
    exposed_port: int = 0
    definition: Raw = _OBJECT
    create_index: int
    modify_index: int


class ServiceHealth(Struct, frozen=True, gc=False, rename=go_name):
    """An instance with all that its health is derived from. The node is JSON made before: many answers show the same one."""

    node: Raw
    service: Service
    checks: list[Check]


class ServiceNode(Struct, frozen=True, gc=False, rename=go_name, kw_only=True):
    """A service and its node in one flat object: `catalog/service`."""

    id: str
    node: str
    address: str
    datacenter: str
    tagged_addresses: dict[str, str] | None
    node_meta: dict[str, str] | None
    service_kind: str
    service_id: str
    service_name: str
    service_tags: tuple[str, ...]
    service_address: str
    service_tagged_addresses: dict[str, TaggedAddress] | UnsetType = UNSET
    service_weights: Weights
    service_meta: dict[str, str]
    service_port: int
    service_socket_path: str = ""
    service_enable_tag_override: bool
    service_proxy: Raw = _NO_PROXY
    service_connect: Raw = _OBJECT
    create_index: int
    modify_index: int


class NodeServices(Struct, frozen=True, rename=go_name):
    """A node and its services by id: `catalog/node`."""

    node: Node
    services: dict[str, Service]


class NodeServiceList(Struct, frozen=True, rename=go_name):
    """A node and its services in order: `catalog/node-services`."""

    node: Node | None
    services: list[Service] | None


class AgentService(Struct, frozen=True, gc=False, rename=go_name, kw_only=True):
    """A service as its agent shows it."""

    kind: str | UnsetType = UNSET
    id: str
    service: str
    tags: tuple[str, ...]
    meta: dict[str, str]
    port: int
    address: str
    tagged_addresses: dict[str, TaggedAddress] | UnsetType = UNSET
    weights: Weights
    enable_tag_override: bool
    content_hash: str | UnsetType = UNSET
    datacenter: str


class AgentServiceHealth(Struct, frozen=True, rename=go_name):
    """A service of an agent, its checks, and what they make together."""

    aggregated_status: str
    service: AgentService | None
    checks: list[Check] | None


class Member(Struct, frozen=True, rename=go_name, kw_only=True):
    """A server among the members; `status` 1 is alive."""

    name: str
    addr: str
    port: int
    tags: dict[str, str]
    status: int = 1
    protocol_min: int = 1
    protocol_max: int = 5
    protocol_cur: int = 2
    delegate_min: int = 2
    delegate_max: int = 5
    delegate_cur: int = 4


class AgentConfig(Struct, frozen=True, rename=go_name, kw_only=True):
    """What an agent says about itself."""

    datacenter: str
    primary_datacenter: str
    node_name: str
    node_id: str
    revision: str = ""
    server: bool = True
    version: str
    build_date: str = "1970-01-01T00:00:00Z"


class XdsPorts(Struct, frozen=True, rename=go_name):
    """Ports of the xDS server; -1 means that there is none."""

    plaintext: int = -1
    tls: int = -1


class Xds(Struct, frozen=True, rename=go_name):
    """What the server can tell proxies."""

    supported_proxies: dict[str, list[str]] = {}
    port: int = -1
    ports: XdsPorts = XdsPorts()


class AgentSelf(Struct, frozen=True, rename=go_name, kw_only=True):
    """The answer of `agent/self`. Coordinates are not measured."""

    config: AgentConfig
    debug_config: dict[str, str | int | bool]
    coord: None = None
    member: Member
    stats: dict[str, dict[str, str]]
    meta: dict[str, str]
    xds: Xds = msgspec.field(default=Xds(), name="xDS")


def encode(value: Any, *, pretty: bool = False) -> bytes:  # noqa: ANN401  # any of the structs above, or plain JSON of them
    """One line, or with `pretty` indented by four spaces and ended by a line break, as Go's MarshalIndent does."""
    body = _encode(value)
    return msgspec.json.format(body, indent=4) + b"\n" if pretty else body

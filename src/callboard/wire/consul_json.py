"""Consul's answers: field names and order as Go's structs have them. They live while an answer is encoded.

What Consul leaves out when it is empty is `UNSET`; what is always the same here (no mesh, no peers) is JSON made once.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from callboard.wire.consul_fields import go_name
from callboard.wire.consul_proxy import NO_PROXY

_OBJECT: Final = Raw(b"{}")
NO_DEFINITION: Final = _OBJECT
NO_CONNECT: Final = _OBJECT
"""What the mesh is told about a service that is not in it, or only behind a proxy."""
NATIVE: Final = Raw(b'{"Native":true}')
_encode: Final = msgspec.json.Encoder().encode


class Weights(Struct, frozen=True, gc=False, rename=go_name):
    """Share of traffic while passing and while warning."""

    passing: int
    warning: int


class TaggedAddress(Struct, frozen=True, gc=False, rename=go_name):
    """A further address of a service."""

    address: str
    port: int


class Port(Struct, frozen=True, gc=False, rename=go_name):
    """One of several ports of a service."""

    name: str
    port: int
    default: bool


class Locality(Struct, frozen=True, gc=False, rename=go_name):
    """Where a service stands."""

    region: str
    zone: str | UnsetType = UNSET


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
    ports: tuple[Port, ...] | UnsetType = UNSET
    socket_path: str | UnsetType = UNSET
    weights: Weights
    enable_tag_override: bool
    locality: Locality | UnsetType = UNSET
    proxy: Raw = NO_PROXY
    connect: Raw = NO_CONNECT
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
    service_ports: tuple[Port, ...] | None = None
    service_socket_path: str = ""
    service_enable_tag_override: bool
    service_proxy: Raw = NO_PROXY
    service_connect: Raw = NO_CONNECT
    service_locality: Locality | None = None
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
    ports: tuple[Port, ...] | UnsetType = UNSET
    address: str
    socket_path: str | UnsetType = UNSET
    tagged_addresses: dict[str, TaggedAddress] | UnsetType = UNSET
    weights: Weights
    enable_tag_override: bool
    content_hash: str | UnsetType = UNSET
    proxy: Raw | UnsetType = UNSET
    connect: Raw | UnsetType = UNSET
    datacenter: str
    locality: Locality | UnsetType = UNSET


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


def encode(value: Any, *, pretty: bool = False) -> bytes:  # noqa: ANN401  # any of the structs above, or plain JSON of them
    """One line, or with `pretty` indented by four spaces and ended by a line break, as Go's MarshalIndent does."""
    body = _encode(value)
    return msgspec.json.format(body, indent=4) + b"\n" if pretty else body

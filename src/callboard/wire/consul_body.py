"""Bodies of Consul's writes: service and check definitions of the agent, catalog registrations. They live for one request.

Field names are Go's (`consul_fields.go_name`); what is absent has Go's zero value. What Callboard cannot do yet is decoded all the same,
so that the frontend can refuse it by name.
"""

from typing import Any, Final

from msgspec import Struct

from callboard.wire.consul_fields import Body, Span, go_name
from callboard.wire.consul_proxy import ProxyBody

NONE: Final = Span(0)
Anything = Any
"""JSON that nobody reads, or only to see whether there is something in it."""


class WeightsBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """Weights of a service."""

    passing: int = 0
    warning: int = 0


class AddressBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """A tagged address of a service."""

    address: str = ""
    port: int = 0


class PortBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """One of several ports of a service."""

    name: str = ""
    port: int = 0
    default: bool = False


class LocalityBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """Where a service stands."""

    region: str = ""
    zone: str = ""


class CheckBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """A check as the agent takes it, on its own or inside a service."""

    id: str = ""
    check_id: str = ""
    name: str = ""
    notes: str = ""
    status: str = ""
    service_id: str = ""
    token: str = ""
    http: str = ""
    method: str = ""
    header: dict[str, tuple[str, ...]] = {}
    body: str = ""
    disable_redirects: bool = False
    tls_server_name: str = ""
    tls_skip_verify: bool = False
    tcp: str = ""
    tcp_use_tls: bool = False
    interval: Span = NONE
    timeout: Span = NONE
    ttl: Span = NONE
    success_before_passing: int = 0
    failures_before_warning: int = 0
    failures_before_critical: int = 0
    deregister_critical_service_after: Span = NONE
    output_max_size: int = 0
    script_args: tuple[str, ...] = ()
    shell: str = ""
    docker_container_id: str = ""
    udp: str = ""
    grpc: str = ""
    grpc_use_tls: bool = False
    h2ping: str = ""
    h2ping_use_tls: bool = True
    os_service: str = ""
    alias_node: str = ""
    alias_service: str = ""
    proxy_http: str = ""
    proxy_grpc: str = ""
    namespace: str = ""
    partition: str = ""


class SidecarConnectBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """The mesh's settings of a sidecar, which has no sidecar itself."""

    native: bool = False
    sidecar_service: Anything = None
    peer_meta: Anything = None


class SidecarBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True, kw_only=True):
    """A service as the agent takes it, but for what the mesh is told about it: so a sidecar is defined."""

    kind: str = ""
    id: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    address: str = ""
    tagged_addresses: dict[str, AddressBody] = {}
    meta: dict[str, str] = {}
    port: int = 0
    ports: tuple[PortBody, ...] = ()
    socket_path: str = ""
    check: CheckBody | None = None
    checks: tuple[CheckBody, ...] = ()
    weights: WeightsBody | None = None
    token: str = ""
    enable_tag_override: bool = False
    locality: LocalityBody | None = None
    proxy: ProxyBody | None = None
    connect: SidecarConnectBody | None = None
    namespace: str = ""
    partition: str = ""


class ConnectBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """The mesh's settings of a service."""

    native: bool = False
    sidecar_service: SidecarBody | None = None
    peer_meta: Anything = None


class ServiceBody(SidecarBody, frozen=True, rename=go_name, forbid_unknown_fields=True, kw_only=True):
    """A service as the agent takes it."""

    connect: ConnectBody | None = None  # type: ignore[assignment]  # a sidecar's says less, and neither is ever taken for the other


class UpdateBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """The new status of a TTL check."""

    status: str = ""
    output: str = ""


class CatalogServiceBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """A service as the catalog takes it, and as health answers show it, so that an answer can be sent back."""

    kind: str = ""
    id: str = ""
    service: str = ""
    tags: tuple[str, ...] = ()
    address: str = ""
    tagged_addresses: dict[str, AddressBody] = {}
    meta: dict[str, str] = {}
    port: int = 0
    ports: tuple[PortBody, ...] = ()
    socket_path: str = ""
    weights: WeightsBody | None = None
    enable_tag_override: bool = False
    locality: LocalityBody | None = None
    proxy: ProxyBody | None = None
    connect: ConnectBody | None = None
    peer_name: str = ""
    namespace: str = ""
    partition: str = ""
    create_index: int = 0
    modify_index: int = 0


class CatalogCheckBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """A check as the catalog takes it, and as health answers show it. Nobody asks such a check, so its definition is not looked at."""

    node: str = ""
    check_id: str = ""
    name: str = ""
    status: str = ""
    notes: str = ""
    output: str = ""
    service_id: str = ""
    service_name: str = ""
    service_tags: Anything = None
    type: str = ""
    interval: Anything = None
    timeout: Anything = None
    exposed_port: int = 0
    definition: Anything = None
    peer_name: str = ""
    namespace: str = ""
    partition: str = ""
    create_index: int = 0
    modify_index: int = 0


class RegisterBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """A node with a service and checks for the catalog."""

    datacenter: str = ""
    id: str = ""
    node: str = ""
    address: str = ""
    tagged_addresses: dict[str, str] = {}
    node_meta: dict[str, str] = {}
    service: CatalogServiceBody | None = None
    check: CatalogCheckBody | None = None
    checks: tuple[CatalogCheckBody, ...] = ()
    locality: Anything = None
    skip_node_update: bool = False
    peer_name: str = ""
    token: str = ""
    write_request: Anything = None
    """Older clients put the token in here."""
    namespace: str = ""
    partition: str = ""
    create_index: int = 0
    modify_index: int = 0


class DeregisterBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """What is to go from the catalog: a service, a check, or the whole node."""

    datacenter: str = ""
    node: str = ""
    address: str = ""
    service_id: str = ""
    check_id: str = ""
    peer_name: str = ""
    token: str = ""
    write_request: Anything = None
    namespace: str = ""
    partition: str = ""


SERVICE: Final = Body(ServiceBody)
CHECK: Final = Body(CheckBody)
UPDATE: Final = Body(UpdateBody)
REGISTER: Final = Body(RegisterBody)
DEREGISTER: Final = Body(DeregisterBody)

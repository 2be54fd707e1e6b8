"""What a definition says beyond name and address: ports, kind, proxy, mesh and locality. Consul's rules for them, in Consul's words. Pure.

Consul finds everything that is wrong and lists it; so do we.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from callboard.model.service import GATEWAYS, NOWHERE, Kind, Locality, NamedPort
from callboard.wire.consul_body import CatalogServiceBody, ConnectBody, PortBody, SidecarBody
from callboard.wire.consul_go import quote
from callboard.wire.consul_proxy import Expose, ProxyBody, UpstreamBody, canonical

WILDCARD: Final = "*"
_UPSTREAM_TYPES: Final = frozenset({"", "service", "prepared_query"})
_EXPOSE_PROTOCOLS: Final = frozenset({"", "http", "http2"})
_ENVOY_DIR: Final = "envoy_hcp_metrics_bind_socket_dir"
_ENVOY_DIR_MAX_CHARS: Final = 70
_NO_PROXY: Final = ProxyBody()
_HIDDEN_FROM_GATEWAYS: Final = {
    "DestinationServiceName": "destination_service_name", "DestinationServiceID": "destination_service_id",
    "LocalServiceAddress": "local_service_address", "LocalServicePort": "local_service_port",
    "LocalServiceSocketPath": "local_service_socket_path", "Upstreams": "upstreams",
}  # fmt: skip

Definition = SidecarBody | CatalogServiceBody
"""A service as any door of Consul takes it; what the agent takes is a sidecar's definition with more to `Connect`."""


class Mesh(NamedTuple):
    """What an instance is made of besides the rest."""

    kind: str
    ports: tuple[NamedPort, ...]
    socket_path: str
    proxy: str
    destination: str
    connect_native: bool
    locality: Locality


PLAIN: Final = Mesh("", (), "", "", "", connect_native=False, locality=NOWHERE)
"""Of a definition that says nothing of all this, as most do."""


def is_plain(body: Definition) -> bool:
    """Whether that is so."""
    silent = body.proxy is None and body.connect is None and body.locality is None
    return silent and not (body.kind or body.ports or body.socket_path)


def mesh_of(body: Definition, upstream_type: str) -> Mesh:
    """The parts of an instance that a definition asks for; it must be free of problems."""
    if is_plain(body):
        return PLAIN
    proxy = body.proxy or _NO_PROXY
    return Mesh(
        kind=body.kind,
        ports=tuple(NamedPort(port.name, port.port, port.default) for port in body.ports),
        socket_path=body.socket_path,
        proxy=canonical(proxy, upstream_type),
        destination=proxy.destination_service_name if body.kind == Kind.CONNECT_PROXY else "",
        connect_native=body.connect is not None and body.connect.native,
        locality=Locality(body.locality.region, body.locality.zone) if body.locality is not None else NOWHERE,
    )


def listed(problems: list[str]) -> str:
    """Several problems as Consul tells them."""
    count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    lines = "\n\t".join(f"* {problem}" for problem in problems)
    return f"{count} occurred:\n\t{lines}\n\n"


def problems_of(body: Definition, *, port_follows: bool = False) -> list[str]:
    """Everything that is wrong with a definition; empty when nothing is. `port_follows`: one without a port is given one later."""
    out: list[str] = []
    if is_plain(body):
        return out
    locality = body.locality
    if not port_follows:
        if locality is not None and locality.zone and not locality.region:
            out.append("zone cannot be set without region")
        if body.kind == Kind.CONNECT_PROXY:
            if body.ports:
                out.append(f"Ports cannot be set for a {body.kind}")
            if not body.port and not body.socket_path:
                out.append(f"Port or SocketPath must be set for a {body.kind}")
    if body.kind == Kind.CONNECT_PROXY:
        out += _of_proxy(body.proxy or _NO_PROXY, native=body.connect is not None and body.connect.native)
    if body.kind in GATEWAYS:
        out += _of_gateway(body)
    out += _of_connect(body)
    if not port_follows:
        out += _of_ports(body.ports, body.port)
    return out


def _of_proxy(proxy: ProxyBody, *, native: bool) -> Iterator[str]:
    if not proxy.destination_service_name.strip():
        yield "Proxy.DestinationServiceName must be non-empty for Connect proxy services"
    if proxy.destination_service_name == WILDCARD:
        yield "Proxy.DestinationServiceName must not be a wildcard for Connect proxy services"
    if native:
        yield "A Proxy cannot also be Connect Native, only typical services"
    directory = proxy.config.get(_ENVOY_DIR)
    if isinstance(directory, str) and len(directory) > _ENVOY_DIR_MAX_CHARS:
        yield f"Proxy.Config: {_ENVOY_DIR} length {len(directory)} exceeds max {_ENVOY_DIR_MAX_CHARS}"
    yield from _of_upstreams(proxy.upstreams)
    yield from _of_expose(proxy.expose)


def _of_upstreams(upstreams: tuple[UpstreamBody, ...]) -> Iterator[str]:
    keys: set[str] = set()
    bound: set[str] = set()
    for upstream in upstreams:
        problem = _of_upstream(upstream)
        if not problem:
            key = _key(upstream)
            if key in keys:
                problem = f"upstreams cannot contain duplicates of {key}"
            elif upstream.bound in bound and not upstream.centrally_configured:
                what = "upstreams cannot contain duplicates by local bind address and port or unix path"
                problem = f"{what}; {quote(upstream.bound)} is specified twice"
            keys.add(key)
            bound.add(upstream.bound)
        if problem:
            yield problem


def _of_upstream(upstream: UpstreamBody) -> str:
    """What is wrong with one; the first thing counts."""
    central, port, socket = upstream.centrally_configured, upstream.local_bind_port, upstream.local_bind_socket_path
    wrong = (
        (upstream.destination_type not in _UPSTREAM_TYPES, f"unknown upstream destination type: {quote(upstream.destination_type)}"),
        (not upstream.destination_name, "upstream destination name cannot be empty"),
        (upstream.destination_name == WILDCARD and not central, "upstream destination name cannot be a wildcard"),
        (upstream.destination_peer and upstream.datacenter, "upstream cannot specify both destination peer and datacenter"),
        (not (port or socket or central), "upstream local bind port or local socket path must be defined and nonzero"),
        (port and socket and not central, "only one of upstream local bind port or local socket path can be defined and nonzero"),
    )
    return next((text for is_wrong, text in wrong if is_wrong), "")


def _key(upstream: UpstreamBody) -> str:
    parts = {
        "type": upstream.destination_type or "service", "name": upstream.destination_name, "partition": upstream.destination_partition,
        "namespace": upstream.destination_namespace, "peer": upstream.destination_peer, "datacenter": upstream.datacenter,
    }  # fmt: skip
    return "[" + ", ".join(f"{name}={quote(value)}" for name, value in parts.items()) + "]"


def _of_expose(expose: Expose) -> Iterator[str]:
    listeners: set[int] = set()
    for path in expose.paths:
        if not path.path:
            yield "expose.paths: empty path exposed"
        if path.listener_port in listeners:
            yield "expose.paths: duplicate listener ports exposed"
        listeners.add(path.listener_port)
        if not 1 <= path.listener_port <= 65535:
            yield f"expose.paths: invalid listener port: {path.listener_port}"
        if path.protocol.lower() not in _EXPOSE_PROTOCOLS:
            yield f"protocol '{path.protocol.lower()}' not supported for path: {path.path}, must be in: [http http2]"


def _of_gateway(body: Definition) -> Iterator[str]:
    if body.ports:
        yield f"Ports cannot be set for a {body.kind}"
    if not body.port and body.kind not in {Kind.INGRESS_GATEWAY, Kind.API_GATEWAY}:
        yield f"Port must be non-zero for a {body.kind}"
    if body.connect is not None and body.connect.sidecar_service is not None:
        yield f"A {body.kind} cannot have a sidecar service defined"
    proxy = body.proxy or _NO_PROXY
    for name, field in _HIDDEN_FROM_GATEWAYS.items():
        if getattr(proxy, field):
            yield f"The Proxy.{name} configuration is invalid for a {body.kind}"


def _of_connect(body: Definition) -> Iterator[str]:
    connect = body.connect
    if connect is None:
        return
    sidecar = connect.sidecar_service
    if isinstance(connect, ConnectBody) and isinstance(sidecar, SidecarBody):
        if sidecar.id:
            yield "A SidecarService cannot specify an ID as this is managed by the agent"
        if sidecar.connect is not None and sidecar.connect.sidecar_service is not None:
            yield "A SidecarService cannot have a nested SidecarService"
    if connect.native and not body.port and not body.socket_path:
        yield "Port or SocketPath must be set for a Connect native service."


def _of_ports(ports: tuple[PortBody, ...], port: int) -> Iterator[str]:
    default = next((each.port for each in ports if each.default), 0)
    if ports and port not in {0, default}:
        yield "Cannot set both Port and Ports"
    seen: set[str] = set()
    defaults = 0
    for each in ports:
        defaults += each.default
        wrong = (
            (not each.name.strip(), "Ports.Name cannot be empty"),
            (each.port <= 0, "Ports.Port must be greater than zero"),
            (each.name in seen, f"Ports.Name {quote(each.name)} has to be unique"),
            (defaults > 1, "Only one port can be marked as default"),
        )
        problem = next((text for is_wrong, text in wrong if is_wrong), "")
        if problem:
            yield problem
            return
        seen.add(each.name)
    if ports and not defaults:
        yield "One of the Ports must be marked as Default"

"""From Consul's definitions of services to ours: the agent's, its sidecar's, the catalog's. Pure.

What is wrong is told as `InvalidError` with the text Consul has for it; where Consul has none, the text says what to do instead.
"""

from typing import Final

from msgspec.structs import replace

from callboard.core.catalog.commands import Sidecar
from callboard.core.catalog.sidecars import SUFFIX, sidecar_id
from callboard.frontend.consul.translate import Connect, agent_checks, invalid, refuse_namespace, refuse_peer
from callboard.frontend.consul.translate_addresses import ip_version
from callboard.frontend.consul.translate_mesh import PLAIN, Definition, Mesh, is_plain, listed, mesh_of, problems_of
from callboard.model import names
from callboard.model.errors import InvalidError
from callboard.model.instance import ANY_ADDRESS, DEFAULT_WEIGHTS, WEIGHT_MAX, InstanceSpec, TaggedAddress, Weights
from callboard.model.service import Kind
from callboard.wire.consul_body import AddressBody, CatalogServiceBody, LocalityBody, ServiceBody, SidecarBody, WeightsBody
from callboard.wire.consul_go import quote
from callboard.wire.consul_proxy import ProxyBody

LOOPBACK: Final = "127.0.0.1"
_META_RESERVED: Final = "consul-"
_META_OF_MESH_GATEWAYS: Final = frozenset({"consul-wan-federation"})
_META_KEY_CHARS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_NO_WEIGHTS: Final = WeightsBody()
"""What Consul's own client sends to the catalog when nothing was said."""
_UPSTREAM_TYPE: Final = "service"
_IP_LABELS: Final = {"lan_ipv4": "ipv4", "wan_ipv4": "ipv4", "lan_ipv6": "ipv6", "wan_ipv6": "ipv6"}


def agent_instance(body: ServiceBody) -> InstanceSpec:
    """A service of the agent. Raises `InvalidError`."""
    if not body.name:
        raise invalid("Missing service name")
    _refuse_any_address(body.address)
    _refuse_foreign(body)
    weights = _weights(body.weights)
    if body.meta:
        _check_meta(body.kind, body.meta, "Invalid Service Meta: ")
    if is_plain(body):
        return _spec(body, body.id or body.name, body.name, weights, PLAIN)
    problems = problems_of(body)
    if problems:
        raise invalid("Validation failed: " + listed(problems))
    return _agent_spec(body, body.id or body.name, body.name, weights)


def _agent_spec(body: SidecarBody, instance: str, name: str, weights: Weights) -> InstanceSpec:
    return _spec(body, instance, name, weights, mesh_of(body, _UPSTREAM_TYPE))


def _spec(body: Definition, instance: str, name: str, weights: Weights, mesh: Mesh) -> InstanceSpec:
    tagged = _tagged(body.tagged_addresses) if body.tagged_addresses else {}
    if mesh is PLAIN:
        return InstanceSpec(
            service=name, id=instance, address=body.address, port=body.port, tags=body.tags, meta=body.meta, tagged=tagged,
            weights=weights, enable_tag_override=body.enable_tag_override,
        )  # fmt: skip
    return InstanceSpec(
        service=name, id=instance, address=body.address, port=body.port, tags=body.tags, meta=body.meta, tagged=tagged,
        weights=weights, enable_tag_override=body.enable_tag_override, **mesh._asdict(),
    )  # fmt: skip


def catalog_instance(body: CatalogServiceBody, node: str) -> InstanceSpec:
    """A service of the catalog. Raises `InvalidError`."""
    problems = problems_of(body)
    if problems:
        raise invalid(listed(problems))
    if not body.service:
        raise invalid(
            "Must provide service name (Service.Service) when service ID is provided" if body.id else
            "service name (Service.Service) is required; both Service ID (Service.ID) and Service Name cannot be empty"
        )  # fmt: skip
    _refuse_any_address(body.address)
    _refuse_foreign(body)
    refuse_peer(body.peer_name)
    if body.connect is not None and body.connect.sidecar_service is not None:
        raise invalid("Connect.SidecarService is for the agent's API; register the sidecar as a service of its own")
    instance = body.id or body.service
    _check_meta(body.kind, body.meta, f"failed inserting service: Invalid Service Meta for node {node} and serviceID {instance}: ")
    weights = _weights(body.weights if body.weights != _NO_WEIGHTS else None)
    return _spec(body, instance, body.service, weights, mesh_of(body, ""))


# -- sidecars


def agent_sidecar(body: ServiceBody, parent: InstanceSpec, connect: Connect) -> Sidecar | None:
    """The sidecar that a service of the agent brings along, with everything it takes from its parent. Raises `InvalidError`."""
    given = body.connect.sidecar_service if body.connect is not None else None
    if given is None:
        return None
    if body.ports:
        raise invalid("MultiPort cannot be used with Consul Connect.")
    _refuse_any_address(given.address)
    _refuse_foreign(given)
    _check_meta(given.kind, given.meta, "Invalid SidecarService: ")
    sidecar = _with_defaults(given, body, parent)
    problems = problems_of(sidecar, port_follows=True)
    if problems:
        raise invalid("Failed Validation: " + listed(problems))
    spec = _agent_spec(sidecar, sidecar_id(parent.id), sidecar.name, _weights(sidecar.weights))
    proxy = sidecar.proxy or ProxyBody()
    listens_at = spec.address or proxy.local_service_address or LOOPBACK
    try:
        checks = agent_checks(sidecar, spec.id, connect)
    except InvalidError as error:
        raise invalid(str(error).replace("Invalid check: ", "Invalid check in sidecar_service: ", 1)) from None
    return Sidecar(
        instance=spec, checks=tuple(attached.check for attached in checks), listens_at=listens_at, connect=connect(listens_at)
    )  # fmt: skip


def _with_defaults(given: SidecarBody, body: ServiceBody, parent: InstanceSpec) -> SidecarBody:
    """The same with its parent's meta, tags, locality and address where it says nothing, and a proxy in front of its parent."""
    proxy = given.proxy or ProxyBody()
    proxy = replace(
        proxy,
        destination_service_name=proxy.destination_service_name or parent.service,
        destination_service_id=proxy.destination_service_id or parent.id,
    )
    if not proxy.local_service_socket_path and (not proxy.local_service_address or proxy.local_service_port < 1):
        if parent.socket_path:
            proxy = replace(proxy, local_service_socket_path=parent.socket_path)
        else:
            port = proxy.local_service_port if proxy.local_service_port >= 1 else parent.port
            proxy = replace(proxy, local_service_address=proxy.local_service_address or LOOPBACK, local_service_port=port)
    own = parent.locality
    locality = LocalityBody(own.region, own.zone) if own.region else None
    return replace(
        given, kind=given.kind or Kind.CONNECT_PROXY.value, name=given.name or parent.service + SUFFIX, tags=given.tags or parent.tags,
        meta=given.meta or parent.meta, address=given.address or parent.address, locality=given.locality or locality, proxy=proxy,
    )  # fmt: skip


# -- what they have in common


def _refuse_any_address(address: str) -> None:
    if address in ANY_ADDRESS:
        raise invalid("Invalid service address")


def _refuse_foreign(body: Definition) -> None:
    """Namespaces and partitions, also of what a proxy reaches."""
    if body.namespace or body.partition:
        refuse_namespace(body.namespace, body.partition)
    for upstream in body.proxy.upstreams if body.proxy is not None else ():
        refuse_namespace(upstream.destination_namespace, upstream.destination_partition)


def _check_meta(kind: str, meta: dict[str, str], field: str) -> None:
    """Consul's limits, which are in bytes. Raises `InvalidError` with its texts."""
    if names.is_plain_meta(meta):
        return
    if len(meta) > names.META_MAX_COUNT:
        raise invalid(f"{field}Node metadata cannot contain more than {names.META_MAX_COUNT} key/value pairs")
    for key, value in meta.items():
        problem = _meta_problem(kind, key, value)
        if problem:
            raise invalid(f"{field}Couldn't load metadata pair ('{key}', '{value}'): {problem}")


def _meta_problem(kind: str, key: str, value: str) -> str:
    if not key:
        return "Key cannot be blank"
    if not _META_KEY_CHARS.issuperset(key):
        return "Key contains invalid characters"
    if len(key) > names.META_KEY_MAX_CHARS:
        return f"Key is too long (limit: {names.META_KEY_MAX_CHARS} characters)"
    if key.startswith(_META_RESERVED) and not (kind == Kind.MESH_GATEWAY and key in _META_OF_MESH_GATEWAYS):
        return f"Key prefix '{_META_RESERVED}' is reserved for internal use"
    if len(value.encode()) > names.META_VALUE_MAX_CHARS:
        return f"Value is too long (limit: {names.META_VALUE_MAX_CHARS} characters)"
    return ""


def _tagged(bodies: dict[str, AddressBody]) -> dict[str, TaggedAddress]:
    for label, version in _IP_LABELS.items():
        if label in bodies and not _is_ip(bodies[label].address, version):
            raise invalid(f"Service tagged address {quote(label)} must be a valid {version} address")
    return {label: TaggedAddress(body.address, body.port) for label, body in bodies.items()}


def _is_ip(address: str, version: str) -> bool:
    return ip_version(address) == (4 if version == "ipv4" else 6)


def _weights(body: WeightsBody | None) -> Weights:
    if body is None:
        return DEFAULT_WEIGHTS
    if body.passing < 1:
        raise invalid("Invalid Weights: Passing must be greater than 0")
    if body.warning < 0:
        raise invalid("Invalid Weights: Warning must be greater or equal than 0")
    if max(body.passing, body.warning) > WEIGHT_MAX:
        raise invalid(f"Invalid Weights: DNS Weight must be between 0 and {WEIGHT_MAX}")
    return Weights(body.passing, body.warning)

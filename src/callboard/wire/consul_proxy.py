"""What a proxy or gateway of Consul's mesh is told to do (`Proxy` of a service): read, put into one canonical form, and shown in two.

Nobody here acts on it; proxies and their tools read it back. So it is kept whole, as the text that catalog answers show, and only
its known fields are looked at. Pure; a body lives for one request, the canonical text as long as the row of its instance.
"""

from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from callboard.model.errors import InvalidError
from callboard.wire.consul_fields import go_name

NO_PROXY: Final = Raw(b'{"Mode":"","MeshGateway":{},"Expose":{}}')
"""Of a service without one, in catalog answers."""
DEPTH_MAX_COUNT: Final = 64
"""Of lists and objects in what is opaque."""
_EXACT: Final = 2**53
"""Below it a float holds every whole number."""
Whole = Annotated[int, Meta(ge=-_EXACT, le=_EXACT)]
"""A number of which nothing is known, but that every client can read it."""


class MeshGateway(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True, omit_defaults=True):
    """Which mesh gateways the way to an upstream goes through."""

    mode: str = ""


class ExposePath(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True, omit_defaults=True):
    """A path that is let through without the mesh."""

    listener_port: Whole = 0
    path: str = ""
    local_path_port: Whole = 0
    protocol: str = ""
    parsed_from_check: bool = False


class Expose(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True, omit_defaults=True):
    """What is let through without the mesh."""

    checks: bool = False
    paths: tuple[ExposePath, ...] = ()


class TransparentProxy(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True, omit_defaults=True):
    """How traffic is caught that does not know of the proxy."""

    outbound_listener_port: Whole = 0
    dialed_directly: bool = False


class AccessLogs(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True, omit_defaults=True):
    """Where a proxy writes its access log, and in which form."""

    enabled: bool = False
    disable_listener_logs: bool = False
    type: str = ""
    path: str = ""
    json_format: str = field(default="", name="JSONFormat")
    text_format: str = ""


class EnvoyExtension(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """A change that a built-in program makes to Envoy's settings."""

    name: str = ""
    required: bool = False
    arguments: dict[str, Any] | None = None  # JSON of the extension's own
    consul_version: str = ""
    envoy_version: str = ""


class UpstreamBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """A service that is reached through the proxy."""

    destination_type: str = ""
    destination_namespace: str = ""
    destination_partition: str = ""
    destination_peer: str = ""
    destination_name: str = ""
    datacenter: str = ""
    local_bind_address: str = ""
    local_bind_port: Whole = 0
    local_bind_socket_path: str = ""
    local_bind_socket_mode: str = ""
    config: dict[str, Any] = {}  # JSON for the proxy
    mesh_gateway: MeshGateway = MeshGateway()
    centrally_configured: bool = False

    @property
    def bound(self) -> str:
        """Where the proxy listens for it on its own machine."""
        if not self.local_bind_port and not self.local_bind_address and self.local_bind_socket_path:
            return self.local_bind_socket_path
        return f"{self.local_bind_address or '127.0.0.1'}:{self.local_bind_port}"


class ProxyBody(Struct, frozen=True, rename=go_name, forbid_unknown_fields=True):
    """`Proxy` as it is registered."""

    envoy_extensions: tuple[EnvoyExtension, ...] = ()
    destination_service_name: str = ""
    destination_service_id: str = ""
    local_service_address: str = ""
    local_service_port: Whole = 0
    local_service_socket_path: str = ""
    mode: str = ""
    config: dict[str, Any] = {}  # JSON for the proxy
    upstreams: tuple[UpstreamBody, ...] = ()
    mesh_gateway: MeshGateway = MeshGateway()
    expose: Expose = Expose()
    transparent_proxy: TransparentProxy = TransparentProxy()
    access_logs: AccessLogs = AccessLogs()


class _Upstream(Struct, frozen=True, rename=go_name, omit_defaults=True, kw_only=True):
    """An upstream in the catalog's order; what has no default is always shown."""

    destination_type: str
    destination_namespace: str = ""
    destination_partition: str = ""
    destination_peer: str = ""
    destination_name: str
    datacenter: str
    local_bind_address: str = ""
    local_bind_port: int = 0
    local_bind_socket_path: str = ""
    local_bind_socket_mode: str = ""
    config: dict[str, Any] = {}  # JSON for the proxy
    mesh_gateway: MeshGateway
    centrally_configured: bool = False


class _Proxy(Struct, frozen=True, rename=go_name, omit_defaults=True, kw_only=True):
    """A proxy in the catalog's order."""

    transparent_proxy: TransparentProxy | None = None
    access_logs: AccessLogs | None = None
    envoy_extensions: tuple[EnvoyExtension, ...] = ()
    destination_service_name: str = ""
    destination_service_id: str = ""
    local_service_address: str = ""
    local_service_port: int = 0
    local_service_socket_path: str = ""
    mode: str
    config: dict[str, Any] = {}  # JSON for the proxy
    upstreams: tuple[_Upstream, ...] = ()
    mesh_gateway: MeshGateway
    expose: Expose


class _AgentUpstream(Struct, frozen=True, rename=go_name, omit_defaults=True, kw_only=True):
    """An upstream in the agent's order."""

    destination_type: str = ""
    destination_partition: str = ""
    destination_namespace: str = ""
    destination_peer: str = ""
    destination_name: str
    datacenter: str = ""
    local_bind_address: str = ""
    local_bind_port: int = 0
    local_bind_socket_path: str = ""
    local_bind_socket_mode: str = ""
    config: dict[str, Any] = {}  # JSON for the proxy
    mesh_gateway: MeshGateway


class _AgentExposePath(Struct, frozen=True, rename=go_name, omit_defaults=True, kw_only=True):
    """A path in the agent's order."""

    listener_port: int = 0
    path: str = ""
    local_path_port: int = 0
    protocol: str = ""
    parsed_from_check: bool


class _AgentExpose(Struct, frozen=True, rename=go_name, omit_defaults=True, kw_only=True):
    """What is let through, in the agent's order."""

    checks: bool = False
    paths: tuple[_AgentExposePath, ...] = ()


class _AgentProxy(Struct, frozen=True, rename=go_name, omit_defaults=True, kw_only=True):
    """A proxy in the agent's order, which shows no extensions."""

    destination_service_name: str = ""
    destination_service_id: str = ""
    local_service_address: str = ""
    local_service_port: int = 0
    local_service_socket_path: str = ""
    mode: str = ""
    transparent_proxy: TransparentProxy | None = None
    config: dict[str, Any] = {}  # JSON for the proxy
    upstreams: tuple[_AgentUpstream, ...] = ()
    mesh_gateway: MeshGateway
    expose: _AgentExpose
    access_logs: AccessLogs | None = None


Part = TypeVar("Part", TransparentProxy, AccessLogs)

_encode: Final = msgspec.json.Encoder().encode
_decode_catalog: Final = msgspec.json.Decoder(_Proxy).decode


def canonical(body: ProxyBody, upstream_type: str = "") -> str:
    """The one text for a proxy, as catalog answers show it; empty when it says nothing. `upstream_type` is that of upstreams without.

    Raises `InvalidError` for opaque parts that are nested too deep.
    """
    if body == ProxyBody():
        return ""
    return _encode(_Proxy(
        transparent_proxy=_said(body.transparent_proxy), access_logs=_said(body.access_logs),
        envoy_extensions=tuple(msgspec.structs.replace(each, arguments=_plain(each.arguments)) for each in body.envoy_extensions),
        destination_service_name=body.destination_service_name, destination_service_id=body.destination_service_id,
        local_service_address=body.local_service_address, local_service_port=body.local_service_port,
        local_service_socket_path=body.local_service_socket_path, mode=body.mode, config=_plain(body.config),
        upstreams=tuple(_upstream(each, upstream_type) for each in body.upstreams), mesh_gateway=body.mesh_gateway, expose=body.expose,
    )).decode()  # fmt: skip


def _said(part: Part) -> Part | None:
    """None for what says nothing."""
    return part if part != type(part)() else None


def _upstream(body: UpstreamBody, upstream_type: str) -> _Upstream:
    values = {name: getattr(body, name) for name in UpstreamBody.__struct_fields__}
    return _Upstream(**values | {"config": _plain(body.config), "destination_type": body.destination_type or upstream_type})


def _plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """JSON as Go writes it back: names in order, every number a float, and whole numbers without a fraction."""
    if depth > DEPTH_MAX_COUNT:
        raise InvalidError("", f"Proxy.Config must be nested at most {DEPTH_MAX_COUNT} deep")
    if isinstance(value, dict):
        return {name: _plain(value[name], depth + 1) for name in sorted(value)}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, int) and abs(value) >= _EXACT:
        try:
            return float(value)
        except OverflowError:
            raise InvalidError("", f"Proxy.Config has a number of {len(str(value))} digits, which no client could read") from None
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT else value


def for_catalog(text: str) -> Raw:
    """A canonical text in answers of the catalog and of health."""
    return Raw(text.encode()) if text else NO_PROXY


def for_agent(text: str) -> Raw:
    """The same in answers of the agent, which has another order and leaves out more."""
    proxy = _decode_catalog(for_catalog(text))
    paths = tuple(
        _AgentExposePath(
            listener_port=path.listener_port, path=path.path, local_path_port=path.local_path_port, protocol=path.protocol,
            parsed_from_check=path.parsed_from_check,
        )
        for path in proxy.expose.paths
    )  # fmt: skip
    names = ("upstreams", "expose")
    values = {name: getattr(proxy, name) for name in _AgentProxy.__struct_fields__ if name not in names}
    upstreams = tuple(
        _AgentUpstream(**{name: getattr(each, name) for name in _AgentUpstream.__struct_fields__}) for each in proxy.upstreams
    )
    return Raw(_encode(_AgentProxy(**values, upstreams=upstreams, expose=_AgentExpose(checks=proxy.expose.checks, paths=paths))))

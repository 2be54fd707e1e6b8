"""What filters may ask of each kind of answer: Consul's selectors, which are the fields of its structs but for indexes and definitions.

A filter sees what is shown, so an address that was filled in can be asked for. What an answer leaves out is empty here: a text, 0, false.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from operator import attrgetter
from typing import Final, Generic, NamedTuple, TypeVar, cast

import msgspec
from msgspec import UNSET, Raw

from callboard.core.filter_values import Primitive
from callboard.core.filtering import Field, Kind, ListOf, MapOf, Record
from callboard.wire import consul_json as json

T_contra = TypeVar("T_contra", contravariant=True)

_TEXT: Final = Primitive.TEXT
_INT: Final = Primitive.INT
_FLAG: Final = Primitive.FLAG
_BYTE: Final = Primitive.UINT8
_TEXTS: Final = ListOf(_TEXT)
_META: Final = MapOf(_TEXT)
_NOTHING: Final[Mapping[str, object]] = {}


class Shown(NamedTuple):
    """An instance as health answers show it, its node not yet encoded."""

    node: json.Node
    service: json.Service
    checks: list[json.Check]


@dataclass(frozen=True, slots=True, eq=False)
class Root(Generic[T_contra]):
    """What the selectors of an answer's items begin with."""

    record: Record


def _empty(kind: Kind) -> object:
    """What stands for a field that is not there."""
    match kind:
        case Primitive.TEXT:
            return ""
        case Primitive.FLAG:
            return False
        case Primitive():
            return 0
        case ListOf():
            return ()
        case _:
            return _NOTHING


def _shown(name: str, kind: Kind) -> Field:
    """A field of an answer's struct."""
    read, empty = attrgetter(name), _empty(kind)

    def get(item: object) -> object:
        value: object = read(item)
        return empty if value is None or value is UNSET else value

    return Field(get, kind)


def _always(value: object, kind: Kind) -> Field:
    """A field that says the same everywhere here."""
    return Field(lambda _item: value, kind)


def _record(**fields: tuple[str, Kind]) -> dict[str, Field]:
    return {name: _shown(attribute, kind) for name, (attribute, kind) in fields.items()}


def _object(**kinds: Kind) -> Record:
    """An object that is JSON still: its fields by their own names."""
    return Record({name: Field(_keyed(name, _empty(kind)), kind) for name, kind in kinds.items()})


def _keyed(name: str, empty: object) -> Callable[[object], object]:
    def get(item: object) -> object:
        value = cast(Mapping[str, object], item).get(name)
        return empty if value is None else value

    return get


def _raw(name: str, record: Record) -> Field:
    """A field that is JSON made before. It is read each time it is asked for, which is seldom."""
    read = attrgetter(name)

    def get(item: object) -> object:
        value = read(item)
        return msgspec.json.decode(value) if isinstance(value, Raw) else _NOTHING

    def steps(item: object) -> int:
        value = read(item)
        return memoryview(value).nbytes if isinstance(value, Raw) else 0

    return Field(get, record, steps)


# -- what several have in common

_ADDRESS: Final = Record(_record(Address=("address", _TEXT), Port=("port", _INT)))
_WEIGHTS: Final = Record(_record(Passing=("passing", _INT), Warning=("warning", _INT)))
_CONNECT: Final = _object(Native=_FLAG)
_MODE: Final = _object(Mode=_TEXT)
_UPSTREAM: Final = _object(
    DestinationType=_TEXT, DestinationNamespace=_TEXT, DestinationPartition=_TEXT, DestinationPeer=_TEXT, DestinationName=_TEXT,
    Datacenter=_TEXT, LocalBindAddress=_TEXT, LocalBindPort=_INT, LocalBindSocketPath=_TEXT, LocalBindSocketMode=_TEXT, MeshGateway=_MODE,
)  # fmt: skip
_EXPOSED: Final = _object(ListenerPort=_INT, Path=_TEXT, LocalPathPort=_INT, Protocol=_TEXT, ParsedFromCheck=_FLAG)
_PROXY: Final = _object(
    EnvoyExtensions=ListOf(_object(Name=_TEXT, Required=_FLAG, ConsulVersion=_TEXT, EnvoyVersion=_TEXT)),
    DestinationServiceName=_TEXT, DestinationServiceID=_TEXT, LocalServiceAddress=_TEXT, LocalServicePort=_INT,
    LocalServiceSocketPath=_TEXT, Mode=_TEXT, Upstreams=ListOf(_UPSTREAM), MeshGateway=_MODE,
    Expose=_object(Checks=_FLAG, Paths=ListOf(_EXPOSED)), TransparentProxy=_object(OutboundListenerPort=_INT, DialedDirectly=_FLAG),
    AccessLogs=_object(Enabled=_FLAG, DisableListenerLogs=_FLAG, Type=_TEXT, Path=_TEXT, JSONFormat=_TEXT, TextFormat=_TEXT),
)  # fmt: skip

# -- the answers

_NODE: Final = Record({
    **_record(
        ID=("id", _TEXT), Node=("node", _TEXT), Address=("address", _TEXT), Datacenter=("datacenter", _TEXT),
        TaggedAddresses=("tagged_addresses", _META), Meta=("meta", _META),
    ),
    "Partition": _always("", _TEXT), "PeerName": _always("", _TEXT),
})  # fmt: skip
_OF_SERVICE: Final = {
    **_record(
        Kind=("kind", _TEXT), ID=("id", _TEXT), Service=("service", _TEXT), Tags=("tags", _TEXTS), Address=("address", _TEXT),
        TaggedAddresses=("tagged_addresses", MapOf(_ADDRESS)), Meta=("meta", _META), Port=("port", _INT), Weights=("weights", _WEIGHTS),
        EnableTagOverride=("enable_tag_override", _FLAG), SocketPath=("socket_path", _TEXT),
    ),
    "Proxy": _raw("proxy", _PROXY), "Connect": _raw("connect", _CONNECT), "PeerName": _always("", _TEXT),
}  # fmt: skip
_SERVICE: Final = Record(_OF_SERVICE)
_CHECK: Final = Record({
    **_record(
        Node=("node", _TEXT), CheckID=("check_id", _TEXT), Name=("name", _TEXT), Status=("status", _TEXT), Notes=("notes", _TEXT),
        Output=("output", _TEXT), ServiceID=("service_id", _TEXT), ServiceName=("service_name", _TEXT),
        ServiceTags=("service_tags", _TEXTS), Type=("type", _TEXT),
        Interval=("interval", _TEXT), Timeout=("timeout", _TEXT), ExposedPort=("exposed_port", _INT),
    ),
    "PeerName": _always("", _TEXT),
})  # fmt: skip
_SERVICE_NODE: Final = Record({
    **_record(
        ID=("id", _TEXT), Node=("node", _TEXT), Address=("address", _TEXT), Datacenter=("datacenter", _TEXT),
        TaggedAddresses=("tagged_addresses", _META), NodeMeta=("node_meta", _META), ServiceKind=("service_kind", _TEXT),
        ServiceID=("service_id", _TEXT), ServiceName=("service_name", _TEXT), ServiceTags=("service_tags", _TEXTS),
        ServiceAddress=("service_address", _TEXT), ServiceTaggedAddresses=("service_tagged_addresses", MapOf(_ADDRESS)),
        ServiceWeights=("service_weights", _WEIGHTS), ServiceMeta=("service_meta", _META), ServicePort=("service_port", _INT),
        ServiceSocketPath=("service_socket_path", _TEXT), ServiceEnableTagOverride=("service_enable_tag_override", _FLAG),
    ),
    "ServiceProxy": _raw("service_proxy", _PROXY), "ServiceConnect": _raw("service_connect", _CONNECT), "PeerName": _always("", _TEXT),
})  # fmt: skip


def _address_bytes(item: object) -> object:
    """The address of a member, which Consul's filters see as a list of its bytes."""
    try:
        return tuple(ip_address(cast(json.Member, item).addr).packed)
    except ValueError:
        return ()


_MEMBER: Final = Record({
    **_record(
        Name=("name", _TEXT), Port=("port", Primitive.UINT16), Tags=("tags", _META), Status=("status", _INT),
        ProtocolMin=("protocol_min", _BYTE), ProtocolMax=("protocol_max", _BYTE), ProtocolCur=("protocol_cur", _BYTE),
        DelegateMin=("delegate_min", _BYTE), DelegateMax=("delegate_max", _BYTE), DelegateCur=("delegate_cur", _BYTE),
    ),
    "Addr": Field(_address_bytes, ListOf(_BYTE)),
})  # fmt: skip

_INSTANCE: Final = Record({
    "Node": Field(attrgetter("node"), _NODE), "Service": Field(attrgetter("service"), _SERVICE),
    "Checks": Field(attrgetter("checks"), ListOf(_CHECK)),
})  # fmt: skip

NODES: Final[Root[json.Node]] = Root(_NODE)
"""`catalog/nodes`."""
SERVICE_NODES: Final[Root[json.ServiceNode]] = Root(_SERVICE_NODE)
"""`catalog/service`, `catalog/connect`, and the instances behind `catalog/services`."""
SERVICES: Final[Root[json.Service]] = Root(_SERVICE)
"""The services of `catalog/node` and `catalog/node-services`."""
INSTANCES: Final[Root[Shown]] = Root(_INSTANCE)
"""`health/service`, `health/connect`, `health/ingress`."""
CHECKS: Final[Root[json.Check]] = Root(_CHECK)
"""`health/checks`, `health/node`, `health/state`, `agent/checks`."""
AGENT_SERVICES: Final[Root[json.AgentService]] = Root(_SERVICE)
"""`agent/services`."""
MEMBERS: Final[Root[json.Member]] = Root(_MEMBER)
"""`agent/members`."""

"""What a service says about how it is reached: its named ports, its kind, where it stands. The rules for each raise `InvalidError`.

The values are parts of an instance and live as long as its row.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from callboard.model import names
from callboard.model.errors import InvalidError

PORTS_MAX_COUNT: Final = 64
SOCKET_PATH_MAX_CHARS: Final = 4096
PROXY_MAX_CHARS: Final = 65_536
"""Of the canonical text of a proxy: room for hundreds of upstreams, and one row of any store takes it."""


class Kind(StrEnum):
    """What an instance is besides an ordinary service."""

    TYPICAL = ""
    CONNECT_PROXY = "connect-proxy"
    MESH_GATEWAY = "mesh-gateway"
    TERMINATING_GATEWAY = "terminating-gateway"
    INGRESS_GATEWAY = "ingress-gateway"
    API_GATEWAY = "api-gateway"


KINDS: Final = frozenset(kind.value for kind in Kind)
GATEWAYS: Final = KINDS - {Kind.TYPICAL, Kind.CONNECT_PROXY}


class NamedPort(Struct, frozen=True, gc=False, omit_defaults=True):
    """One of several ports of an instance. The default one is that of a caller who names none."""

    name: str
    port: int
    default: bool = False


class Locality(Struct, frozen=True, gc=False, omit_defaults=True):
    """Where an instance stands: a region, and a zone in it. Both empty when nothing was said."""

    region: str = ""
    zone: str = ""


NOWHERE: Final = Locality()


def ports(values: tuple[NamedPort, ...]) -> int:
    """The default one of named ports, 0 without any. Their names differ, and exactly one of them is the default."""
    if len(values) > PORTS_MAX_COUNT:
        raise InvalidError("ports", f"must have at most {PORTS_MAX_COUNT} entries, has {len(values)}")
    seen: set[str] = set()
    defaults: list[int] = []
    for each in values:
        if not each.name.strip():
            raise InvalidError("ports", "every port needs a name")
        names.name("port name", each.name)
        if not 1 <= each.port <= 65535:
            raise InvalidError("ports", f"{each.name!r} must be between 1 and 65535, is {each.port}")
        if each.name in seen:
            raise InvalidError("ports", f"the name {each.name!r} is given twice")
        seen.add(each.name)
        if each.default:
            defaults.append(each.port)
    if values and len(defaults) != 1:
        raise InvalidError("ports", f"exactly one must be the default, {len(defaults)} are")
    return defaults[0] if defaults else 0


def kind(value: str) -> str:
    """One of the kinds there are."""
    if value not in KINDS:
        raise InvalidError("kind", f"{value[:100]!r} is not one of {', '.join(sorted(KINDS - {''}))}, or nothing")
    return value


def locality(value: Locality) -> Locality:
    """A zone is one of a region."""
    names.text("locality", value.region, names.NAME_MAX_CHARS)
    names.text("locality", value.zone, names.NAME_MAX_CHARS)
    if value.zone and not value.region:
        raise InvalidError("locality", "zone cannot be set without region")
    return value

"""What a name below our domain asks for. Pure: labels in, a lookup out; a lookup lives for one rendering.

Names are read from the right: domain, then a data centre or a kind (`service`, `node`, `addr`), then what is asked for.
"""

from typing import Final, NamedTuple

from msgspec import Struct

KINDS: Final = frozenset({b"service", b"node", b"addr"})
NAME_SERVER: Final = b"ns"
"""Label right below the domain under which the servers are found."""
_TRANSPORTS: Final = frozenset({"tcp", "udp"})
"""RFC 2782 wants one of these in a name; here they select nothing."""
_PACKED_DIGITS: Final = frozenset({8, 32})
_HEX_DIGITS: Final = frozenset("0123456789abcdef")


class Place(NamedTuple):
    """Where we stand: labels in lower case."""

    domain: tuple[bytes, ...]
    datacenter: bytes
    servers: str
    """The service that stands for the servers themselves."""


class Apex(Struct, frozen=True, gc=False):
    """The domain itself."""


class Outside(Struct, frozen=True, gc=False):
    """A name of somebody else's."""


class Hollow(Struct, frozen=True, gc=False):
    """Names exist below it, nothing stands at it: no records of any type, yet no NXDOMAIN, which would deny those below (RFC 8020)."""


class Missing(Struct, frozen=True, gc=False):
    """No name of ours has this form."""


class ServiceLookup(Struct, frozen=True, gc=False):
    """The instances of a service, or those with a tag; both whatever their case."""

    service: str
    tag: str | None = None


class NodeLookup(Struct, frozen=True, gc=False):
    """The address of a node; its name in lower case."""

    node: str


class AddressLookup(Struct, frozen=True, gc=False):
    """A name that is an address: 4 or 16 bytes."""

    address: bytes


Lookup = Apex | Outside | Hollow | Missing | ServiceLookup | NodeLookup | AddressLookup


def lookup_of(labels: tuple[bytes, ...], place: Place) -> Lookup:
    """What `labels` (in lower case) ask for."""
    depth = len(labels) - len(place.domain)
    if depth < 0 or labels[depth:] != place.domain:
        return Outside()
    rest = labels[:depth]
    if not rest:
        return Apex()
    if rest == (NAME_SERVER,):
        return ServiceLookup(place.servers)
    if rest[-1] not in KINDS and rest[-1] == place.datacenter:
        rest = rest[:-1]
    try:
        return _below([label.decode() for label in rest])
    except UnicodeDecodeError:
        return Missing()


def _below(parts: list[str]) -> Lookup:
    if len(parts) < 2:
        return Missing() if parts and not _is_hollow(parts[0]) else Hollow()
    *asked, kind = parts
    if kind == "service":
        return _service(asked)
    if kind == "node":
        return NodeLookup(".".join(asked).lower())
    if kind == "addr":
        return _address(asked)
    return _rfc2782(*parts) or Missing() if len(parts) == 2 else Missing()


def _is_hollow(part: str) -> bool:
    return part.encode() in KINDS or part.startswith("_")


def _service(parts: list[str]) -> ServiceLookup:
    """`[tag.]service`, where a tag may have dots, or `_service._tag`."""
    if len(parts) == 2 and (lookup := _rfc2782(*parts)) is not None:
        return lookup
    return ServiceLookup(parts[-1], ".".join(parts[:-1]) or None)


def _rfc2782(service: str, tag: str) -> ServiceLookup | None:
    """`_service._tag` or `_service._tcp`; None for another form."""
    if not service.startswith("_") or not tag.startswith("_"):
        return None
    return ServiceLookup(service[1:], None if tag[1:] in _TRANSPORTS else tag[1:])


def _address(parts: list[str]) -> Lookup:
    """The address in hexadecimal digits, 8 or 32 of them."""
    if len(parts) != 1 or len(parts[0]) not in _PACKED_DIGITS or not _HEX_DIGITS.issuperset(parts[0]):
        return Missing()
    return AddressLookup(bytes.fromhex(parts[0]))

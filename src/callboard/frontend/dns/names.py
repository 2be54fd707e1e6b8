"""What a name below our domain asks for. Pure: labels in, a lookup out; a lookup lives for one rendering.

Names are read from the right: domain, then a data centre or a kind (`service`, `node`, `addr`, `connect`), then what is asked for. The
names of addresses in `arpa` are nobody's domain: they are read the same way whatever ours is.
"""

from typing import Final, NamedTuple

from msgspec import Struct

KINDS: Final = frozenset({b"service", b"node", b"addr", b"connect"})
NAME_SERVER: Final = b"ns"
"""Label right below the domain under which the servers are found."""
_PORT: Final = b"port"
_PAIRS: Final = frozenset({b"dc", _PORT})
"""Labels that may follow the name of a data centre, or of a port, to say that it is one."""
_HOLLOW_SUFFIXES: Final = frozenset((label,) for label in _PAIRS)
_REVERSE_V4: Final = (b"in-addr", b"arpa")
_REVERSE_V6: Final = (b"ip6", b"arpa")
_TRANSPORTS: Final = frozenset({"tcp", "udp"})
"""RFC 2782 wants one of these in a name; here they select nothing."""
_PACKED_DIGITS: Final = frozenset({8, 32})
_HEX_DIGITS: Final = frozenset("0123456789abcdef")
_HEX_DIGITS_WIRE: Final = frozenset(digit.encode() for digit in _HEX_DIGITS)


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
    port: str = ""
    """The name of a port: only instances that have one of this name, and SRV tells that one."""


class ConnectLookup(Struct, frozen=True, gc=False):
    """What speaks for a service in the mesh: its proxies, and its instances that need none."""

    service: str


class NodeLookup(Struct, frozen=True, gc=False):
    """The address of a node; its name in lower case."""

    node: str


class AddressLookup(Struct, frozen=True, gc=False):
    """A name that is an address: 4 or 16 bytes."""

    address: bytes


class ReverseLookup(Struct, frozen=True, gc=False):
    """The names of an address: 4 or 16 bytes."""

    address: bytes


Lookup = Apex | Outside | Hollow | Missing | ServiceLookup | ConnectLookup | NodeLookup | AddressLookup | ReverseLookup


def lookup_of(labels: tuple[bytes, ...], place: Place) -> Lookup:
    """What `labels` (in lower case) ask for."""
    depth = len(labels) - len(place.domain)
    if depth < 0 or labels[depth:] != place.domain:
        return _reverse(labels)
    rest = labels[:depth]
    if not rest:
        return Apex()
    if rest == (NAME_SERVER,):
        return ServiceLookup(place.servers)
    if rest in _HOLLOW_SUFFIXES:
        return Hollow()
    suffixes = _suffixes(rest, place.datacenter)
    if suffixes is None:
        return Missing()
    try:
        return _below([label.decode() for label in suffixes.rest], suffixes.port.decode())
    except UnicodeDecodeError:
        return Missing()


class _Suffixes(NamedTuple):
    """What is left of a name without its suffixes, and the port that one of them named."""

    rest: tuple[bytes, ...]
    port: bytes = b""


def _suffixes(rest: tuple[bytes, ...], datacenter: bytes) -> _Suffixes | None:
    """Take `datacenter`, or `datacenter.dc` and `name.port` in any order, from the end. None when the data centre is another."""
    port = b""
    seen: set[bytes] = set()
    while len(rest) > 1 and rest[-1] in _PAIRS and rest[-1] not in seen:
        seen.add(rest[-1])
        if rest[-1] == _PORT:
            port = rest[-2]
        elif rest[-2] != datacenter:
            return None
        rest = rest[:-2]
    if not seen and rest[-1] not in KINDS and rest[-1] == datacenter:
        rest = rest[:-1]
    return _Suffixes(rest, port)


def _reverse(labels: tuple[bytes, ...]) -> ReverseLookup | Outside:
    """The address that a whole name in `in-addr.arpa` or `ip6.arpa` is of (RFC 1035 section 3.5, RFC 3596 section 2.5)."""
    if labels[4:] == _REVERSE_V4 and all(_is_octet(label) for label in labels[:4]):
        return ReverseLookup(bytes(int(label) for label in labels[3::-1]))
    if labels[32:] == _REVERSE_V6 and all(len(label) == 1 and label in _HEX_DIGITS_WIRE for label in labels[:32]):
        return ReverseLookup(bytes.fromhex(b"".join(labels[31::-1]).decode()))
    return Outside()


def _is_octet(label: bytes) -> bool:
    return len(label) <= 3 and label.isdigit() and int(label) < 256 and (label[:1] != b"0" or label == b"0")


def _below(parts: list[str], port: str) -> Lookup:
    if len(parts) < 2:
        return Missing() if parts and not _is_hollow(parts[0]) else Hollow()
    *asked, kind = parts
    if kind == "service":
        return _service(asked, port)
    if port:
        return Missing()
    if kind == "connect":
        return ConnectLookup(asked[-1])
    if kind == "node":
        return NodeLookup(".".join(asked).lower())
    if kind == "addr":
        return _address(asked)
    return _rfc2782(*parts) or Missing() if len(parts) == 2 else Missing()


def _is_hollow(part: str) -> bool:
    return part.encode() in KINDS or part.startswith("_")


def _service(parts: list[str], port: str) -> ServiceLookup:
    """`[tag.]service`, where a tag may have dots, `port.port.service`, or `_service._tag`."""
    if len(parts) == 2 and (lookup := _rfc2782(parts[0], parts[1], port)) is not None:
        return lookup
    if len(parts) == 3 and parts[1] == _PORT.decode():
        return ServiceLookup(parts[2], port=parts[0])
    return ServiceLookup(parts[-1], ".".join(parts[:-1]) or None, port)


def _rfc2782(service: str, tag: str, port: str = "") -> ServiceLookup | None:
    """`_service._tag` or `_service._tcp`; None for another form."""
    if not service.startswith("_") or not tag.startswith("_"):
        return None
    return ServiceLookup(service[1:], None if tag[1:] in _TRANSPORTS else tag[1:], port)


def _address(parts: list[str]) -> Lookup:
    """The address in hexadecimal digits, 8 or 32 of them."""
    if len(parts) != 1 or len(parts[0]) not in _PACKED_DIGITS or not _HEX_DIGITS.issuperset(parts[0]):
        return Missing()
    return AddressLookup(bytes.fromhex(parts[0]))

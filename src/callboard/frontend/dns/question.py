"""A question on its way to an answer, and what answers are made of. Pure: no clock, no chance but the number handed in, no socket.

A `Response` holds finished records, which stand at any place of a message, and lives as long as the cache keeps it.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from callboard.core.catalog.view import View
from callboard.frontend.dns.addresses import AddressIndex
from callboard.frontend.dns.names import NAME_SERVER, Place
from callboard.frontend.dns.selections import Selections
from callboard.model.topics import Topic
from callboard.wire.dns import Query, Rcode
from callboard.wire.dns_names import Compression, encode_labels, encode_name, split_name
from callboard.wire.dns_records import Authority, soa_record

_EVERY: Final = "*"


class Rules(Struct, frozen=True):
    """How answers are made; `DnsSettings` explains each field."""

    service_ttl_s: int
    service_ttls: Mapping[str, int]
    node_ttl_s: int
    negative_ttl_s: int
    soa_refresh_s: int
    soa_retry_s: int
    soa_expire_s: int
    only_passing: bool
    empty_is_nxdomain: bool
    additional_meta_txt: bool
    records_max_count: int
    address_records_max_count: int
    srv_weight_scale: int

    def ttl_s(self, service: str) -> int:
        """Time to live of a service's records: that of its name, else of the longest `prefix*` it starts with, else the common one."""
        name, found, length = service.lower(), self.service_ttl_s, -1
        for pattern, ttl_s in self.service_ttls.items():
            wanted = pattern.lower()
            if wanted == name:
                return ttl_s
            if wanted.endswith(_EVERY) and name.startswith(wanted[:-1]) and len(wanted) > length:
                found, length = ttl_s, len(wanted)
        return found


class Zone:
    """Our part of the name space, with the names in wire form that every answer needs."""

    __slots__ = ("addresses", "mailbox", "name", "nodes", "place", "server", "services")

    def __init__(self, domain: str, datacenter: str, servers: str) -> None:
        """Raises `InvalidError` when the domain or the name of the data centre cannot be part of a name."""
        self.name = encode_name(domain).lower()
        """The domain itself."""
        labels = split_name(self.name)
        self.place = Place(labels, datacenter.lower().encode(), servers)
        self.addresses = encode_labels((b"addr", self.place.datacenter, *labels))
        """What the names of addresses end with."""
        self.nodes = (b"node", self.place.datacenter, *labels)
        self.services = (b"service", self.place.datacenter, *labels)
        self.server = encode_labels((NAME_SERVER, *labels))
        self.mailbox = encode_labels((b"hostmaster", *labels))


class Zones(NamedTuple):
    """The zone of our own domain, and that of the alternative one, if any: the same names, told under the domain that was asked for."""

    main: Zone
    alternative: Zone | None = None

    def of(self, labels: tuple[bytes, ...]) -> Zone:
        """The zone these labels are in, the smaller of two; the main one for names of neither."""
        best = self.main
        if (other := self.alternative) is not None:
            depth, ours = len(other.place.domain), len(best.place.domain)
            inside = labels[-depth:] == other.place.domain
            if inside and (depth > ours or labels[-ours:] != best.place.domain):
                return other
        return best


class Entry(NamedTuple):
    """One answer record, and the additional records that save its reader the next question."""

    record: bytes
    extras: tuple[bytes, ...] = ()


class Response(NamedTuple):
    """An answer without a head. Entries may be sent in any order, and fewer of them."""

    rcode: Rcode
    entries: tuple[Entry, ...] = ()
    authority: bytes = b""
    """The SOA record of a negative answer."""
    topics: tuple[Topic, ...] | None = None
    """What the answer depends on; None when it is not to be kept."""
    partial: bool = False
    """Whether there is more than one answer may have: another rendering gives another part."""
    told_max_count: int = 0
    """How many entries are told at once; 0 for all."""
    lead: tuple[bytes, ...] = ()
    """CNAME records on the way to the entries, which come first in every answer."""
    elsewhere: bytes = b""
    """The name that somebody else must be asked for, where there is somebody: the question's own, or what the last CNAME leads to."""


class Sight(NamedTuple):
    """What is asked: the view as it is now, and the indexes of its addresses, tags and ports."""

    view: View
    addresses: AddressIndex
    selections: Selections


class Question:
    """A question on its way to an answer: what it is asked of, the names it saves, and a number of chance in [0, 1)."""

    __slots__ = ("chance", "compression", "kind", "owner", "rules", "sight", "view", "zone")

    def __init__(self, query: Query, sight: Sight, zone: Zone, rules: Rules, chance: float) -> None:
        self.kind = query.kind
        self.sight = sight
        self.view = sight.view
        self.zone = zone
        self.rules = rules
        self.chance = chance
        self.compression = Compression(query.name)
        self.owner = self.compression.shorten(query.name)

    def negative(self, rcode: Rcode, *topics: Topic, kept: bool = True) -> Response:
        """No such name, or no such records of this name; the SOA says for how long that may be believed."""
        return Response(rcode, (), self.soa(), topics if kept else None)

    def soa(self) -> bytes:
        """The zone's SOA record. The revision of the catalog is its serial number."""
        zone, shorten, rules = self.zone, self.compression.shorten, self.rules
        serial = self.view.revision & 0xFFFF_FFFF
        authority = Authority(serial, rules.soa_refresh_s, rules.soa_retry_s, rules.soa_expire_s, rules.negative_ttl_s)
        return soa_record(shorten(zone.name), shorten(zone.server), shorten(zone.mailbox), rules.negative_ttl_s, authority)

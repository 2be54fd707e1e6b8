"""What DNS says to a question, from the view alone. Pure: no clock, no chance but the number handed in, no socket.

A `Response` holds finished records, which stand at any place of a message, and lives as long as the cache keeps it.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

from msgspec import Struct

from callboard.core.catalog.queries import Found, find
from callboard.core.catalog.view import View
from callboard.frontend.dns.names import (
    NAME_SERVER,
    AddressLookup,
    Apex,
    Hollow,
    Lookup,
    Missing,
    NodeLookup,
    Outside,
    Place,
    ServiceLookup,
    lookup_of,
)  # fmt: skip
from callboard.model.check import Status
from callboard.model.errors import InvalidError
from callboard.model.instance import Phase, Placed
from callboard.model.names import PUBLIC
from callboard.model.topics import Topic, node_topic, service_topic
from callboard.wire.dns import Query, Rcode
from callboard.wire.dns_names import Compression, encode_labels, encode_name, split_name
from callboard.wire.dns_records import (
    ANY_CLASS,
    IN,
    Authority,
    Type,
    address_record,
    packed_address,
    record,
    soa_record,
    srv_record,
)  # fmt: skip

REFRESH_S: Final = 3600
RETRY_S: Final = 600
EXPIRE_S: Final = 86_400
"""What Consul's SOA says; only secondary servers would use them, and there are none."""
PRIORITY: Final = 1
_CLASSES: Final = frozenset({IN, ANY_CLASS})
_LENGTHS: Final[dict[int, frozenset[int]]] = {Type.A: frozenset({4}), Type.AAAA: frozenset({16}), Type.ANY: frozenset({4, 16})}
_UP: Final = frozenset({Status.PASSING, Status.WARNING})
_PASSING: Final = frozenset({Status.PASSING})


class Rules(Struct, frozen=True):
    """How answers are made; `DnsSettings` explains each field."""

    service_ttl_s: int
    node_ttl_s: int
    negative_ttl_s: int
    only_passing: bool
    empty_is_nxdomain: bool
    records_max_count: int


class Zone:
    """Our part of the name space, with the names in wire form that every answer needs."""

    __slots__ = ("addresses", "mailbox", "name", "nodes", "place", "server")

    def __init__(self, domain: str, datacenter: str, servers: str) -> None:
        """Raises `InvalidError` when the domain or the name of the data centre cannot be part of a name."""
        self.name = encode_name(domain).lower()
        """The domain itself."""
        labels = split_name(self.name)
        self.place = Place(labels, datacenter.lower().encode(), servers)
        self.addresses = encode_labels((b"addr", self.place.datacenter, *labels))
        """What the names of addresses end with."""
        self.nodes = (b"node", self.place.datacenter, *labels)
        self.server = encode_labels((NAME_SERVER, *labels))
        self.mailbox = encode_labels((b"hostmaster", *labels))


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


class Question:
    """A question on its way to an answer: the view it is asked of, the names it saves, and a number of chance in [0, 1)."""

    __slots__ = ("chance", "compression", "kind", "owner", "rules", "view", "zone")

    def __init__(self, query: Query, view: View, zone: Zone, rules: Rules, chance: float) -> None:
        self.kind = query.kind
        self.view = view
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
        zone, shorten, ttl_s = self.zone, self.compression.shorten, self.rules.negative_ttl_s
        authority = Authority(self.view.revision & 0xFFFF_FFFF, REFRESH_S, RETRY_S, EXPIRE_S, ttl_s)
        return soa_record(shorten(zone.name), shorten(zone.server), shorten(zone.mailbox), ttl_s, authority)


def respond(query: Query, view: View, zone: Zone, rules: Rules, chance: float) -> Response:
    """The answer to any query that could be read."""
    if query.category not in _CLASSES:
        return Response(Rcode.REFUSED)
    if query.kind == Type.OPT or Type.TKEY <= query.kind <= Type.MAILA:
        return Response(Rcode.NOTIMP)
    question = Question(query, view, zone, rules, chance)
    return _answer(question, lookup_of(split_name(query.name), zone.place))


def _answer(question: Question, lookup: Lookup) -> Response:
    match lookup:
        case ServiceLookup():
            return _service(question, lookup)
        case NodeLookup():
            return _node(question, lookup)
        case AddressLookup():
            entries = _address_entries(question, [lookup.address], question.rules.node_ttl_s)
            return Response(Rcode.NOERROR, entries, topics=()) if entries else question.negative(Rcode.NOERROR)
        case Apex():
            return _apex(question)
        case Hollow():
            return question.negative(Rcode.NOERROR)
        case Missing():
            return question.negative(Rcode.NXDOMAIN, kept=False)
        case Outside():
            return Response(Rcode.REFUSED)


# -- services


def _service(question: Question, lookup: ServiceLookup) -> Response:
    topic = service_topic(PUBLIC, lookup.service)
    members = question.view.of_service(PUBLIC, lookup.service)
    if not members:
        # `_tcp.service.consul` is asked for by resolvers on their way to `_web._tcp.service.consul` (RFC 9156)
        return question.negative(Rcode.NOERROR if lookup.service.startswith("_") else Rcode.NXDOMAIN, topic)
    tagged = [placed for placed in members.values() if _has_tag(placed, lookup.tag)] if lookup.tag is not None else members.values()
    if not tagged:
        return question.negative(Rcode.NXDOMAIN, topic)
    limit = question.rules.records_max_count
    found = list(islice(_serving(question, tagged, len(tagged)), limit + 1))
    if not found:
        return question.negative(Rcode.NXDOMAIN if question.rules.empty_is_nxdomain else Rcode.NOERROR, topic)
    if question.kind == Type.SRV:
        entries = _srv_entries(question, found[:limit])
    else:
        entries = _address_entries(question, _addresses(found[:limit]), question.rules.service_ttl_s)
    if not entries:
        return question.negative(Rcode.NOERROR, topic)
    return Response(Rcode.NOERROR, entries, topics=(topic,), partial=len(found) > limit)


def _has_tag(placed: Placed, tag: str) -> bool:
    return any(own.lower() == tag for own in placed.instance.tags)


def _serving(question: Question, members: Iterable[Placed], count: int) -> Iterator[Found]:
    """Who may be called, from a random place on, so that a large service is told in changing parts."""
    statuses = _PASSING if question.rules.only_passing else _UP
    start = int(question.chance * count)
    for placed in chain(islice(members, start, None), islice(members, start)):
        found = find(question.view, placed)
        if found.instance.phase is Phase.SERVING and found.status in statuses:
            yield found


def _addresses(found: Iterable[Found]) -> Iterator[bytes]:
    """The packed addresses; a host name has none."""
    for one in found:
        if (address := packed_address(one.address)) is not None:
            yield address


def _address_entries(question: Question, addresses: Iterable[bytes], ttl_s: int) -> tuple[Entry, ...]:
    """Records for the addresses of the type that is asked for, each once."""
    lengths = _LENGTHS.get(question.kind, frozenset())
    return tuple(
        Entry(address_record(question.owner, ttl_s, address)) for address in dict.fromkeys(addresses) if len(address) in lengths
    )  # fmt: skip


def _srv_entries(question: Question, found: Iterable[Found]) -> tuple[Entry, ...]:
    """One record for each target and port."""
    ttl_s, shorten = question.rules.service_ttl_s, question.compression.shorten
    entries: dict[tuple[bytes, int], Entry] = {}
    for one in found:
        address = packed_address(one.address)
        target = _target(question.zone, one, address)
        if target is None or (target, one.instance.port) in entries:
            continue
        weights = one.instance.weights
        srv = srv_record(
            question.owner, ttl_s, priority=PRIORITY, port=one.instance.port, target=target,
            weight=weights.passing if one.status is Status.PASSING else weights.warning,
        )  # fmt: skip
        extras = (address_record(shorten(target), ttl_s, address),) if address is not None else ()
        entries[target, one.instance.port] = Entry(srv, extras)
    return tuple(entries.values())


def _target(zone: Zone, found: Found, address: bytes | None) -> bytes | None:
    """The host an SRV record names: the address as a name, the node when the address is the node's, a host name as it is.

    None when an instance has a host name that cannot be one in DNS.
    """
    try:
        if address is None:
            return encode_name(found.address)
        if not found.instance.address:
            return encode_labels((*found.node.name.encode().split(b"."), *zone.nodes))
    except InvalidError:
        if address is None:
            return None
    return b"%c%b%b" % (2 * len(address), address.hex().encode(), zone.addresses)


# -- nodes, and the domain itself


def _node(question: Question, lookup: NodeLookup) -> Response:
    """The address of a node, whatever its health: who asks for a node wants that one."""
    topic = node_topic(lookup.node)
    node = question.view.nodes.get(lookup.node)
    if node is None:
        return question.negative(Rcode.NXDOMAIN, topic)
    address = packed_address(node.address)
    entries = _address_entries(question, [address], question.rules.node_ttl_s) if address is not None else ()
    return Response(Rcode.NOERROR, entries, topics=(topic,)) if entries else question.negative(Rcode.NOERROR, topic)


def _apex(question: Question) -> Response:
    """SOA and NS. Not kept: the serial number changes with every revision."""
    entries = []
    if question.kind in {Type.SOA, Type.ANY}:
        entries.append(Entry(question.soa()))
    if question.kind in {Type.NS, Type.ANY}:
        entries.append(_ns_entry(question))
    return Response(Rcode.NOERROR, tuple(entries)) if entries else question.negative(Rcode.NOERROR, kept=False)


def _ns_entry(question: Question) -> Entry:
    zone, ttl_s, shorten = question.zone, question.rules.node_ttl_s, question.compression.shorten
    members = question.view.of_service(PUBLIC, zone.place.servers).values()
    server = shorten(zone.server)
    glue = dict.fromkeys(_addresses(_serving(question, members, len(members))))
    return Entry(record(question.owner, Type.NS, ttl_s, server), tuple(address_record(server, ttl_s, address) for address in glue))

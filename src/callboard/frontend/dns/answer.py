"""What DNS says to a question, from the view alone. Pure: no clock, no chance but the number handed in, no socket."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from callboard.frontend.dns.addresses import address_topic
from callboard.frontend.dns.names import (
    AddressLookup,
    Apex,
    ConnectLookup,
    Hollow,
    Lookup,
    Missing,
    NodeLookup,
    Outside,
    ReverseLookup,
    ServiceLookup,
    lookup_of,
)
from callboard.frontend.dns.question import Entry, Question, Response, Rules, Sight, Zone, Zones
from callboard.frontend.dns.services import (
    ALIASED,
    address_entries,
    addresses,
    alias_answer,
    answer_of,
    notes,
    service_answer,
    serving,
    text_records,
)
from callboard.model.errors import InvalidError
from callboard.model.names import PUBLIC
from callboard.model.topics import connect_topic, node_topic
from callboard.wire.dns import Query, Rcode
from callboard.wire.dns_names import encode_labels, split_name
from callboard.wire.dns_records import ANY_CLASS, IN, Type, address_record, packed_address, record

_CLASSES: Final = frozenset({IN, ANY_CLASS})
_ADDRESSES: Final = frozenset({Type.A, Type.AAAA})
"""Types for which a CNAME is followed on the client's behalf."""
CHASE_MAX_COUNT: Final = 3
"""CNAMEs followed one after the other: host names that lead to names of ours, which lead to host names."""


def respond(query: Query, sight: Sight, zones: Zones, rules: Rules, chance: float) -> Response:
    """The answer to any query that could be read."""
    if query.category not in _CLASSES:
        return Response(Rcode.REFUSED)
    if query.kind == Type.OPT or Type.TKEY <= query.kind <= Type.MAILA:
        return Response(Rcode.NOTIMP)
    labels = split_name(query.name)
    zone = zones.of(labels)
    question = Question(query, sight, zone, rules, chance)
    lookup = lookup_of(labels, zone.place)
    if isinstance(lookup, Outside):
        return Response(Rcode.REFUSED, elsewhere=query.name if query.category == IN else b"")
    if isinstance(lookup, ReverseLookup):
        return _reverse(question, lookup.address, query.name)
    return _followed(question, _answer(question, lookup), zones)


def is_outside(query: Query, zones: Zones) -> bool:
    """Whether a name is neither in one of our zones nor that of an address: the catalog is not needed to tell."""
    labels = split_name(query.name)
    return query.category == IN and isinstance(lookup_of(labels, zones.of(labels).place), Outside)


def _answer(question: Question, lookup: Lookup) -> Response:
    match lookup:
        case ServiceLookup():
            return service_answer(question, lookup)
        case ConnectLookup():
            members = question.view.of_connect(PUBLIC, lookup.service).values()
            return answer_of(question, members, lookup.service, "", (connect_topic(PUBLIC, lookup.service),))
        case NodeLookup():
            return _node(question, lookup)
        case AddressLookup():
            entries = address_entries(question, [lookup.address], question.rules.node_ttl_s)
            return Response(Rcode.NOERROR, entries, topics=()) if entries else question.negative(Rcode.NOERROR)
        case Apex():
            return _apex(question)
        case Hollow():
            return question.negative(Rcode.NOERROR)
        case Missing() | Outside() | ReverseLookup():
            return question.negative(Rcode.NXDOMAIN, kept=False)


def _followed(question: Question, response: Response, zones: Zones) -> Response:
    """A CNAME that leads to a name of ours, with what that has. The owners of further records are the names on the way."""
    lead: tuple[bytes, ...] = ()
    topics, partial = response.topics, response.partial
    while response.elsewhere and (found := _ours(response.elsewhere, zones)) is not None:
        if question.kind not in _ADDRESSES or len(lead) == CHASE_MAX_COUNT:
            response = response._replace(elsewhere=b"")
            break
        lookup, question.zone = found
        lead += tuple(entry.record for entry in response.entries)
        question.owner = question.compression.shorten(response.elsewhere)
        response = _answer(question, lookup)
        partial |= response.partial
        topics = None if topics is None or response.topics is None else tuple(dict.fromkeys((*topics, *response.topics)))
    return response._replace(lead=lead, topics=topics, partial=partial) if lead else response


def _ours(name: bytes, zones: Zones) -> tuple[Lookup, Zone] | None:
    """What a name in wire form asks for, and in which zone, if that is one of ours."""
    labels = split_name(name.lower())
    zone = zones.of(labels)
    lookup = lookup_of(labels, zone.place)
    return None if isinstance(lookup, Outside | ReverseLookup) else (lookup, zone)


# -- nodes and addresses


def _node(question: Question, lookup: NodeLookup) -> Response:
    """The address of a node, whatever its health, and what is noted about it: who asks for a node wants that one."""
    topic, ttl_s = node_topic(lookup.node), question.rules.node_ttl_s
    node = question.view.nodes.get(lookup.node)
    if node is None:
        return question.negative(Rcode.NXDOMAIN, topic)
    address = packed_address(node.address)
    if address is None and question.kind in ALIASED:
        return alias_answer(question, [node.address], ttl_s, (topic,))
    entries = address_entries(question, [address], ttl_s) if address is not None else ()
    if question.kind in _ADDRESSES:
        entries = tuple(entry._replace(extras=notes(question, node)) for entry in entries)
    if question.kind in {Type.TXT, Type.ANY}:
        entries += tuple(Entry(text) for text in text_records(node, question.owner, ttl_s))
    return Response(Rcode.NOERROR, entries, topics=(topic,)) if entries else question.negative(Rcode.NOERROR, topic)


def _reverse(question: Question, address: bytes, name: bytes) -> Response:
    """The nodes that have an address; else the services that have instances with it. An address of nobody here may be somebody else's."""
    names = list({name.lower(): name for name in _names_of(question, address)}.values())[: question.rules.records_max_count]
    topics = (address_topic(address),)
    if not names:
        return question.negative(Rcode.NXDOMAIN, *topics)._replace(elsewhere=name)
    if question.kind not in {Type.PTR, Type.ANY}:
        return Response(Rcode.NOERROR, topics=topics)
    ttl_s, shorten = question.rules.node_ttl_s, question.compression.shorten
    return Response(Rcode.NOERROR, tuple(Entry(record(question.owner, Type.PTR, ttl_s, shorten(one))) for one in names), topics=topics)


def _names_of(question: Question, address: bytes) -> Iterator[bytes]:
    view, index, zone = question.view, question.sight.addresses, question.zone
    nodes = (view.nodes.get(key) for key in index.nodes(view, address))
    labels = [(*node.name.encode().split(b"."), *zone.nodes) for node in nodes if node and packed_address(node.address) == address]
    if not labels:
        places = (view.placed(PUBLIC, *place) for place in index.instances(view, address))
        instances = (placed.instance for placed in places if placed is not None)
        labels = [(each.service.encode(), *zone.services) for each in instances if packed_address(each.address) == address]
    for each in labels:
        with suppress(InvalidError):  # a name that none can be in DNS
            yield encode_labels(each)


# -- the domain itself


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
    glue = dict.fromkeys(addresses(serving(question, members, len(members))))
    return Entry(record(question.owner, Type.NS, ttl_s, server), tuple(address_record(server, ttl_s, address) for address in glue))

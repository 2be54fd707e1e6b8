"""What DNS says of a service: the addresses, ports and weights of those of its instances that may be called. Pure."""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

from callboard.core.catalog.queries import Found, find
from callboard.frontend.dns.names import ServiceLookup
from callboard.frontend.dns.question import Entry, Question, Response, Zone
from callboard.frontend.dns.selections import Members
from callboard.model.check import Status
from callboard.model.errors import InvalidError
from callboard.model.instance import WEIGHT_MAX, Node, Phase, Placed
from callboard.model.names import PUBLIC
from callboard.model.topics import Topic, service_topic
from callboard.wire.dns import Rcode
from callboard.wire.dns_names import encode_labels, encode_name
from callboard.wire.dns_records import Type, address_record, attribute_text, packed_address, record, srv_record, txt_record

PRIORITY: Final = 1
LENGTHS: Final[dict[int, frozenset[int]]] = {Type.A: frozenset({4}), Type.AAAA: frozenset({16}), Type.ANY: frozenset({4, 16})}
"""Of packed addresses, by the type that is asked for."""
ALIASED: Final = frozenset({Type.A, Type.AAAA, Type.CNAME, Type.ANY})
"""Types that a name with nothing but a host name answers with a CNAME. Not SRV: that names the host itself."""
_UP: Final = frozenset({Status.PASSING, Status.WARNING})
_PASSING: Final = frozenset({Status.PASSING})


class Serving(NamedTuple):
    """The instances an answer is made of, at most as many as one may have, and which topics they come from."""

    found: list[Found]
    topics: tuple[Topic, ...]
    ttl_s: int
    port: str = ""
    """The named port that is asked for."""
    partial: bool = False


def service_answer(question: Question, lookup: ServiceLookup) -> Response:
    """The instances of a service, or those with a tag, or with a port of a name."""
    topic = service_topic(PUBLIC, lookup.service)
    members = question.view.of_service(PUBLIC, lookup.service)
    if not members:
        # `_tcp.service.consul` is asked for by resolvers on their way to `_web._tcp.service.consul` (RFC 9156)
        return question.negative(Rcode.NOERROR if lookup.service.startswith("_") else Rcode.NXDOMAIN, topic)
    return answer_of(question, _chosen(question, lookup, members), lookup.service, lookup.port, (topic,))


def _chosen(question: Question, lookup: ServiceLookup, members: Members) -> Collection[Placed]:
    selections = question.sight.selections
    if lookup.port:
        return selections.with_port(lookup.service, members, lookup.port)
    return selections.with_tag(lookup.service, members, lookup.tag) if lookup.tag is not None else members.values()


def answer_of(question: Question, members: Iterable[Placed], service: str, port: str, topics: tuple[Topic, ...]) -> Response:
    """Those of `members` that may be called, in the records that are asked for."""
    chosen = list(members)
    if not chosen:
        return question.negative(Rcode.NXDOMAIN, *topics)
    limit = question.rules.records_max_count
    found = list(islice(serving(question, chosen, len(chosen)), limit + 1))
    if not found:
        return question.negative(Rcode.NXDOMAIN if question.rules.empty_is_nxdomain else Rcode.NOERROR, *topics)
    told = Serving(found[:limit], topics, question.rules.ttl_s(service), port, partial=len(found) > limit)
    return _srv_answer(question, told) if question.kind == Type.SRV else _address_answer(question, told)


def serving(question: Question, members: Iterable[Placed], count: int) -> Iterator[Found]:
    """Who may be called, from a random place on, so that a large service is told in changing parts."""
    statuses = _PASSING if question.rules.only_passing else _UP
    start = int(question.chance * count)
    for placed in chain(islice(members, start, None), islice(members, start)):
        found = find(question.view, placed)
        if found.instance.phase is Phase.SERVING and found.status in statuses:
            yield found


# -- addresses


def _address_answer(question: Question, told: Serving) -> Response:
    """The addresses; a CNAME when nobody has one, for a name with a CNAME has no other records (RFC 1034 section 3.6.2)."""
    packed = list(addresses(told.found))
    entries = address_entries(question, packed, told.ttl_s)
    if entries:
        return Response(
            Rcode.NOERROR, entries, topics=told.topics, partial=told.partial, told_max_count=question.rules.address_records_max_count
        )  # fmt: skip
    if not packed and question.kind in ALIASED:
        hosts = list(dict.fromkeys(one.address for one in told.found))
        return alias_answer(question, hosts, told.ttl_s, told.topics)
    return question.negative(Rcode.NOERROR, *told.topics)


def addresses(found: Iterable[Found]) -> Iterator[bytes]:
    """The packed addresses; a host name has none."""
    for one in found:
        if (address := packed_address(one.address)) is not None:
            yield address


def address_entries(question: Question, packed: Iterable[bytes], ttl_s: int) -> tuple[Entry, ...]:
    """Records for the addresses of the type that is asked for, each once."""
    lengths = LENGTHS.get(question.kind, frozenset())
    return tuple(
        Entry(address_record(question.owner, ttl_s, address)) for address in dict.fromkeys(packed) if len(address) in lengths
    )  # fmt: skip


def alias_answer(question: Question, hosts: list[str], ttl_s: int, topics: tuple[Topic, ...]) -> Response:
    """A CNAME to one of the host names, for a name can have but one (RFC 2181 section 10.1); another rendering gives another."""
    names = [name for host in hosts if (name := host_name(host)) is not None]
    if not names:
        return question.negative(Rcode.NOERROR, *topics)
    target = names[int(question.chance * len(names))]
    cname = record(question.owner, Type.CNAME, ttl_s, question.compression.shorten(target))
    return Response(Rcode.NOERROR, (Entry(cname),), topics=topics, partial=len(names) > 1, elsewhere=target)


def host_name(host: str) -> bytes | None:
    """A host name in wire form; None when it cannot be one in DNS."""
    try:
        return encode_name(host)
    except InvalidError:
        return None


# -- SRV


def _srv_answer(question: Question, told: Serving) -> Response:
    """One record for each target and port."""
    entries: dict[tuple[bytes, int], Entry] = {}
    for one in told.found:
        address = packed_address(one.address)
        target, port = _target(question.zone, one, address), _port(one, told.port) if told.port else one.instance.port
        if target is not None and (target, port) not in entries:
            entries[target, port] = _srv_entry(question, one, (target, port, address), told.ttl_s)
    if not entries:
        return question.negative(Rcode.NOERROR, *told.topics)
    return Response(Rcode.NOERROR, tuple(entries.values()), topics=told.topics, partial=told.partial)


def _srv_entry(question: Question, found: Found, place: tuple[bytes, int, bytes | None], ttl_s: int) -> Entry:
    target, port, address = place
    weights = found.instance.weights
    weight = weights.passing if weights.passing == weights.warning or found.status is Status.PASSING else weights.warning
    weight = min(weight * question.rules.srv_weight_scale, WEIGHT_MAX)
    srv = srv_record(question.owner, ttl_s, priority=PRIORITY, weight=weight, port=port, target=target)
    short = question.compression.shorten(target)
    extras: tuple[bytes, ...] = (address_record(short, ttl_s, address),) if address is not None else ()
    return Entry(srv, extras + notes(question, found.node) if question.rules.additional_meta_txt else extras)


def _port(found: Found, name: str) -> int:
    """The port of that name, or the one of a caller who names none."""
    return next((own.port for own in found.instance.ports if own.name.lower() == name), found.instance.port)


def _target(zone: Zone, found: Found, address: bytes | None) -> bytes | None:
    """The host an SRV record names: the address as a name, the node when the address is the node's, a host name as it is.

    None when an instance has a host name that cannot be one in DNS.
    """
    if address is None:
        return host_name(found.address)
    if not found.instance.address and (name := _node_name(zone, found.node)) is not None:
        return name
    return b"%c%b%b" % (2 * len(address), address.hex().encode(), zone.addresses)


def _node_name(zone: Zone, node: Node) -> bytes | None:
    """The name of a node in wire form; None when it cannot be one in DNS."""
    try:
        return encode_labels((*node.name.encode().split(b"."), *zone.nodes))
    except InvalidError:
        return None


def notes(question: Question, node: Node) -> tuple[bytes, ...]:
    """What is noted about a node, under its own name, for the additional section; nothing unless it is wanted there."""
    if not question.rules.additional_meta_txt or not node.meta or (name := _node_name(question.zone, node)) is None:
        return ()
    return tuple(text_records(node, question.compression.shorten(name), question.rules.node_ttl_s))


def text_records(node: Node, owner: bytes, ttl_s: int) -> Iterator[bytes]:
    """TXT records with what is noted about a node, one for each note."""
    for key in sorted(node.meta):
        yield txt_record(owner, ttl_s, attribute_text(key, node.meta[key]))

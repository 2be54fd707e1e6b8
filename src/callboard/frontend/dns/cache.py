"""Answers kept as bytes: what most queries get, without a look at the catalog. Pure but for the counters; driven by the listener.

Two ways to a kept answer. By the *exact* bytes of the query without its id, as stub resolvers send it again and again; and by *name*, for
resolvers whose queries never have the same bytes (cookies, random letter case): the question is always echoed from the query.
A kept answer lives until one of its topics changes, or newer ones push it out. Nothing is kept of what nobody asked twice but its records,
and nothing that others were asked for.
"""

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, Protocol

import msgspec

from callboard.core.catalog.changes import Changes
from callboard.core.catalog.view import View
from callboard.frontend.dns.addresses import AddressIndex
from callboard.frontend.dns.answer import is_outside, respond
from callboard.frontend.dns.kept import Kept, Key
from callboard.frontend.dns.question import Entry, Response, Rules, Sight, Zones
from callboard.frontend.dns.recursion import Recursion
from callboard.frontend.dns.selections import Selections
from callboard.frontend.dns.settings import DnsSettings, DnsStats
from callboard.model.errors import InvalidError
from callboard.model.topics import Topic
from callboard.net.messages import Later
from callboard.wire.dns import (
    HEAD,
    HEADER_BYTES,
    MESSAGE_MAX_BYTES,
    OPCODE,
    OPT_BYTES,
    RECURSION_AVAILABLE,
    RECURSION_DESIRED,
    TRUNCATED,
    UDP_PLAIN_BYTES,
    Edns,
    Query,
    Rcode,
    glance,
    is_answerable,
    parse_query,
    refusal,
)
from callboard.wire.dns_options import MARK, options_to_return
from callboard.wire.dns_records import Type, opt_record
from callboard.wire.dns_responses import Chain

_TOLD: Final = frozenset({*Type, *range(Type.TKEY, Type.ANY), 15, 35, 64, 65})
"""Types with an answer of their own: those with a meaning, and MX, NAPTR, SVCB and HTTPS, which are often asked for."""
_NONE: Final = 0
"""All other types, for they have one answer: made-up ones are not worth a rendering each."""
_LOOPBACK: Final = ("127.", "::ffff:127.")
"""How addresses of clients on this machine start."""


class Source(Protocol):
    """Where answers come from: the registry."""

    ready: bool

    @property
    def view(self) -> View:
        """As it is now."""
        ...


class Ready(NamedTuple):
    """The answer to one exact query, which always fits: only the order of the records between `head` and `tail` turns."""

    head: bytes
    kept: Kept | None
    """None when there is nothing to turn: `head` is all."""
    tail: bytes


class Cache:
    """Answers every message, from memory where it can."""

    def __init__(
        self, source: Source, zones: Zones, settings: DnsSettings, chance: Callable[[], float], stats: DnsStats,
        recursion: Recursion | None = None,
    ) -> None:  # fmt: skip
        """Without `recursion` the names of others are refused, and CNAME records lead where they lead."""
        self._source = source
        self._zones = zones
        self._settings = settings
        self._rules = msgspec.convert(settings, Rules, from_attributes=True)
        self._chance = chance
        self._stats = stats
        self._recursion = recursion
        self._flags = RECURSION_AVAILABLE if recursion is not None else 0
        """In byte 3 of every answer."""
        self._plain_max_count = settings.plain_records_max_count
        self._addresses = AddressIndex()
        self._selections = Selections()
        self._exact: dict[bytes, Ready] = {}
        self._names: OrderedDict[Key, Kept] = OrderedDict()
        self._topics: dict[Topic, set[Kept]] = {}
        self._opt = opt_record(settings.edns_max_bytes, dnssec_ok=False)
        self._opt_dnssec = opt_record(settings.edns_max_bytes, dnssec_ok=True)

    # -- being told

    def changed(self, changes: Changes) -> None:
        """What depends on something that changed is void: the next answer is made from the view."""
        self._drop(changes.topics)
        self._selections.apply(changes)
        if addresses := self._addresses.apply(changes):
            self._drop(set(addresses))

    def _drop(self, topics: AbstractSet[Topic]) -> None:
        for topic in self._topics.keys() & topics:
            for kept in list(self._topics.get(topic, ())):
                self._stats.drops += 1
                self._forget(kept)

    def _forget(self, kept: Kept) -> None:
        self._names.pop(kept.key, None)
        for variant in kept.variants:
            self._exact.pop(variant, None)
        for topic in kept.topics or ():
            there = self._topics[topic]
            there.discard(kept)
            if not there:
                del self._topics[topic]

    def _keep(self, kept: Kept) -> None:
        if kept.topics is None:
            return
        if len(self._names) >= self._settings.answers_max_count:
            self._forget(next(iter(self._names.values())))
        self._names[kept.key] = kept
        for topic in kept.topics:
            self._topics.setdefault(topic, set()).add(kept)

    # -- answering

    def over_udp(self, message: bytes, host: str | None) -> bytes | Later | None:
        """The answer to a datagram from `host`; None is a connection, where answers may be as long as can be."""
        if (ready := self._exact.get(message[2:])) is not None and self._source.ready:
            head, kept, tail = ready
            if kept is None:
                return message[:2] + head
            at = kept.at
            if at < kept.turns:  # Kept.take, without the call
                kept.at = at + 1
                ends = kept.ends
                return message[:2] + head + kept.wire[ends[at] : ends[at + kept.told]] + tail
        return self._by_name(message, host)

    def over_tcp(self, message: bytes) -> bytes | Later | None:
        """The answer to a message of a connection. What is known by its exact bytes is the same there: it always fits."""
        return self.over_udp(message, None)

    def _by_name(self, message: bytes, host: str | None) -> bytes | Later | None:
        seen = glance(message)
        if seen is None or not self._source.ready:
            return self._long_way(message, host)
        end, payload_bytes, dnssec_ok = seen
        name = message[HEADER_BYTES : end - 4]
        kept = self._names.get((name.lower(), message[end - 4 : end]))
        if kept is None or kept.elsewhere:
            return self._long_way(message, host)
        if kept.partial and kept.at == kept.turns:
            self._forget(kept)
            return self._long_way(message, host)
        opt = b"" if not payload_bytes else self._opt_dnssec if dnssec_ok else self._opt
        if opt and message.find(MARK, end + OPT_BYTES) > 0:  # perhaps: it may stand in a cookie as well
            try:
                options = options_to_return(message[end + OPT_BYTES :])
            except InvalidError:
                return self._long_way(message, host)
            opt = opt_record(self._settings.edns_max_bytes, dnssec_ok=dnssec_ok, options=options)
        self._stats.named += 1
        answer, whole = self._write(message, end, kept, opt, self._room(payload_bytes, host))
        if whole and name == kept.key[0] and len(message) <= end + OPT_BYTES and len(answer) <= self._room(payload_bytes, ""):
            self._know(message, end, kept, answer, opt)
        return answer

    def _know(self, message: bytes, end: int, kept: Kept, answer: bytes, opt: bytes) -> None:
        """From now on answer the exact bytes of this query. Only those in lower case: others seldom come twice."""
        variant = message[2:]
        if variant in self._exact or (self._plain_max_count and not opt):
            return
        if len(kept.variants) >= self._settings.variants_max_count:
            self._exact.pop(kept.variants.pop(0), None)
        kept.variants.append(variant)
        if kept.size > 1 or kept.partial:
            self._exact[variant] = Ready(answer[2:end] + kept.lead_wire, kept, kept.extras + opt)
        else:
            self._exact[variant] = Ready(answer[2:], None, b"")

    def _room(self, payload_bytes: int, host: str | None) -> int:
        """How many bytes the answer may have. `payload_bytes` is 0 without EDNS, `host` is None over TCP."""
        if host is None:
            return MESSAGE_MAX_BYTES
        limit = self._settings.edns_max_bytes
        if payload_bytes > limit and (host.startswith(_LOOPBACK) or host == "::1"):
            limit = self._settings.edns_loopback_max_bytes
        return max(UDP_PLAIN_BYTES, min(payload_bytes, limit))

    # -- answering what is not in memory

    def _long_way(self, message: bytes, host: str | None) -> bytes | Later | None:
        """Everything that is not answered from memory."""
        if not is_answerable(message):
            self._stats.malformed += 1
            return None
        if message[2] & OPCODE:
            self._stats.refused += 1
            return refusal(message, Rcode.NOTIMP)
        try:
            query = parse_query(message)
            options = options_to_return(query.edns.options) if query.edns is not None else b""
        except InvalidError:
            self._stats.malformed += 1
            return refusal(message, Rcode.FORMERR)
        kept = self._kept_for(message, query)
        opt = self._opt_for(query.edns, kept.rcode, options)
        room = self._room(query.edns.payload_bytes if query.edns is not None else 0, host)
        if kept.elsewhere and self._recursion is not None and message[2] & RECURSION_DESIRED:
            return self._elsewhere(self._recursion, message, query, kept, self._opt_for(query.edns, 0, options), room)
        return self._write(message, query.end, kept, opt, room)[0]

    def _elsewhere(self, recursion: Recursion, message: bytes, query: Query, kept: Kept, opt: bytes, room: int) -> bytes | Later:
        """Somebody else knows, all or where the last CNAME leads."""
        if not kept.size:
            return recursion.pass_on(message, query, opt, room)

        cname = kept.take(room, 1)[1]

        def compose(chain: Chain) -> bytes:
            lead = (*kept.lead, cname, *chain.aliases)
            response = Response(Rcode.NOERROR, tuple(map(Entry, chain.addresses)), lead=lead)
            return self._write(message, query.end, Kept(kept.key, response, self._chance), opt, room)[0]

        return recursion.follow(kept.elsewhere, query, compose)

    def _kept_for(self, message: bytes, query: Query) -> Kept:
        """An answer without its bytes in place: known, or made now."""
        kind = query.kind if query.kind in _TOLD else _NONE
        key = (query.name, kind.to_bytes(2, "big") + message[query.end - 2 : query.end])
        if query.edns is not None and query.edns.version:
            self._stats.refused += 1
            return Kept(key, Response(Rcode.BADVERS), self._chance)
        known = self._names.get(key) if self._source.ready else None
        if known is not None and known.partial and known.at == known.turns:
            self._forget(known)
            known = None
        if known is not None:  # asked in an unusual form, or led elsewhere
            self._stats.named += 1
            return known
        kept = Kept(key, self._response(message, query), self._chance)
        self._keep(kept)
        return kept

    def _response(self, message: bytes, query: Query) -> Response:
        stats = self._stats
        if self._source.ready:
            sight = Sight(self._source.view, self._addresses, self._selections)
            response = respond(query, sight, self._zones, self._rules, self._chance())
        elif is_outside(query, self._zones):
            response = Response(Rcode.REFUSED, elsewhere=query.name)
        else:
            stats.not_ready += 1
            return Response(Rcode.SERVFAIL)
        asks = self._recursion is not None and message[2] & RECURSION_DESIRED
        if response.rcode == Rcode.REFUSED and asks and response.elsewhere:
            return response
        if response.rcode in {Rcode.REFUSED, Rcode.NOTIMP}:
            stats.refused += 1
            return response._replace(elsewhere=b"")
        stats.renders += 1
        return response if self._recursion is not None else response._replace(elsewhere=b"")

    def _opt_for(self, edns: Edns | None, rcode: int, options: bytes) -> bytes:
        if edns is None:
            return b""
        return opt_record(self._settings.edns_max_bytes, dnssec_ok=edns.dnssec_ok, rcode=rcode, options=options)

    def _write(self, message: bytes, end: int, kept: Kept, opt: bytes, room: int) -> tuple[bytes, bool]:
        """An answer with the next rotation in at most `room` bytes, and whether everything is in it.

        What does not fit is left out: additional records first, then answers, in the end what leads to them. TC only over UDP, for over
        TCP a client could do nothing about it; there it gets another part each time.
        """
        left = room - end - len(opt) - kept.fixed_bytes
        lead_count, lead, authority = (len(kept.lead), kept.lead_wire, kept.authority) if left >= 0 else (0, b"", b"")
        count, records = kept.take(left, kept.told if opt or room == MESSAGE_MAX_BYTES else self._plain_max_count or kept.told)
        truncated = count < kept.told or left < 0
        extra_count, extras = (0, b"") if truncated else kept.take_extras(left - len(records))
        flags = kept.flags | message[2] & RECURSION_DESIRED
        if truncated and room < MESSAGE_MAX_BYTES:
            self._stats.truncated += 1
            flags |= TRUNCATED
        additional_count = extra_count + (1 if opt else 0)
        rcode = self._flags | kept.rcode & 0x0F
        head = message[:2] + HEAD(flags, rcode, 1, lead_count + count, 1 if authority else 0, additional_count)
        answer = head + message[HEADER_BYTES:end] + lead + records + authority + extras + opt
        return answer, not truncated and extra_count == kept.extra_count

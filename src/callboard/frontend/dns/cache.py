"""Answers kept as bytes: what most queries get, without a look at the catalog. Pure but for the counters; driven by the listener.

Two ways to a kept answer. By the *exact* bytes of the query without its id, as stub resolvers send it again and again; and by *name*, for
resolvers whose queries never have the same bytes (cookies, random letter case): the question is always echoed from the query.
A kept answer lives until one of its topics changes, or newer ones push it out. Nothing is kept of what nobody asked twice but its records.
"""

from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, Protocol

from callboard.core.catalog.view import View
from callboard.frontend.dns.answer import Response, Rules, Zone, respond
from callboard.frontend.dns.kept import Kept, Key
from callboard.frontend.dns.settings import DnsSettings, DnsStats
from callboard.model.errors import InvalidError
from callboard.model.topics import Topic
from callboard.wire.dns import (
    HEAD,
    HEADER_BYTES,
    MESSAGE_MAX_BYTES,
    OPCODE,
    OPT_BYTES,
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
from callboard.wire.dns_records import opt_record

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
        self, source: Source, zone: Zone, rules: Rules, settings: DnsSettings, chance: Callable[[], float], stats: DnsStats
    ) -> None:
        self._source = source
        self._zone = zone
        self._rules = rules
        self._settings = settings
        self._chance = chance
        self._stats = stats
        self._exact: dict[bytes, Ready] = {}
        self._names: OrderedDict[Key, Kept] = OrderedDict()
        self._topics: dict[Topic, set[Kept]] = {}
        self._opt = opt_record(settings.edns_max_bytes, dnssec_ok=False)
        self._opt_dnssec = opt_record(settings.edns_max_bytes, dnssec_ok=True)

    # -- being told

    def drop(self, topics: AbstractSet[Topic]) -> None:
        """What depends on these topics is void: the next answer is made from the view."""
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

    def over_udp(self, message: bytes, host: str) -> bytes | None:
        """The answer to a datagram from `host`."""
        if (ready := self._exact.get(message[2:])) is not None and self._source.ready:
            head, kept, tail = ready
            if kept is None:
                return message[:2] + head
            at = kept.at
            if at < kept.turns:  # Kept.take, without the call
                kept.at = at + 1
                ends = kept.ends
                return message[:2] + head + kept.wire[ends[at] : ends[at + kept.size]] + tail
        return self._by_name(message, host)

    def over_tcp(self, message: bytes) -> bytes | None:
        """The answer to a message of a connection."""
        return self._by_name(message, None)

    def _by_name(self, message: bytes, host: str | None) -> bytes | None:
        seen = glance(message)
        if seen is None or not self._source.ready:
            return self._long_way(message, host)
        end, payload_bytes, dnssec_ok = seen
        name = message[HEADER_BYTES : end - 4]
        kept = self._names.get((name.lower(), message[end - 4 : end]))
        if kept is None:
            return self._long_way(message, host)
        if kept.partial and kept.at == kept.turns:
            self._forget(kept)
            return self._long_way(message, host)
        self._stats.named += 1
        opt = b"" if not payload_bytes else self._opt_dnssec if dnssec_ok else self._opt
        answer, whole = self._write(message, end, kept, opt, self._room(payload_bytes, host))
        if whole and name == kept.key[0] and len(message) <= end + OPT_BYTES and len(answer) <= self._room(payload_bytes, ""):
            self._know(message, end, kept, answer, opt)
        return answer

    def _know(self, message: bytes, end: int, kept: Kept, answer: bytes, opt: bytes) -> None:
        """From now on answer the exact bytes of this query. Only those in lower case: others seldom come twice."""
        variant = message[2:]
        if variant in self._exact:
            return
        if len(kept.variants) >= self._settings.variants_max_count:
            self._exact.pop(kept.variants.pop(0), None)
        kept.variants.append(variant)
        if kept.size > 1:
            self._exact[variant] = Ready(answer[2:end], kept, kept.extras + opt)
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

    def _long_way(self, message: bytes, host: str | None) -> bytes | None:
        """Everything that is not answered from memory."""
        if not is_answerable(message):
            self._stats.malformed += 1
            return None
        if message[2] & OPCODE:
            self._stats.refused += 1
            return refusal(message, Rcode.NOTIMP)
        try:
            query = parse_query(message)
        except InvalidError:
            self._stats.malformed += 1
            return refusal(message, Rcode.FORMERR)
        kept = self._render(message, query)
        opt = self._opt_for(query.edns, kept.rcode)
        payload_bytes = query.edns.payload_bytes if query.edns is not None else 0
        return self._write(message, query.end, kept, opt, self._room(payload_bytes, host))[0]

    def _render(self, message: bytes, query: Query) -> Kept:
        key = (query.name, message[query.end - 4 : query.end])
        if query.edns is not None and query.edns.version:
            self._stats.refused += 1
            return Kept(key, Response(Rcode.BADVERS), self._chance)
        if not self._source.ready:
            self._stats.not_ready += 1
            return Kept(key, Response(Rcode.SERVFAIL), self._chance)
        if (known := self._names.get(key)) is not None:  # asked in an unusual form
            self._stats.named += 1
            return known
        response = respond(query, self._source.view, self._zone, self._rules, self._chance())
        if response.rcode in {Rcode.REFUSED, Rcode.NOTIMP}:
            self._stats.refused += 1
        else:
            self._stats.renders += 1
        kept = Kept(key, response, self._chance)
        self._keep(kept)
        return kept

    def _opt_for(self, edns: Edns | None, rcode: int) -> bytes:
        if edns is None:
            return b""
        return opt_record(self._settings.edns_max_bytes, dnssec_ok=edns.dnssec_ok, rcode=rcode)

    def _write(self, message: bytes, end: int, kept: Kept, opt: bytes, room: int) -> tuple[bytes, bool]:
        """An answer with the next rotation in at most `room` bytes, and whether everything is in it.

        What does not fit is left out: additional records first, then answers, never all of them. TC only over UDP, for over TCP a client
        could do nothing about it; there it gets another part each time.
        """
        left = room - end - len(opt)
        count, records = kept.take(left - len(kept.authority))
        truncated = count < kept.size
        extra_count, extras = (0, b"") if truncated else kept.take_extras(left - len(records))
        flags = kept.flags | message[2] & RECURSION_DESIRED
        if truncated and room < MESSAGE_MAX_BYTES:
            self._stats.truncated += 1
            flags |= TRUNCATED
        authority_count = 1 if kept.authority else 0
        additional_count = extra_count + (1 if opt else 0)
        head = message[:2] + HEAD(flags, kept.rcode & 0x0F, 1, count, authority_count, additional_count)
        answer = head + message[HEADER_BYTES:end] + records + kept.authority + extras + opt
        return answer, not truncated and extra_count == kept.extra_count

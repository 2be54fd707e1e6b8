"""What can be set about DNS, and what it counts. The settings are frozen and made once by `callboard.server`."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from callboard.net.datagram import Count, DatagramSettings, DatagramStats
from callboard.wire.dns import UDP_PLAIN_BYTES
from callboard.wire.dns_records import TTL_MAX_S

Ttl = Annotated[int, Meta(ge=0, le=TTL_MAX_S)]
PayloadBytes = Annotated[int, Meta(ge=UDP_PLAIN_BYTES, le=65_507)]


class DnsSettings(DatagramSettings, frozen=True, kw_only=True):
    """Names, times and limits; those of the sockets come from `DatagramSettings`."""

    host: str = "127.0.0.1"
    """Where to listen; empty for no DNS at all."""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8600
    """UDP and TCP; 0 for any port free on both."""
    domain: str = "consul"
    """All names end with it."""
    service_ttl_s: Ttl = 2
    """How long caches may keep the instances of a service: each second is one more that a dead instance is called."""
    node_ttl_s: Ttl = 10
    """The same for addresses of nodes."""
    negative_ttl_s: Ttl = 1
    """The same for "no such name"."""
    only_passing: bool = False
    """Leave out instances whose status is warning, too."""
    empty_is_nxdomain: bool = True
    """A service without an instance that may be called does not exist; false: it exists and has no records."""
    edns_max_bytes: PayloadBytes = 1232
    """Largest UDP answer, if the client takes that much: passes every network without fragments."""
    edns_loopback_max_bytes: PayloadBytes = 8192
    """The same for clients on this machine."""
    records_max_count: Count = 1000
    """Records made at once; a larger service is told in random parts, another part each time these have gone round."""
    answers_max_count: Count = 4096
    """Names and types whose answers are kept; the oldest go first."""
    variants_max_count: Count = 8
    """Forms of the query (flags, EDNS) per kept answer that are known by their bytes."""


@dataclass(slots=True)
class DnsStats(DatagramStats):
    """Plain counters. What is in `received` and in none of those below, but for `truncated`, was answered from its exact bytes."""

    named: int = 0
    """Answers made from kept records."""
    renders: int = 0
    """Answers made from the view."""
    truncated: int = 0
    """Answers with TC."""
    malformed: int = 0
    """FORMERR, or what nobody answers: responses, scraps."""
    refused: int = 0
    """REFUSED, NOTIMP, BADVERS."""
    not_ready: int = 0
    """SERVFAIL."""
    drops: int = 0
    """Kept answers that a change made void."""

"""What can be set about DNS, and what it counts. The settings are frozen and made once by `callboard.server`."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from callboard.net.messages import Count, DatagramSettings, DatagramStats
from callboard.net.upstream import Strategy
from callboard.wire.dns import UDP_PLAIN_BYTES
from callboard.wire.dns_records import TTL_MAX_S

Ttl = Annotated[int, Meta(ge=0, le=TTL_MAX_S)]
Limit = Annotated[int, Meta(ge=0)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
PayloadBytes = Annotated[int, Meta(ge=UDP_PLAIN_BYTES, le=65_507)]


class DnsSettings(DatagramSettings, frozen=True, kw_only=True):
    """Names, times and limits; those of the sockets come from `DatagramSettings`."""

    host: str = "127.0.0.1"
    """Where to listen; empty for no DNS at all."""
    port: Port = 8600
    """UDP and TCP; 0 for any port free on both."""
    domain: str = "consul"
    """All names end with it."""
    recursors: tuple[str, ...] = ()
    """Name servers (address, or address:port) that are asked for the names of others; none: those are refused."""
    alternative_domain: str = ""
    """A second domain with the same names; empty for none."""
    tls_port: Port = 0
    """DNS over TLS (RFC 7858) on the same host; 0 for none. Its usual port is 853."""
    service_ttl_s: Ttl = 2
    """How long caches may keep the instances of a service: each second is one more that a dead instance is called."""
    service_ttls: dict[str, Ttl] = {}  # noqa: RUF012  # msgspec copies it
    """The same in seconds for services by name, or for all whose name starts with `prefix*`; the name wins, then the longest prefix."""
    node_ttl_s: Ttl = 10
    """The same for addresses of nodes."""
    negative_ttl_s: Ttl = 1
    """The same for "no such name"."""
    soa_refresh_s: Ttl = 3600
    """How often secondary servers look, says the SOA record; there are none."""
    soa_retry_s: Ttl = 600
    """When they try again, says the SOA record."""
    soa_expire_s: Ttl = 86_400
    """When they give up, says the SOA record."""
    only_passing: bool = False
    """Leave out instances whose status is warning, too."""
    empty_is_nxdomain: bool = True
    """A service without an instance that may be called does not exist; false: it exists and has no records."""
    edns_max_bytes: PayloadBytes = 1232
    """Largest UDP answer, if the client takes that much: passes every network without fragments."""
    edns_loopback_max_bytes: PayloadBytes = 8192
    """The same for clients on this machine."""
    srv_weight_scale: Annotated[int, Meta(ge=1, le=65_535)] = 1
    """Weights in SRV records are multiplied by it: 256 for HAProxy, whose weights are those of SRV divided by 256."""
    additional_meta_txt: bool = False
    """SRV answers bring what is noted about the nodes as TXT records, where there is room."""
    address_records_max_count: Limit = 0
    """Addresses of a service told at once, others in the next answer; 0 for all that fit."""
    plain_records_max_count: Limit = 0
    """Answer records over UDP without EDNS, with TC when there are more; 0 for all that fit."""
    recursor_strategy: Strategy = "sequential"
    """Always the first recursor first, or `random`; another is asked when one fails."""
    recursor_timeout_max_ms: Count = 2000
    """How long one recursor may take."""
    recursor_parallel_max_count: Count = 256
    """Questions of clients that wait for recursors; more get SERVFAIL."""
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
    """Questions answered with FORMERR, or not at all: responses, scraps."""
    refused: int = 0
    """Questions answered with REFUSED, NOTIMP or BADVERS."""
    not_ready: int = 0
    """Questions answered with SERVFAIL, because there was no view yet."""
    recursed: int = 0
    """Questions answered with the help of a recursor."""
    recursion_failures: int = 0
    """Questions that no recursor answered, or for which too many waited: SERVFAIL, or a CNAME alone."""
    drops: int = 0
    """Kept answers that a change made void."""

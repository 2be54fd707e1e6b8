"""Names of others: asked of other name servers for a client that sees no difference but time. Never on the way of an answer of ours.

What they say is passed on and not kept; its times to live are theirs. It lives as long as the frontend.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from callboard.frontend.dns.settings import DnsStats
from callboard.model.errors import InvalidError
from callboard.net.messages import Later
from callboard.net.upstream import Upstream
from callboard.wire.dns import CHECKING_DISABLED, HEAD, HEADER_BYTES, RECURSION_AVAILABLE, RECURSION_DESIRED, RESPONSE, Query, Rcode
from callboard.wire.dns_records import opt_record
from callboard.wire.dns_responses import Asked, Chain, chain_of, passed_on

CHAIN_MAX_COUNT: Final = 5
"""Records that are told of what a CNAME of ours leads to."""
_FOLLOWED: Final = frozenset({1, 28})
"""A and AAAA: who asks for another type of a name with a CNAME is told that alone."""

Compose = Callable[[Chain], bytes]
"""The answer with this behind its CNAME."""


class Recursion:
    """Asks, and makes answers of what comes back."""

    def __init__(self, upstream: Upstream, payload_bytes: int, stats: DnsStats) -> None:
        self._upstream = upstream
        self._payload_bytes = payload_bytes
        self._stats = stats

    def pass_on(self, message: bytes, query: Query, opt: bytes, room: int) -> Later | bytes:
        """The answer of others to the whole query, in at most `room` bytes."""
        edns = query.edns
        asked = Asked(
            message[HEADER_BYTES : query.end],
            opt_record(self._payload_bytes, dnssec_ok=edns.dnssec_ok) if edns is not None else b"",
            checking_disabled=message[3] & CHECKING_DISABLED != 0,
        )
        later = Later()

        def take(answer: bytes | None) -> None:
            later.settle(self._passed_on(answer, message, query.end, opt, room))

        return later if self._upstream.ask(asked, take) else self._failure(message, query.end, opt)

    def _passed_on(self, answer: bytes | None, message: bytes, end: int, opt: bytes, room: int) -> bytes:
        if answer is not None:
            try:
                passed = passed_on(answer, message, end, opt, room)
            except InvalidError:
                return self._failure(message, end, opt)
            self._stats.recursed += 1
            return passed
        return self._failure(message, end, opt)

    def _failure(self, message: bytes, end: int, opt: bytes) -> bytes:
        self._stats.recursion_failures += 1
        flags = RESPONSE | message[2] & RECURSION_DESIRED
        head = message[:2] + HEAD(flags, RECURSION_AVAILABLE | Rcode.SERVFAIL, 1, 0, 0, 1 if opt else 0)
        return head + message[HEADER_BYTES:end] + opt

    def follow(self, target: bytes, query: Query, compose: Compose) -> Later | bytes:
        """The answer with a CNAME, and with the addresses of what it leads to. Without those the client asks for itself."""
        if query.kind not in _FOLLOWED:
            return compose(Chain())
        question = target + query.kind.to_bytes(2, "big") + b"\0\1"
        later = Later()

        def take(answer: bytes | None) -> None:
            later.settle(compose(self._chain(answer, question)))

        asked = Asked(question, opt_record(self._payload_bytes, dnssec_ok=False))
        if self._upstream.ask(asked, take):
            return later
        self._stats.recursion_failures += 1
        return compose(Chain())

    def _chain(self, answer: bytes | None, question: bytes) -> Chain:
        if answer is not None:
            with suppress(InvalidError):
                chain = chain_of(answer, question, CHAIN_MAX_COUNT)
                self._stats.recursed += 1
                return chain
        self._stats.recursion_failures += 1
        return Chain()

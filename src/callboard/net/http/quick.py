"""What the quick door answers itself: kept answers by their line, and the handlers of quick routes. It lives as long as the server."""

from asyncio import Transport
from typing import Any, Final, Protocol

from callboard.model.errors import InvalidError
from callboard.net.http.answers import Waiter
from callboard.net.http.blocks import Facts
from callboard.net.http.handling import call, failed, too_many_waiting
from callboard.net.http.hub import Hub
from callboard.net.http.message import After, Answer, Errors, Later, Read, Reply
from callboard.net.http.parked import ANSWER, PARKED
from callboard.net.http.request import QuickRequest
from callboard.net.http.routing import Missing
from callboard.wire.url import decode_path

WAIT: Final = b""
"""The connection will be told its answer."""


class Caller(Waiter, Protocol):
    """A connection that asks."""

    transport: Transport

    def park(self, wait: int, facts: Facts) -> None:
        """It waits for a change, `wait` nanoseconds at most."""
        ...

    def wait_for(self, waited: Later | After[Any], facts: Facts, errors: Errors) -> Reply | None:
        """It waits until something is known; answers what that comes to when it is known already."""
        ...


class Quick:
    """Line, facts and body of a request to the bytes of its response."""

    __slots__ = ("hub",)

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def answer(self, caller: Caller, line: bytes, facts: Facts, body: bytes) -> bytes | None:
        """A complete response, `WAIT`, or None: the request must go the long way."""
        hub = self.hub
        if not body and (kept := hub.answers.lines.get(line)) is not None and kept.live:
            hub.stats.hits += 1
            return hub.answers.wire(kept, gzip=facts.gzip)
        target = _target(line)
        if target is None:
            return None
        method, path, raw_query = target
        found = hub.router.find(method, path)
        if isinstance(found, Missing):
            return None
        place, rest = found
        if not place.route.quick:
            return None
        hub.stats.quick += 1
        request = QuickRequest(method, path, raw_query, body, facts, caller.transport)
        request.proxies = hub.proxies
        request.rest = rest
        reply = call(place, request, hub.stats)
        if isinstance(reply, Answer):
            return hub.encode(reply, place.errors, gzip=facts.gzip)
        if isinstance(reply, Read) and reply.by_line and method == "GET" and not body and not reply.after and not request.touched:
            return self._read(caller, reply, facts, place.errors, line)
        return self.reply(caller, reply, facts, place.errors)

    def reply(self, caller: Caller, reply: Reply, facts: Facts, errors: Errors) -> bytes:
        """What a reply comes to: a complete response, or `WAIT`."""
        if isinstance(reply, Later | After):
            known = caller.wait_for(reply, facts, errors)
            return WAIT if known is None else self.reply(caller, known, facts, errors)
        if isinstance(reply, Read):
            return self._read(caller, reply, facts, errors, b"")
        if isinstance(reply, Answer):
            return self.hub.encode(reply, errors, gzip=facts.gzip)
        error = TypeError("a quick route must not answer with a stream")
        return self.hub.encode(failed(errors, error, self.hub.stats, "a quick route"), errors)

    def _read(self, caller: Caller, read: Read, facts: Facts, errors: Errors, line: bytes) -> bytes:
        hub = self.hub
        verdict, kept = hub.parked.read(caller, read, errors)
        if verdict == PARKED:
            caller.park(read.wait, facts)
            return WAIT
        if verdict != ANSWER:
            return hub.encode(too_many_waiting(errors, hub.stats), errors)
        if line:
            hub.answers.remember(line, kept)
        return hub.answers.wire(kept, gzip=facts.gzip)


def _target(line: bytes) -> tuple[str, str, str] | None:
    """Method, decoded path and raw query of a request line, None unless it is in origin form and plain to see what it means.

    The line of a known block was not read by llhttp, so it is judged here: printable ASCII without a blank or a fragment.
    """
    if not line.isascii():
        return None
    method, _, target = line.decode().partition(" ")
    if not target.startswith("/") or not target.isprintable() or " " in target or "#" in target:
        return None
    path, _, raw_query = target.partition("?")
    if "%" in path:
        try:
            path = decode_path(path)
        except InvalidError:
            return None
    return method, path, raw_query

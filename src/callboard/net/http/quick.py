"""What the quick door answers itself: kept answers and known reads by their line, and the handlers of quick routes.

It lives as long as the server.
"""

import re
from asyncio import Transport
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from callboard.model.errors import InvalidError
from callboard.net.http.answers import Waiter
from callboard.net.http.blocks import Facts
from callboard.net.http.handling import call, failed, too_many_waiting
from callboard.net.http.hub import Hub
from callboard.net.http.message import After, Answer, Brief, Errors, Later, Read, Reply, Request
from callboard.net.http.parked import ANSWER, PARKED
from callboard.net.http.reads import KnownReads
from callboard.net.http.request import QuickRequest
from callboard.net.http.routing import Missing, Place
from callboard.wire.url import decode_path

WAIT: Final = b""
"""The connection will be told its answer."""
_QUERY_MAX_BYTES: Final = 256
"""Longer parameters are looked at each time."""
_ENDING: Final = re.compile(rb"([!\"$->@-~]+)(?:\?([!\"$-~]*))?").fullmatch
"""The end of a request line as `_target` would take it, printable and without a fragment: a name, and parameters."""


class Asker(NamedTuple):
    """Who asked last on a connection, as parameters, header block and addresses tell it to `find`."""

    facts: Facts
    query: bytes | None
    find: Callable[[Request], object | None]
    who: object | None


class Caller(Waiter, Protocol):
    """A connection that asks."""

    transport: Transport
    asker: Asker | None

    def park(self, wait: int, facts: Facts) -> None:
        """It waits for a change, `wait` nanoseconds at most."""
        ...

    def wait_for(self, waited: Later | After[Any], facts: Facts, errors: Errors) -> Reply | None:
        """It waits until something is known; answers what that comes to when it is known already."""
        ...


class Quick:
    """Line, facts and body of a request to the bytes of its response."""

    __slots__ = ("_briefs", "_reads", "hub")

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._briefs = hub.router.briefs
        self._reads = KnownReads(hub.settings.reads_max_count, hub.answers.sights)

    def answer(self, caller: Caller, line: bytes, facts: Facts, body: bytes) -> bytes | None:
        """A complete response, `WAIT`, or None: the request must go the long way."""
        known = self._known if line.startswith(b"GET ") else self._briefly
        if (wire := known(caller, line, facts, body)) is not None:
            return wire
        hub = self.hub
        target = _target(line)
        if target is None:
            return None
        method, path, _ = target
        found = hub.router.find(method, path)
        if isinstance(found, Missing):
            return None
        place, rest = found
        if not place.route.quick:
            return None
        hub.stats.quick += 1
        request = self._request(caller, target, facts, body)
        request.rest = rest
        reply = call(place, request, hub.stats)
        if isinstance(reply, Answer):
            return hub.encode(reply, place.errors, gzip=facts.gzip)
        if isinstance(reply, Read) and reply.by_line and method == "GET" and not body and not request.touched:
            if not reply.after:
                return self._read(caller, reply, place.errors, facts, line)
            self._reads.remember(line, reply, place.errors)
        return self.reply(caller, reply, facts, place.errors)

    def _request(self, caller: Caller, target: tuple[str, str, str], facts: Facts, body: bytes) -> QuickRequest:
        request = QuickRequest(*target, body, facts, caller.transport)
        request.proxies = self.hub.proxies
        return request

    def _known(self, caller: Caller, line: bytes, facts: Facts, body: bytes) -> bytes | None:
        """The response to a line that is known to lead to an answer, or to a read that is judged anew each time."""
        if body:
            return None
        hub = self.hub
        if (kept := hub.answers.lines.get(line)) is not None and kept.live:
            hub.stats.hits += 1
            return hub.answers.wire(kept, gzip=facts.gzip)
        if (known := self._reads.get(line)) is None:
            return None
        hub.stats.recalled += 1
        return self._read(caller, *known, facts)

    def _briefly(self, caller: Caller, line: bytes, facts: Facts, body: bytes) -> bytes | None:
        """The response of a route's short way, if it has one and that is enough."""
        end = line.rfind(b"/") + 1
        there = self._briefs.get(line[:end])
        if there is None or (ending := _ENDING(line, end)) is None:
            return None
        raw_name, query = ending.groups()
        if (name := _decoded(raw_name)) is None:
            return None
        place, brief = there
        asker = caller.asker
        try:
            if asker is None or asker.facts is not facts or asker.query != query or asker.find is not brief.who:
                asker = self._asker(caller, place, brief, facts, query)
            if asker.who is None:
                return None
            answer = brief.hear(asker.who, name, body)
        except Exception as error:  # noqa: BLE001  # as if the handler had raised it
            answer = failed(place.errors, error, self.hub.stats, f"{place.route.method} {place.route.path} by its short way")
        if answer is None:
            return None
        self.hub.stats.quick += 1
        return self.hub.encode(answer, place.errors)

    def _asker(self, caller: Caller, place: Place, brief: Brief, facts: Facts, query: bytes | None) -> Asker:
        """Find out who asks; kept by the connection if it is likely to ask so again, and not large."""
        target = place.route.method, place.route.path, query.decode() if query else ""
        asker = Asker(facts, query, brief.who, brief.who(self._request(caller, target, facts, b"")))
        caller.asker = asker if facts.lasting and (not query or len(query) <= _QUERY_MAX_BYTES) else None
        return asker

    def reply(self, caller: Caller, reply: Reply, facts: Facts, errors: Errors) -> bytes:
        """What a reply comes to: a complete response, or `WAIT`."""
        if isinstance(reply, Later | After):
            known = caller.wait_for(reply, facts, errors)
            return WAIT if known is None else self.reply(caller, known, facts, errors)
        if isinstance(reply, Read):
            return self._read(caller, reply, errors, facts)
        if isinstance(reply, Answer):
            return self.hub.encode(reply, errors, gzip=facts.gzip)
        error = TypeError("a quick route must not answer with a stream")
        return self.hub.encode(failed(errors, error, self.hub.stats, "a quick route"), errors)

    def _read(self, caller: Caller, read: Read, errors: Errors, facts: Facts, line: bytes = b"") -> bytes:
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


def _decoded(path: bytes) -> str | None:
    """A path, or the end of one, without its escapes; None when they make no sense."""
    if b"%" not in path:
        return path.decode()
    try:
        return decode_path(path.decode())
    except InvalidError:
        return None


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

"""What the quick door answers itself: kept answers and known reads by their line, and the handlers of quick routes.

It lives as long as the server.
"""

import re
from asyncio import Transport
from typing import Any, Final, Protocol

from callboard.model.errors import InvalidError
from callboard.net.http.answers import Kept, Waiter
from callboard.net.http.blocks import Facts
from callboard.net.http.handling import call, failed, too_many_waiting
from callboard.net.http.hub import Hub
from callboard.net.http.message import After, Answer, Brief, Errors, Later, Read, Reply
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


_BEYOND: Final = 1 << 62
"""No line goes so far."""
_PLAIN: Final = bytes(byte for byte in range(ord("!"), ord("~") + 1) if byte not in b'"#%/?')
"""What a name is made of that stands in a request line as it is."""


class Asker:
    """Who asked last on a connection by a short way, as parameters, header block and addresses tell it to `find`."""

    __slots__ = ("at", "begin", "facts", "find", "hear", "place", "query", "who")

    def __init__(self, place: Place, brief: Brief, facts: Facts, query: bytes | None, who: object | None) -> None:
        self.place = place
        self.facts = facts
        self.query = query
        self.find = brief.who
        self.hear = brief.hear
        self.who = who
        self.begin = f"{place.route.method} {place.route.path}".encode()
        """How another line begins that is the same but for a name at its end."""
        again = who is not None and query is None and place.route.path.endswith("/")
        self.at = len(self.begin) if again else _BEYOND
        """Where that name begins, if there is any that could be asked for without a look at anything else."""


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

    __slots__ = ("_briefs", "_reads", "_wholes", "hub")

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._briefs = hub.router.briefs
        self._wholes = hub.router.wholes
        self._reads = KnownReads(hub.settings.reads_max_count, hub.answers.sights)

    def answer(self, caller: Caller, line: bytes, facts: Facts, body: bytes) -> bytes | None:
        """A complete response, `WAIT`, or None: the request must go the long way.

        One who asks once more by the same short way, with nothing but a plain name that may be another one, is known at once: what is
        written down to there is what a heartbeat costs.
        """
        asker = caller.asker
        if (
            asker is not None
            and asker.facts is facts
            and line.startswith(asker.begin)
            and (name := line[asker.at :])
            and not name.translate(None, _PLAIN)
        ):
            wire = self._heard(asker, name.decode(), body)
        elif line.startswith(b"GET "):
            wire = self._known(caller, line, facts, body)
        else:
            wire = self._briefly(caller, line, facts, body)
        return self._handled(caller, line, facts, body) if wire is None else wire

    def _handled(self, caller: Caller, line: bytes, facts: Facts, body: bytes) -> bytes | None:
        """The same of a request whose handler has to be asked."""
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
            return self._encode(caller, reply, facts, place.errors)
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
            return self.kept(caller, kept, facts) if facts.gzip else hub.answers.wire(kept, gzip=False)
        if (known := self._reads.get(line)) is None:
            return None
        hub.stats.recalled += 1
        return self._read(caller, *known, facts)

    def _heard(self, asker: Asker, name: str, body: bytes) -> bytes | None:
        hub = self.hub
        try:
            answer = asker.hear(asker.who, name, body)
        except Exception as error:  # noqa: BLE001  # as if the handler had raised it
            answer = self._failed(asker.place, error)
        if answer is None:
            return None
        hub.stats.quick += 1
        last, date, wire = hub.last
        if answer is last and date is hub.dates.now:
            return wire
        if isinstance(answer, Later):
            answer = self._failed(asker.place, TypeError("only an exact route may answer later by its short way"))
        return hub.dates.json(answer) if isinstance(answer, bytes) else hub.encode(answer, asker.place.errors)

    def _failed(self, place: Place, error: Exception) -> Answer:
        return failed(place.errors, error, self.hub.stats, f"{place.route.method} {place.route.path} by its short way")

    def _briefly(self, caller: Caller, line: bytes, facts: Facts, body: bytes) -> bytes | None:
        """The response of a route's short way, if it has one and that is enough."""
        if (whole := self._wholes.get(line)) is not None:
            return self._wholly(caller, *whole, facts, body)
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
            elif asker.hear is not brief.hear:
                caller.asker = asker = Asker(place, brief, facts, query, asker.who)
        except Exception as error:  # noqa: BLE001  # as if the handler had raised it
            self.hub.stats.quick += 1
            return self.hub.encode(self._failed(place, error), place.errors)
        return self._heard(asker, name, body) if asker.who is not None else None

    def _wholly(self, caller: Caller, place: Place, brief: Brief, facts: Facts, body: bytes) -> bytes | None:
        """The same of an exact route, which may answer later. Whom it does not know now it may know the next time."""
        asker = caller.asker
        try:
            if asker is None or asker.facts is not facts or asker.query is not None or asker.find is not brief.who or asker.who is None:
                asker = self._asker(caller, place, brief, facts, None)
            reply = brief.hear(asker.who, "", body) if asker.who is not None else None
        except Exception as error:  # noqa: BLE001  # as if the handler had raised it
            reply = self._failed(place, error)
        if reply is None:
            return None
        self.hub.stats.quick += 1
        return self.hub.dates.json(reply) if isinstance(reply, bytes) else self.reply(caller, reply, facts, place.errors)

    def _asker(self, caller: Caller, place: Place, brief: Brief, facts: Facts, query: bytes | None) -> Asker:
        """Find out who asks; kept by the connection if it is likely to ask so again, and not large."""
        target = place.route.method, place.route.path, query.decode() if query else ""
        asker = Asker(place, brief, facts, query, brief.who(self._request(caller, target, facts, b"")))
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
            return self._encode(caller, reply, facts, errors)
        error = TypeError("a quick route must not answer with a stream")
        return self.hub.encode(failed(errors, error, self.hub.stats, "a quick route"), errors)

    def _encode(self, caller: Caller, answer: Answer, facts: Facts, errors: Errors) -> bytes:
        if facts.gzip and (packing := self.hub.packing(answer)) is not None:
            return self.reply(caller, packing.reply(), facts, errors)
        return self.hub.encode(answer, errors, gzip=facts.gzip)

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
        return self.kept(caller, kept, facts)

    def kept(self, caller: Caller, kept: Kept, facts: Facts) -> bytes:
        """A kept answer, or `WAIT` where it has to be compressed and is large."""
        answers = self.hub.answers
        if facts.gzip and (packing := answers.packing(kept)) is not None:
            return self.reply(caller, packing.reply(), facts, kept.errors)
        return answers.wire(kept, gzip=facts.gzip)


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

"""Requests and streams over kept connections, to the first server of several that answers.

A transport may be used by several threads. It lives as long as its client; a forked child starts without connections, for those it
inherited belong to its parent.
"""

import os
import time
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Final, NamedTuple

from callboard import __version__
from callboard.client.errors import ProtocolError, UnknownOutcomeError, UnreachableError
from callboard.client.link import BrokenError, Link, Stream, reason
from callboard.client.settings import Base, ClientSettings
from callboard.client.trust import trust_of

_AGENT: Final = f"callboard-python/{__version__}"
_OK: Final = 200
_STREAM: Final = "text/event-stream"
_UNAVAILABLE: Final = 503


class Call(NamedTuple):
    """A request. One that is `repeatable` may be sent again, to the same server or the next, when its answer does not come."""

    method: str
    target: str
    body: bytes = b""
    repeatable: bool = True


class Reply(NamedTuple):
    """A whole answer, and the server that gave it."""

    status: int
    body: bytes
    url: str
    retry_after: str = ""
    """The header of this name, as it came."""


class Transport:
    """One HTTP/1.1 client for all servers of a cluster."""

    def __init__(self, settings: ClientSettings) -> None:
        """Raises `InvalidError` for files of TLS that cannot be used."""
        self.settings = settings
        self._bases = list(settings.bases)
        self._headers = {"User-Agent": _AGENT, "Accept": "application/json"}
        if settings.token:
            self._headers["Authorization"] = f"Bearer {settings.token}"
        self._trust = trust_of(settings)
        if self._trust is not None:
            self._trust.context()  # a file that is not there is said now, and not when the first call fails
        self._idle: list[Link] = []
        self._owner = os.getpid()
        self._closed = False

    def request(self, call: Call, timeout_ms: int = 0) -> Reply:
        """Ask the servers in turn until one answers; a repeatable call also goes on after a broken answer or a 503.

        Raises `UnreachableError` when nobody could be asked, `UnknownOutcomeError` when a call that is not repeatable broke off,
        and `ProtocolError` for an answer that is too large.
        """
        deadline = time.monotonic() + (timeout_ms or self.settings.timeout_ms) / 1000
        reasons: dict[str, str] = {}
        refused: Reply | None = None
        sent = False
        for base, share in self._turns(deadline):
            try:
                reply = self._ask(base, call, share, share if call.repeatable else deadline)
            except BrokenError as error:
                if not call.repeatable:
                    raise UnknownOutcomeError(str(base), str(error)) from None
                reasons[str(base)], sent = str(error), True
            except OSError as error:
                reasons[str(base)] = reason(error)
            else:
                if reply.status != _UNAVAILABLE or not call.repeatable:
                    self._prefer(base)
                    return reply
                refused = refused or reply
        if refused is not None:
            return refused
        raise UnreachableError(reasons, sent=sent)

    def stream(self, target: str, headers: dict[str, str]) -> Stream | Reply:
        """Open a stream on the first server that grants one; the first refusal when none does. Raises `UnreachableError`."""
        deadline = time.monotonic() + self.settings.timeout_ms / 1000
        reasons: dict[str, str] = {}
        refused: Reply | None = None
        for base, share in self._turns(deadline):
            link = Link(base, share, self._trust)
            try:
                response = link.send_request("GET", target, b"", {**self._headers, **headers}, share)
                if response.status == _OK and response.headers.get_content_type() == _STREAM:
                    self._prefer(base)
                    return Stream(link, response, self.settings.silence_max_ms)
                body = link.read_body(response, self.settings.answer_max_bytes, share) or b""
                refused = refused or _reply(response, body, base)
            except (BrokenError, OSError) as error:
                reasons[str(base)] = reason(error)
            link.shut()
        if refused is not None:
            return refused
        raise UnreachableError(reasons)

    def close(self) -> None:
        """Close every idle connection; one that is in use closes when its request ends."""
        self._closed = True
        if self._owner == os.getpid():
            while self._idle:
                self._idle.pop().close()

    def _turns(self, deadline: float) -> Iterator[tuple[Base, float]]:
        """Each server, with the deadline for asking it: an even share of the time that remains."""
        bases = self._bases
        for place, base in enumerate(bases):
            now = time.monotonic()
            yield base, now + (deadline - now) / (len(bases) - place)

    def _ask(self, base: Base, call: Call, connect_by: float, answer_by: float) -> Reply:
        kept = self._kept(base)
        if kept is not None:
            try:
                return self._exchange(kept, call, answer_by)
            except (BrokenError, OSError):
                # The server may have closed it at the very moment it was taken up again.
                if not call.repeatable or time.monotonic() >= answer_by:
                    raise
        return self._exchange(Link(base, connect_by, self._trust), call, answer_by)

    def _exchange(self, link: Link, call: Call, deadline: float) -> Reply:
        headers = {**self._headers, "Content-Type": "application/json"} if call.body else self._headers
        try:
            response = link.send_request(call.method, call.target, call.body, headers, deadline)
            body = link.read_body(response, self.settings.answer_max_bytes, deadline)
        except BaseException:
            link.close()
            raise
        if body is None or response.will_close or self._closed or len(self._idle) >= self.settings.idle_max_count:
            link.close()
        else:
            self._idle.append(link)
        if body is None:
            raise ProtocolError(str(link.base), f"an answer of more than {self.settings.answer_max_bytes} bytes")
        return _reply(response, body, link.base)

    def _kept(self, base: Base) -> Link | None:
        """A connection that was kept and is still open."""
        if self._owner != os.getpid():
            self._idle, self._owner = [], os.getpid()
        while self._idle:
            link = self._idle.pop()
            if link.base == base and link.alive():
                return link
            link.close()
        return None

    def _prefer(self, base: Base) -> None:
        """Ask this server first from now on. A new list, for other threads go through the old one."""
        if self._bases[0] != base:
            self._bases = [base, *(other for other in self._bases if other != base)]


def _reply(response: HTTPResponse, body: bytes, base: Base) -> Reply:
    return Reply(response.status, body, str(base), response.headers.get("Retry-After", ""))

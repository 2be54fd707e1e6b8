"""Calling a handler, and what becomes of its errors: its site's answer, and one log entry with a traceback when the error is ours."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from callboard.model.errors import CallboardError
from callboard.net.http.message import TEXT, After, Answer, Errors, Later, Read, Reply, Request
from callboard.net.http.routing import Place
from callboard.net.http.settings import HttpStats

_INTERNAL: Final = Answer(500, b"internal error\n", TEXT)
_RETRY_AFTER: Final = (b"retry-after", b"1")
_log = logging.getLogger(__name__)


def call(place: Place, request: Request, stats: HttpStats) -> Reply:
    """The handler's reply, or the answer that tells of its error."""
    try:
        return place.route.handler(request)
    except Exception as error:  # noqa: BLE001  # whatever a handler raises ends its request, never the connection of others
        return failed(place.errors, error, stats, f"{request.method} {request.path}")


def judged(place: Place, request: Request, stats: HttpStats, fields: frozenset[str]) -> Reply:
    """The same on the long way, where requests may have header fields that the site judges."""
    if place.judge is not None and not fields.isdisjoint(request.headers):
        try:
            place.judge(request)
        except Exception as error:  # noqa: BLE001  # as if the handler had raised it
            return failed(place.errors, error, stats, f"judging {request.method} {request.path}")
    return call(place, request, stats)


class Replying:
    """What an `After` comes to, as something that will be known."""

    __slots__ = ("_after", "_errors", "_stats")

    def __init__(self, after: After[Any], errors: Errors, stats: HttpStats) -> None:
        self._after = after
        self._errors = errors
        self._stats = stats

    def then(self, callback: Callable[[Reply], None]) -> None:
        """Call back with the reply; one that cannot be made tells why."""

        def known(value: object) -> None:
            try:
                reply = self._after.then(value)
            except Exception as error:  # noqa: BLE001  # as if the handler had raised it
                reply = failed(self._errors, error, self._stats, "making a reply that was waited for")
            callback(reply)

        self._after.pending.then(known)


def at_once(reply: Reply) -> Reply:
    """The same without a wait for a newer answer: nobody will be there to be told of one."""
    if isinstance(reply, After):
        return After(reply.pending, lambda value: at_once(reply.then(value)))
    return replace(reply, after=None) if isinstance(reply, Read) else reply


def failed(errors: Errors, error: Exception, stats: HttpStats, what: str) -> Answer:
    """The answer that tells of `error`. An error outside `CallboardError` is logged, with what it happened to, and never shown."""
    if not isinstance(error, CallboardError):
        stats.failures += 1
        _log.error("%s failed unexpectedly", what, exc_info=error)
    try:
        return errors.failure(error)
    except Exception as second:  # noqa: BLE001  # the same
        stats.failures += 1
        _log.error("the answer to a failed request failed too", exc_info=second)
        return _INTERNAL


def refused(errors: Errors, status: int, detail: str, stats: HttpStats) -> Answer:
    """The answer to a request that HTTP itself refuses; those that may be tried again say so."""
    stats.refused += 1
    answer = errors.refused(status, detail)
    if status not in {429, 503} or any(name.lower() == _RETRY_AFTER[0] for name, _ in answer.headers):
        return answer
    return replace(answer, headers=(*answer.headers, _RETRY_AFTER))


def too_many_waiting(errors: Errors, stats: HttpStats) -> Answer:
    """429 for a query that would have to be parked."""
    return refused(errors, 429, "too many blocked queries; ask again without an index, or later", stats)


def too_late(waited: Later | After[Any], errors: Errors, stats: HttpStats) -> Answer:
    """503 for what took too long to become known. An outcome may still come about, so that is no invitation to try again; a read is."""
    if isinstance(waited, After):
        return refused(errors, 503, "it took too long to learn what the answer depends on; ask again, or another server", stats)
    stats.refused += 1
    return errors.refused(503, "outcome unknown: it took too long; look whether it came about before you try again")

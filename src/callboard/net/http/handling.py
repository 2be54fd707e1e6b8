"""Calling a handler, and what becomes of its errors: its site's answer, and one log entry with a traceback when the error is ours."""

import logging
from dataclasses import replace
from typing import Final

from callboard.model.errors import CallboardError
from callboard.net.http.message import TEXT, Answer, Errors, Reply, Request
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
    return replace(answer, headers=(*answer.headers, _RETRY_AFTER)) if status in {429, 503} else answer


def too_many_waiting(errors: Errors, stats: HttpStats) -> Answer:
    """429 for a query that would have to be parked."""
    return refused(errors, 429, "too many blocked queries; ask again without an index, or later", stats)


def unknown_outcome(errors: Errors, stats: HttpStats) -> Answer:
    """503 for an outcome that took too long. It may still come about, so this is no invitation to try again."""
    stats.refused += 1
    return errors.refused(503, "outcome unknown: it took too long; look whether it came about before you try again")

"""What goes wrong, as problem details (RFC 9457). The one place that pairs our reasons with HTTP's status codes."""

from http import HTTPStatus
from typing import Final

import msgspec

from callboard.model.errors import CallboardError, InvalidError, StoreError
from callboard.model.rows import Refusal, RefusalReason
from callboard.net.http.message import Answer, Request
from callboard.wire.native import Problem

PROBLEM: Final = b"application/problem+json"
RETRY_AFTER: Final = (b"retry-after", b"1")

_REFUSALS: Final[dict[RefusalReason, tuple[int, str]]] = {
    "unknown_instance": (404, "no instance {subject!r} is known here; `callboard instances SERVICE` lists the ids"),
    "unknown_check": (404, "no check {subject!r} is known here"),
    "unknown_node": (404, "no node {subject!r} is known here"),
    "not_ttl": (400, "{subject!r} has no check of kind ttl, so there is nothing a heartbeat could renew"),
    "ambiguous": (409, "{subject!r} is on several nodes; name one with ?node="),
    "superseded": (409, "{subject!r} was replaced in the meantime"),
    "invalid": (400, "{subject!r} is not valid"),
    "deposed": (503, "this server no longer leads"),
    "unavailable": (503, "the store cannot be reached"),
    "overloaded": (503, "too many commands wait for the store"),
    "full": (507, "the store is full; removals still pass"),
    "too_large": (413, "the command is too large for the store"),
    "unknown_outcome": (504, "whether the command counted is not known; look before you try again"),
}
_REFUSED_CODES: Final = {400: "bad_request", 408: "timeout", 413: "too_large", 429: "too_many", 431: "head_too_large", 503: "unavailable"}
_OTHERS: Final = {
    "unknown_instance": (404, "no such instance is known here; whoever keeps it alive registers it again"),
    "unknown_check": (404, "no such check is known here"),
    "unknown_node": (404, "no such node is known here"),
    "invalid": (400, "a parameter, a header field or a field of the body is not as it must be; `field` names it"),
    "bad_request": (400, "the request cannot be read"),
    "unknown_path": (404, "nothing is served there"),
    "wrong_method": (405, "the path takes other methods; `Allow` names them"),
    "timeout": (408, "the request took too long to arrive"),
    "too_large": (413, "the body, or what it asks for, is too large"),
    "too_many": (429, "too many do this at once; `Retry-After` says when to try again"),
    "head_too_large": (431, "the header fields are too large"),
    "internal": (500, "the server failed; its log says why"),
    "unavailable": (503, "no answer can be given now; `Retry-After` says when to try again"),
}
EVERYWHERE: Final = ("invalid", "bad_request", "timeout", "too_large", "head_too_large", "internal", "unavailable")
"""Codes that every operation may answer with."""
CODES: Final[dict[str, tuple[int, str]]] = {
    **{reason: (status, text.replace("{subject!r}", "it")) for reason, (status, text) in _REFUSALS.items()},
    **_OTHERS,
}
"""Every code, with the status it comes with and what it means."""


def problem(status: int, code: str, detail: str, *, field: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    """An error answer. One that may be tried again soon says so."""
    title = HTTPStatus(status).phrase
    body = msgspec.json.encode(Problem(type=f"urn:callboard:{code}", title=title, status=status, detail=detail, code=code, field=field))
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = (*headers, RETRY_AFTER)
    return Answer(status, body, PROBLEM, headers)


def refusal_answer(refusal: Refusal) -> Answer:
    """The answer to a command that was refused."""
    status, text = _REFUSALS[refusal.reason]
    return problem(status, refusal.reason, refusal.detail or text.format(subject=refusal.subject))


def forgotten_answer(refusal: Refusal) -> Answer:
    """The same to a heartbeat: whoever sends one wants to be there."""
    if refusal.reason == "unknown_instance" and not refusal.detail:
        refusal = Refusal(refusal.reason, refusal.subject, f"no instance {refusal.subject!r} is known here; register it again")
    return refusal_answer(refusal)


NOT_READY: Final = problem(503, "unavailable", "the catalog is not loaded yet; try again in a second")
TOO_MANY_WATCHERS: Final = problem(429, "too_many", "too many watches are open; try again later", headers=(RETRY_AFTER,))


class ProblemErrors:
    """Errors of every path below `/api`, and of `/health` and `/ready`."""

    def unknown_path(self, request: Request) -> Answer:
        return problem(404, "unknown_path", f"nothing is served at {request.path}; /api/v1/openapi.json tells what there is")

    def wrong_method(self, request: Request, allowed: tuple[str, ...]) -> Answer:
        allow = (b"allow", ", ".join(sorted(allowed)).encode())
        if request.method == "OPTIONS":
            return Answer(204, headers=(allow,))
        return problem(405, "wrong_method", f"{request.path} takes {', '.join(sorted(allowed))}", headers=(allow,))

    def failure(self, error: Exception) -> Answer:
        if isinstance(error, InvalidError):
            return problem(400, error.code, str(error), field=error.field)
        if isinstance(error, StoreError):
            return problem(503, error.code if error.code in CODES else "unavailable", str(error))
        if isinstance(error, CallboardError):
            return problem(400, error.code if error.code in CODES else "bad_request", str(error))
        return problem(500, "internal", "the server failed; its log says why")

    def refused(self, status: int, detail: str) -> Answer:
        return problem(status, _REFUSED_CODES.get(status, "refused"), detail)

"""What goes wrong, as Consul's clients know it: plain text with Consul's own words, for they compare status and text."""

from html import escape
from typing import Final

from callboard.model.errors import CallboardError, InvalidError, StoreError
from callboard.model.rows import Refusal, RefusalReason
from callboard.net.http.message import TEXT, Answer, Request
from callboard.wire.consul_go import quote
from callboard.wire.url import clean_path, encoded_target

POLICY: Final = ((b"X-Consul-Default-ACL-Policy", b"allow"),)
"""On every answer."""
_AGAIN: Final = (*POLICY, (b"Retry-After", b"1"))
_HTML: Final = b"text/html; charset=utf-8"
_ACCESS: Final = "/v1/acl/"
_UNKNOWN_PATH: Final = "Invalid URL path: not a recognized HTTP API endpoint\n"
_STATUSES: Final[dict[RefusalReason, int]] = {
    "unknown_instance": 404, "unknown_check": 404, "unknown_node": 404, "not_ttl": 500, "ambiguous": 409, "superseded": 409,
    "invalid": 400, "deposed": 503, "unavailable": 503, "full": 503, "too_large": 413, "unknown_outcome": 500, "overloaded": 503,
}  # fmt: skip


class ConsulError(CallboardError):
    """A request that is answered with `status` and `text`."""

    code = "consul"

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def bad_request(text: str) -> ConsulError:
    """400."""
    return ConsulError(400, text)


def not_ready() -> Answer:
    """The view is not complete, or nobody leads."""
    return text_answer(503, "No cluster leader")


def text_answer(status: int, text: str) -> Answer:
    """A bare message; when it is worth trying again soon, it says so."""
    return Answer(status, text.encode(), TEXT, _AGAIN if status == 503 else POLICY)


def refusal_answer(refusal: Refusal) -> Answer:
    """The one place where the reasons of a refusal become statuses and texts."""
    return text_answer(_STATUSES[refusal.reason], _refusal_text(refusal))


def _refusal_text(refusal: Refusal) -> str:
    match refusal.reason:
        case "unknown_instance":
            return f"Unknown service ID {quote(refusal.subject)}. Ensure that the service ID is passed, not the service name."
        case "unknown_check":
            return f"Unknown check ID {quote(refusal.subject)}. Ensure that the check ID is passed, not the check name."
        case "unknown_node":
            return f"Unknown node {quote(refusal.subject)}"
        case "not_ttl":
            return f"CheckID {quote(refusal.subject)} does not have associated TTL"
        case _:
            return refusal.detail or f"{refusal.reason.replace('_', ' ')}: {refusal.subject}"


class ConsulErrors:
    """How this door tells what HTTP or a handler finds wrong."""

    def __init__(self, paths: frozenset[str] = frozenset()) -> None:
        """`paths` of the routes there are."""
        self._paths = paths

    def unknown_path(self, request: Request) -> Answer:
        """404; or the way to the path that was meant, when its last slash is missing or another one is there twice.

        Whoever asks for access control is told that there is none, as by a Consul that has it switched off.
        """
        if request.path.startswith(_ACCESS):
            return text_answer(401, "ACL support disabled")
        path = clean_path(request.path)
        if path == request.path:
            path = f"{path}/"
            if path not in self._paths:
                return text_answer(404, _UNKNOWN_PATH)
        try:
            target = encoded_target(path, request.query)
        except InvalidError as error:
            return text_answer(400, str(error))
        body = f'<a href="{escape(target)}">Temporary Redirect</a>.\n\n'
        return Answer(307, body.encode(), _HTML, (*POLICY, (b"Location", target.encode())))

    def wrong_method(self, request: Request, allowed: tuple[str, ...]) -> Answer:
        methods = b",".join(method.encode() for method in ("OPTIONS", *(method for method in allowed if method != "OPTIONS")))
        headers = (*POLICY, (b"Allow", methods))
        if request.method == "OPTIONS":
            return Answer(200, b"", TEXT, headers)
        return Answer(405, f"method {request.method} not allowed".encode(), TEXT, headers)

    def failure(self, error: Exception) -> Answer:
        if isinstance(error, ConsulError):
            return text_answer(error.status, error.text)
        if isinstance(error, InvalidError):
            return text_answer(400, str(error))
        if isinstance(error, StoreError):
            return text_answer(503, str(error))
        return text_answer(500, "internal error")

    def refused(self, status: int, detail: str) -> Answer:
        return text_answer(status, detail)

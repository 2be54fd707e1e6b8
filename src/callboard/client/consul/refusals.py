"""What Consul's refusals mean. They are plain text and a status, and the text is told on."""

from typing import Final

from callboard.client.errors import (
    AmbiguousError,
    ClientError,
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    ProblemError,
    ProtocolError,
    UnavailableError,
)

_TEXT_MAX_CHARS: Final = 200
_TAIL_CHARS: Final = 50
"""Of a longer text so much of the end is kept: Consul says what happened before and after a name."""
_LATER: Final = 429
_KINDS: Final[dict[int, type[ProblemError]]] = {401: DeniedError, 403: DeniedError, 404: NotFoundError, 409: AmbiguousError}
_NO_ANSWERS: Final = ("Invalid URL path", "<")
_UNKNOWN: Final = ("unknown check", "does not have associated ttl")
_GONE: Final = ("unknown service", "no service registered")


def error_of(status: int, body: bytes, url: str, retry_after: str = "") -> ClientError:
    """The error for an answer that is not 2xx."""
    text = _line(body) or f"status {status}"
    code = f"consul_{status}"
    if status == 404 and text.startswith(_NO_ANSWERS):
        return ProtocolError(url, f"it has no such path of Consul's API: {text}")
    if status >= 500 or status == _LATER:
        wait = int(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0
        return UnavailableError(status, code, text, retry_after_s=wait)
    if status < 400:
        return ProtocolError(url, f"status {status}")
    return _KINDS.get(status, InvalidRequestError)(status, code, text)


def _line(body: bytes) -> str:
    """A body as one line, which also a web page for people is cut to."""
    text = "".join(char if char.isprintable() else " " for char in body.decode(errors="replace"))
    text = " ".join(text.split())
    return text if len(text) <= _TEXT_MAX_CHARS else f"{text[: _TEXT_MAX_CHARS - _TAIL_CHARS - 5]} ... {text[-_TAIL_CHARS:]}"


def is_forgotten(error: ProblemError) -> bool:
    """Whether a refused heartbeat means that the check is not there, or is no TTL check. An older Consul says so with 500."""
    return error.status == 404 or (error.status == 500 and _says(error, _UNKNOWN))


def is_gone(error: ProblemError) -> bool:
    """Whether a refused removal means that there is nothing to remove."""
    return error.status == 404 or (error.status == 500 and _says(error, _GONE))


def _says(error: ProblemError, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(word in text for word in words)

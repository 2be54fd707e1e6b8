"""From a reply to its value, or to the error it means."""

from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from callboard.client.errors import (
    AmbiguousError,
    ClientError,
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    ProblemError,
    ProtocolError,
    SpeaksTlsError,
    UnavailableError,
    UnknownOutcomeError,
)
from callboard.client.transport import Reply
from callboard.wire.native import Problem

S = TypeVar("S", bound=Struct)

_KINDS: Final[dict[int, type[ProblemError]]] = {401: DeniedError, 403: DeniedError, 404: NotFoundError}
_BAD_REQUEST: Final = 400
_WANT_TLS: Final = ("this port speaks tls", "client sent an http request to an https server")
"""What servers of Callboard, and those in Go, say to somebody who speaks HTTP without TLS."""
_LATER: Final = 429
_SAID_MAX_BYTES: Final = 120
"""Of an answer that is none of ours, so much is shown."""
_DECODING: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def value_of(reply: Reply, to: type[S]) -> S:
    """The body as `to`. Raises the `ClientError` that a refusal means, and `ProtocolError` for what is no answer of /api/v1."""
    if not 200 <= reply.status < 300:
        raise error_of(reply)
    try:
        return msgspec.json.decode(reply.body, type=to)
    except _DECODING as error:
        raise ProtocolError(reply.url, str(error)) from None


def error_of(reply: Reply) -> ClientError:
    """What a refusal means. Without a problem document it was not said by /api/v1."""
    try:
        problem = msgspec.json.decode(reply.body, type=Problem)
    except _DECODING:
        text = reply.body[:_SAID_MAX_BYTES].decode("utf-8", "replace").partition("\n")[0].strip()
        if reply.status == _BAD_REQUEST and text.lower().startswith(_WANT_TLS) and reply.url.startswith("http://"):
            return SpeaksTlsError(reply.url)
        shown = f": {text}" if text and text.isprintable() and not text.startswith("<") else ""
        return ProtocolError(reply.url, f"status {reply.status} without a problem document{shown}")
    if problem.code == "unknown_outcome":
        return UnknownOutcomeError(reply.url, problem.detail)
    said = (reply.status, problem.code, problem.detail or problem.title, problem.field)
    if problem.code == "ambiguous":
        return AmbiguousError(*said)
    if reply.status >= 500 or reply.status == _LATER:
        wait = reply.retry_after
        return UnavailableError(*said, retry_after_s=int(wait) if wait.isascii() and wait.isdigit() else 0)
    return _KINDS.get(reply.status, InvalidRequestError)(*said)

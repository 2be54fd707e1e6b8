"""What etcd's errors mean, decided once, by code and text. Pure; a failure lives as long as the error it becomes."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final


class Cause(Enum):
    """Why a call has no answer. All but `UNKNOWN` and `FULL` say that nothing was applied."""

    UNKNOWN = auto()
    """No answer, or one that leaves it open: what was sent may have been applied, or will be."""
    UNSENT = auto()
    """No endpoint could be connected; nothing was sent."""
    BUSY = auto()
    """Refused before it was looked at; it may be sent again."""
    TOKEN = auto()
    """Our token is no longer good; a new one helps."""
    DENIED = auto()
    COMPACTED = auto()
    FUTURE = auto()
    """A revision that etcd has not reached."""
    FULL = auto()
    """etcd says so of what it has refused, and also of what it has applied when that took it over its quota; it will not come later."""
    TOO_LARGE = auto()
    NO_LEASE = auto()
    INVALID = auto()
    """Refused for another reason."""


class EtcdError(Exception):
    """A call that etcd did not answer as it should. Never leaves this folder."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause = cause
        self.text = text


_TEXTS: Final[tuple[tuple[str, Cause], ...]] = (
    ("required revision has been compacted", Cause.COMPACTED),
    ("required revision is a future revision", Cause.FUTURE),
    ("database space exceeded", Cause.FULL),
    ("request is too large", Cause.TOO_LARGE),
    ("too many operations in txn", Cause.TOO_LARGE),
    ("message larger than max", Cause.TOO_LARGE),
    ("too many requests", Cause.BUSY),
    ("invalid auth token", Cause.TOKEN),
    ("revision of auth store is old", Cause.TOKEN),
    ("permission denied", Cause.DENIED),
    ("authentication failed", Cause.DENIED),
    ("authentication is not enabled", Cause.DENIED),
    ("user name is empty", Cause.DENIED),
    ("user name not found", Cause.DENIED),
    ("lease not found", Cause.NO_LEASE),
    ("etcdserver: no leader", Cause.BUSY),
)
_CODES: Final[Mapping[str, Cause]] = {
    "UNAUTHENTICATED": Cause.TOKEN,
    "PERMISSION_DENIED": Cause.DENIED,
    "INVALID_ARGUMENT": Cause.INVALID,
    "OUT_OF_RANGE": Cause.INVALID,
    "FAILED_PRECONDITION": Cause.INVALID,
    "NOT_FOUND": Cause.INVALID,
    "UNIMPLEMENTED": Cause.INVALID,
}


def failure(code: str, details: str) -> EtcdError:
    """The error that a call ended with, from gRPC's code and etcd's text."""
    for text, cause in _TEXTS:
        if text in details:
            return EtcdError(cause, details)
    return EtcdError(_CODES.get(code, Cause.UNKNOWN), f"{details or 'no answer'} ({code})")

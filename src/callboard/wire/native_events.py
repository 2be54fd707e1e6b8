"""Server-sent events, the writing half (WHATWG HTML section 9.2): values to bytes. Data is JSON, so it is always one line."""

from typing import Final, Literal

import msgspec
from msgspec import Struct

CONTENT_TYPE: Final = b"text/event-stream"
ALIVE: Final = b": alive\n\n"
"""A comment: it keeps proxies and readers from taking silence for death."""
Kind = Literal["added", "changed", "removed", "ready", "resync"]


def data(value: Struct) -> bytes:
    """What an event carries."""
    return msgspec.json.encode(value)


def event(kind: Kind, value: bytes) -> bytes:
    """One event without an id."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), value)


def closing(revision: int, history: str, frame: bytes) -> bytes:
    """The last event of its group: a reader that has seen it resumes after `revision` of that history."""
    return b"id: %d.%b\n%b" % (revision, history.encode(), frame)


def aged(age_ms: int) -> bytes:
    """Instead of `ALIVE`: what was told so far may be as old as this."""
    return b": alive, age %d ms\n\n" % age_ms


def retry(milliseconds: int) -> bytes:
    """How long a reader waits before it connects again."""
    return b"retry: %d\n\n" % milliseconds

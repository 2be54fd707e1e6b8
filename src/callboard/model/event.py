"""Events: short notes that somebody fires and every member shows, the last few of them. An `Event` lives until newer ones push it out."""

from hashlib import blake2b
from typing import Final

from msgspec import Struct

from callboard.model.errors import InvalidError
from callboard.model.rows import ZERO, Revision

RING_COUNT: Final = 256
"""Events that are kept."""
SIZE_MAX_BYTES: Final = 512
"""Name and payload of an event together."""
FILTER_MAX_CHARS: Final = 512
"""Each of an event's filters."""


class EventSpec(Struct, frozen=True, gc=False, kw_only=True):
    """What a caller fires. The filters say for whom it is meant; they are shown, and judged by whoever reads them."""

    name: str
    payload: bytes = b""
    node_filter: str = ""
    service_filter: str = ""
    tag_filter: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidError("name", "must not be empty")
        if len(self.name.encode()) + len(self.payload) > SIZE_MAX_BYTES:
            raise InvalidError("payload", f"name and payload must have at most {SIZE_MAX_BYTES} bytes together")
        for field in ("node_filter", "service_filter", "tag_filter"):
            if len(getattr(self, field)) > FILTER_MAX_CHARS:
                raise InvalidError(field, f"must have at most {FILTER_MAX_CHARS} characters")


class Event(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One that was fired. `number` counts all events that ever were; it also tells the place in the ring."""

    name: str
    number: int
    nonce: str
    payload: bytes = b""
    node_filter: str = ""
    service_filter: str = ""
    tag_filter: str = ""
    modified: Revision = ZERO


def event_id(nonce: str, revision: Revision) -> str:
    """The UUID of the event that was fired at `revision`.

    Its halves give the revision when they are combined by exclusive or: so Consul's clients get from an id to the index they wait for.
    """
    low = int.from_bytes(blake2b(nonce.encode(), digest_size=8).digest())
    text = f"{low:016x}{low ^ revision:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

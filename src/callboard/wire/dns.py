"""DNS messages: queries are read, the heads of responses are written (RFC 1035 section 4.1, EDNS of RFC 6891).

Everything lives for one message. A query is read in one of two ways: `glance` for the form nearly all have, `parse_query` for every form.
"""

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from callboard.model.errors import InvalidError
from callboard.wire.dns_names import end_of_name, end_of_owner
from callboard.wire.dns_records import Type

HEADER_BYTES: Final = 12
UDP_PLAIN_BYTES: Final = 512
"""What any client takes over UDP (RFC 1035 section 4.2.1)."""
MESSAGE_MAX_BYTES: Final = 65_535
OPT_BYTES: Final = 11
"""Size of an OPT record without options."""

RESPONSE: Final = 0x80
"""Flag in byte 2 of a message."""
OPCODE: Final = 0x78
AUTHORITATIVE: Final = 0x04
TRUNCATED: Final = 0x02
RECURSION_DESIRED: Final = 0x01
RECURSION_AVAILABLE: Final = 0x80
"""Flag in byte 3."""
CHECKING_DISABLED: Final = 0x10

HEAD: Final = Struct(">BBHHHH").pack
"""All of a header but the id: two bytes of flags; how many questions, answers, authority and additional records."""
_HEADER: Final = Struct(">HBBHHHH").unpack_from
_QUESTION: Final = Struct(">HH").unpack_from
_RECORD: Final = Struct(">HHBBHH").unpack_from
_GLANCE: Final = Struct(">HBBHH").unpack_from
_ONE_QUESTION: Final = b"\0\1\0\0\0\0"
_ROOT_OPT: Final = b"\0\0\x29"
_DNSSEC_OK: Final = 0x8000
_UNUSUAL_FLAGS: Final = 0xFE


class Rcode(IntEnum):
    """Response codes."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


class Edns(NamedTuple):
    """What a query's OPT record says."""

    payload_bytes: int
    version: int
    dnssec_ok: bool
    options: bytes = b""
    """As they came: `wire.dns_options` reads them."""


class Query(NamedTuple):
    """A query with one question. The question is `message[12:end]`; `name` is its name in wire form, in lower case."""

    name: bytes
    kind: int
    category: int
    """The class: IN, or another name space."""
    end: int
    edns: Edns | None


class Glance(NamedTuple):
    """What must be known of a query to answer it from memory: where its question ends, and its EDNS payload (0 for none) and DO bit."""

    end: int
    payload_bytes: int
    dnssec_ok: bool


def glance(message: bytes) -> Glance | None:
    """A query with plain flags, one question, and at most an OPT record of version 0. None for all others: `parse_query` judges these.

    The name is not judged, so it means something only when it equals one that `parse_query` has seen.
    """
    size, end = len(message), message.find(b"\0", HEADER_BYTES) + 5
    if size < HEADER_BYTES + 5 or end < HEADER_BYTES + 5 or end > size or message[2] & _UNUSUAL_FLAGS or message[4:10] != _ONE_QUESTION:
        return None
    if size == end:
        return Glance(end, 0, dnssec_ok=False) if message[10:12] == b"\0\0" else None
    if size < end + OPT_BYTES or message[10:12] != b"\0\1" or not message.startswith(_ROOT_OPT, end):
        return None
    payload, _, version, flags, length = _GLANCE(message, end + 3)
    if version or size != end + OPT_BYTES + length:
        return None
    return Glance(end, payload or UDP_PLAIN_BYTES, flags & _DNSSEC_OK != 0)


def parse_query(message: bytes) -> Query:
    """Read a whole query. Raises `InvalidError` for anything that is to be answered with FORMERR."""
    if len(message) < HEADER_BYTES:
        raise InvalidError("message", f"must have at least {HEADER_BYTES} bytes, has {len(message)}")
    _, _, _, questions, answers, authorities, additionals = _HEADER(message)
    if questions != 1:
        raise InvalidError("question", f"there must be one, there are {questions}")
    end = end_of_name(message, HEADER_BYTES)
    if end + 4 > len(message):
        raise InvalidError("question", "its type or class is cut off")
    name = message[HEADER_BYTES:end].lower()
    kind, category = _QUESTION(message, end)
    edns, at = None, end + 4
    for number in range(answers + authorities + additionals):
        found, at = _pass_record(message, at)
        if found is not None:
            if edns is not None or number < answers + authorities:
                raise InvalidError("record", "there may be one OPT record, among the additional ones")
            edns = found
    if at != len(message):
        raise InvalidError("message", f"{len(message) - at} bytes follow its end")
    return Query(name, kind, category, end + 4, edns)


def _pass_record(message: bytes, at: int) -> tuple[Edns | None, int]:
    """Where the record at `at` ends, and what it says if it is an OPT record."""
    fixed = end_of_owner(message, at)
    if fixed + 10 > len(message):
        raise InvalidError("record", f"the one at byte {at} is cut off")
    kind, payload, _, version, flags, length = _RECORD(message, fixed)
    end = fixed + 10 + length
    if end > len(message):
        raise InvalidError("record", f"the data of the one at byte {at} is cut off")
    if kind != Type.OPT:
        return None, end
    if fixed != at + 1:
        raise InvalidError("record", "an OPT record belongs to the root")
    return Edns(payload or UDP_PLAIN_BYTES, version, flags & _DNSSEC_OK != 0, message[fixed + 10 : end]), end


def is_answerable(message: bytes) -> bool:
    """Whether there is an id to answer to, and the message is no response: two servers must not talk to each other for ever."""
    return len(message) >= HEADER_BYTES and not message[2] & RESPONSE


def refusal(message: bytes, rcode: Rcode) -> bytes:
    """A response without a question, for a message that cannot be read or whose opcode is not known."""
    flags = RESPONSE | message[2] & (OPCODE | RECURSION_DESIRED)
    return message[:2] + HEAD(flags, rcode, 0, 0, 0, 0)

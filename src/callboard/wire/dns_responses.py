"""Questions to other name servers, and what becomes of their answers (RFC 1035 section 7.3). Pure; everything lives for one exchange.

An answer is trusted as far as it was asked for: same id, same question. It is passed on cut at the end of a record, so that the pointers in
what is left still lead where they did.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from callboard.model.errors import InvalidError
from callboard.wire.dns import (
    AUTHORITATIVE,
    CHECKING_DISABLED,
    HEAD,
    HEADER_BYTES,
    RECURSION_AVAILABLE,
    RECURSION_DESIRED,
    RESPONSE,
    TRUNCATED,
)
from callboard.wire.dns_names import NAME_MAX_BYTES, end_of_owner
from callboard.wire.dns_records import IN, Type, record

_HEADER: Final = Struct(">HBBHHHH").unpack_from
_FIXED: Final = Struct(">HHIH").unpack_from
_FIXED_BYTES: Final = 10
_POINTER: Final = 0xC0
_LABEL_MAX_BYTES: Final = 63
_ADDRESS_BYTES: Final[dict[int, int]] = {Type.A: 4, Type.AAAA: 16}
_RCODE: Final = 0x0F
_JUDGED: Final = 0x20 | CHECKING_DISABLED
"""Flags in byte 3 that are passed on as they came: AD and CD."""


class Asked(NamedTuple):
    """A question as it is passed on: name, type and class in wire form, and what of the client's wishes goes with it."""

    question: bytes
    opt: bytes = b""
    """An OPT record, when the client sent one."""
    checking_disabled: bool = False


def ask_message(asked: Asked, number: int) -> bytes:
    """The query with the id `number`."""
    flags = CHECKING_DISABLED if asked.checking_disabled else 0
    head = number.to_bytes(2, "big") + HEAD(RECURSION_DESIRED, flags, 1, 0, 0, 1 if asked.opt else 0)
    return head + asked.question + asked.opt


def is_answer(message: bytes, query: bytes, question: bytes) -> bool:
    """Whether a message answers our query: its id and its question are those, whatever the case of the letters."""
    end = HEADER_BYTES + len(question)
    return (
        len(message) >= end
        and message[:2] == query[:2]
        and message[2] & RESPONSE != 0
        and message[4:6] == b"\0\1"
        and message[HEADER_BYTES:end].lower() == question.lower()
    )


def is_cut(message: bytes) -> bool:
    """Whether there is more over TCP."""
    return message[2] & TRUNCATED != 0


def rcode_of(message: bytes) -> int:
    """The lower four bits of the response code."""
    return message[3] & _RCODE


class _Record(NamedTuple):
    """Where a record stands, and what it is."""

    section: int
    """0: answers, 1: authority, 2: additional."""
    start: int
    kind: int
    category: int
    ttl_s: int
    data: int
    end: int


def _records(message: bytes, at: int) -> Iterator[_Record]:
    """The records from byte `at` on, in order. Raises `InvalidError` for one that cannot be read."""
    *_, answers, authorities, additionals = _HEADER(message)
    for section, count in enumerate((answers, authorities, additionals)):
        for _ in range(count):
            fixed = end_of_owner(message, at)
            data = fixed + _FIXED_BYTES
            if data > len(message):
                raise InvalidError("record", f"the one at byte {at} is cut off")
            kind, category, ttl_s, length = _FIXED(message, fixed)
            if data + length > len(message):
                raise InvalidError("record", f"the data of the one at byte {at} is cut off")
            yield _Record(section, at, kind, category, ttl_s, data, data + length)
            at = data + length


def passed_on(message: bytes, query: bytes, end: int, opt: bytes, room: int) -> bytes:
    """The answer of another server as the answer to our client's `query`, whose question ends at `end`, in at most `room` bytes.

    Raises `InvalidError` when it cannot be read. `opt` is our own OPT record; theirs stays here but for its part of the response code.
    """
    counts = [0, 0, 0]
    at, cut, upper = end, False, 0
    for each in _records(message, end):
        if each.kind == Type.OPT:
            upper = each.ttl_s >> 24
            break  # what follows may point behind it
        if each.end + len(opt) > room:
            cut = each.section < 2
            break
        counts[each.section] += 1
        at = each.end
    flags = RESPONSE | message[2] & (AUTHORITATIVE | TRUNCATED) | query[2] & RECURSION_DESIRED | (TRUNCATED if cut else 0)
    if opt:
        counts[2] += 1
        opt = opt[:5] + bytes((upper,)) + opt[6:]
    head = query[:2] + HEAD(flags, RECURSION_AVAILABLE | message[3] & (_JUDGED | _RCODE), 1, *counts)
    return head + query[HEADER_BYTES:end] + message[end:at] + opt


class Chain(NamedTuple):
    """What a name leads to: further CNAME records, in order, and addresses. Each record with its names written out."""

    aliases: tuple[bytes, ...] = ()
    addresses: tuple[bytes, ...] = ()


def chain_of(message: bytes, question: bytes, most: int) -> Chain:
    """The CNAME records and addresses in an answer, at most `most`. Raises `InvalidError` when it cannot be read."""
    aliases: list[bytes] = []
    addresses: list[bytes] = []
    for each in _records(message, HEADER_BYTES + len(question)):
        if each.section or len(aliases) + len(addresses) == most:
            break
        if each.category != IN:
            continue
        owner = _whole_name(message, each.start)
        if each.kind == Type.CNAME:
            aliases.append(record(owner, Type.CNAME, each.ttl_s, _whole_name(message, each.data)))
        elif each.end - each.data == _ADDRESS_BYTES.get(each.kind):
            addresses.append(record(owner, Type(each.kind), each.ttl_s, message[each.data : each.end]))
    return Chain(tuple(aliases), tuple(addresses))


def _whole_name(message: bytes, at: int) -> bytes:
    """The name at `at` without pointers. Each pointer leads further back, so it comes to an end."""
    out = bytearray()
    before = at
    while at < len(message):
        length = message[at]
        if length >= _POINTER:
            target = int.from_bytes(message[at : at + 2], "big") & 0x3FFF
            if not HEADER_BYTES <= target < before:
                raise InvalidError("record", f"the pointer at byte {at} leads to no name before it")
            before = at = target
            continue
        if length > _LABEL_MAX_BYTES or len(out) + 1 + length > NAME_MAX_BYTES:
            raise InvalidError("record", f"byte {at} starts no label, or a name is too long")
        out += message[at : at + 1 + length]
        if length == 0:
            return bytes(out)
        at += 1 + length
    raise InvalidError("record", "the name is cut off")

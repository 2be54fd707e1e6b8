"""Domain names as DNS carries them: length-prefixed labels, with pointers to what was said before (RFC 1035 sections 3.1 and 4.1.4).

A name in wire form ends with the empty label of the root and is never compressed when it stands alone.
"""

from collections.abc import Iterable
from typing import Final

from callboard.model.errors import InvalidError

LABEL_MAX_BYTES: Final = 63
NAME_MAX_BYTES: Final = 255
"""In wire form, length bytes and root included."""
_POINTER: Final = 0xC0
_POINTER_MAX: Final = 0x3FFF


def encode_labels(labels: Iterable[bytes]) -> bytes:
    """Labels in wire form. Raises `InvalidError` for one that is empty or longer than 63 bytes, and for more than 255 bytes in all."""
    out = bytearray()
    for label in labels:
        if not 1 <= len(label) <= LABEL_MAX_BYTES:
            raise InvalidError("domain name", f"each part between dots must have 1 to {LABEL_MAX_BYTES} bytes, one has {len(label)}")
        out.append(len(label))
        out += label
    out.append(0)
    if len(out) > NAME_MAX_BYTES:
        raise InvalidError("domain name", f"must have at most {NAME_MAX_BYTES} bytes in wire form, has {len(out)}")
    return bytes(out)


def encode_name(text: str) -> bytes:
    """A name as people write it, with or without the last dot, in wire form. Raises `InvalidError` as `encode_labels` does."""
    return encode_labels(text.removesuffix(".").encode().split(b"."))


def split_name(name: bytes) -> tuple[bytes, ...]:
    """The labels of a valid name in wire form."""
    labels = []
    at = 0
    while length := name[at]:
        labels.append(name[at + 1 : at + 1 + length])
        at += 1 + length
    return tuple(labels)


def end_of_name(message: bytes, at: int) -> int:
    """Where the uncompressed name that starts at `at` ends. Raises `InvalidError` when it is cut off, too long, or has a pointer."""
    start = at
    while at < len(message):
        length = message[at]
        if length > LABEL_MAX_BYTES:
            raise InvalidError("question", f"byte {at} starts no label: {length:#x}")
        at += 1 + length
        if at - start > NAME_MAX_BYTES:
            raise InvalidError("question", f"the name has more than {NAME_MAX_BYTES} bytes")
        if length == 0:
            return at
    raise InvalidError("question", "the name is cut off")


def end_of_owner(message: bytes, at: int) -> int:
    """Where the owner name of a record ends, which may point back. Raises `InvalidError` when it is cut off or points forward."""
    start = at
    while at < len(message):
        length = message[at]
        if length >= _POINTER:
            if at + 2 > len(message):
                break
            if int.from_bytes(message[at : at + 2], "big") & _POINTER_MAX >= start:
                raise InvalidError("record", f"the pointer at byte {at} leads forward")
            return at + 2
        if length > LABEL_MAX_BYTES:
            raise InvalidError("record", f"byte {at} starts no label: {length:#x}")
        at += 1 + length
        if length == 0:
            return at
    raise InvalidError("record", "the name is cut off")


class Compression:
    """Shortens names by pointing at the question, which stands at byte 12 of every message: so a record can stand at any place in it."""

    __slots__ = ("_places",)

    def __init__(self, question: bytes, at: int = 12) -> None:
        """`question` is the name in the question, in wire form."""
        self._places: dict[bytes, bytes] = {}
        question = question.lower()
        start = 0
        while length := question[start]:
            self._places[question[start:]] = (_POINTER << 8 | at + start).to_bytes(2, "big")
            start += 1 + length

    def shorten(self, name: bytes) -> bytes:
        """The name, its longest ending that is part of the question replaced by a pointer."""
        lower = name.lower()
        at = 0
        while length := lower[at]:
            if (pointer := self._places.get(lower[at:])) is not None:
                return name[:at] + pointer
            at += 1 + length
        return name

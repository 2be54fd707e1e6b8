"""When a certificate holds and for whom: the two times and the names of an X.509 certificate (RFC 5280), read from the text of a PEM file.

OpenSSL is asked whether a certificate is good; what it does not tell through Python is until when the server's own will be, and what
stands in one that it refuses.
"""

import binascii
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final, NamedTuple

from callboard.model.errors import InvalidError

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERAL_TIME: Final = 0x18
_LONG: Final = 0x80
_LENGTH_MAX_BYTES: Final = 4
_EXTENSIONS: Final = 0xA3
_OTHER_NAMES: Final = bytes((0x55, 0x1D, 0x11))
"""2.5.29.17, subjectAltName."""
_DNS_NAME: Final = 0x82
_ADDRESS: Final = 0x87
_BEFORE_VALIDITY: Final = 3
"""Serial number, algorithm, issuer."""


class Validity(NamedTuple):
    """From when to when a certificate holds, in seconds since 1970 (UTC)."""

    not_before_s: int
    not_after_s: int


class _Element(NamedTuple):
    tag: int
    content: bytes


def validity(pem: bytes) -> Validity:
    """Of the first certificate in a PEM file: that of the server, if others follow. Raises `InvalidError`."""
    try:
        return _validity(_first(pem))
    except (IndexError, StopIteration, ValueError):
        raise InvalidError("certificate", "is damaged") from None


def names(pem: bytes) -> tuple[str, ...]:
    """Hosts and addresses for which the first certificate in a PEM file is (subjectAltName). Raises `InvalidError`."""
    try:
        return tuple(_names(_first(pem)))
    except (IndexError, StopIteration, ValueError):
        raise InvalidError("certificate", "is damaged") from None


def _names(der: bytes) -> list[str]:
    found: list[str] = []
    signed = next(_inside(_sequence(next(_inside(der)))))
    for field in _inside(_sequence(signed)):
        if field.tag != _EXTENSIONS:
            continue
        for extension in _inside(_sequence(next(_inside(field.content)))):
            kind, *_, value = _inside(_sequence(extension))
            if kind.content == _OTHER_NAMES:
                found += filter(None, map(_name, _inside(_sequence(next(_inside(value.content))))))
    return found


def _name(element: _Element) -> str:
    if element.tag == _DNS_NAME:
        return element.content.decode("ascii")
    return str(ip_address(element.content)) if element.tag == _ADDRESS else ""


def _first(pem: bytes) -> bytes:
    _, begin, rest = pem.partition(_BEGIN)
    text, end, _ = rest.partition(_END)
    if not begin or not end:
        raise InvalidError("certificate", f"there is none: a PEM file has a line {_BEGIN.decode()}")
    return binascii.a2b_base64(text)


def _validity(der: bytes) -> Validity:
    signed = next(_inside(_sequence(next(_inside(der)))))
    fields = _inside(_sequence(signed))
    field = next(fields)
    for _ in range(_BEFORE_VALIDITY + (field.tag == _VERSION)):
        field = next(fields)
    times = _inside(_sequence(field))
    return Validity(_seconds(next(times)), _seconds(next(times)))


def _sequence(element: _Element) -> bytes:
    if element.tag != _SEQUENCE:
        raise ValueError
    return element.content


def _inside(der: bytes) -> Iterator[_Element]:
    """The elements of which some bytes consist (DER: tag, length, content)."""
    at = 0
    while at < len(der):
        tag, length = der[at], der[at + 1]
        at += 2
        if length >= _LONG:
            count = length - _LONG
            if not 0 < count <= _LENGTH_MAX_BYTES or at + count > len(der):
                raise ValueError
            length = int.from_bytes(der[at : at + count], "big")
            at += count
        if at + length > len(der):
            raise ValueError
        yield _Element(tag, der[at : at + length])
        at += length


def _seconds(element: _Element) -> int:
    """A time (RFC 5280 section 4.1.2.5): two digits of the year mean 1950 to 2049."""
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:
        text = ("20" if text < "50" else "19") + text
    elif element.tag != _GENERAL_TIME:
        raise ValueError
    return int(datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())

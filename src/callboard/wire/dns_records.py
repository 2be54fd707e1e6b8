"""Resource records in wire form, each complete and independent of its place in a message (RFC 1035 section 4.1.3, RFC 2782, RFC 3596)."""

from enum import IntEnum
from ipaddress import IPv6Address
from struct import Struct
from typing import Final, NamedTuple


class Type(IntEnum):
    """Record and question types that mean something to us."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    TXT = 16
    AAAA = 28
    SRV = 33
    OPT = 41
    TKEY = 249
    AXFR = 252
    MAILA = 254
    ANY = 255


IN: Final = 1
ANY_CLASS: Final = 255
TTL_MAX_S: Final = 2**31 - 1
"""RFC 2181 section 8."""
_FIXED: Final = Struct(">HHIH").pack
_SRV: Final = Struct(">HHIHHHH").pack
_SRV_BYTES: Final = 6
"""Of its data, without the target."""
_SOA: Final = Struct(">IIIII").pack
_OPT: Final = Struct(">BHHBBHH").pack
_DNSSEC_OK: Final = 0x8000
_STRING_MAX_BYTES: Final = 255
_RAW_PREFIX: Final = "rfc1035-"
_IPV4_PARTS: Final = 4
_OCTETS: Final = {str(octet): octet for octet in range(256)}
"""As they are written: without a leading zero, which some read as octal."""


def record(owner: bytes, kind: Type, ttl_s: int, data: bytes) -> bytes:
    """One record of class IN. `owner` in wire form, compressed or not."""
    return owner + _FIXED(kind, IN, ttl_s, len(data)) + data


def address_record(owner: bytes, ttl_s: int, address: bytes) -> bytes:
    """An A or AAAA record: the length of the packed address tells which."""
    return record(owner, Type.A if len(address) == _IPV4_PARTS else Type.AAAA, ttl_s, address)


def srv_record(owner: bytes, ttl_s: int, *, priority: int, weight: int, port: int, target: bytes) -> bytes:
    """An SRV record; its target must not be compressed (RFC 2782)."""
    return owner + _SRV(Type.SRV, IN, ttl_s, _SRV_BYTES + len(target), priority, weight, port) + target


class Authority(NamedTuple):
    """What an SOA record says about its zone, apart from the names (RFC 1035 section 3.3.13), in seconds."""

    serial: int
    refresh_s: int
    retry_s: int
    expire_s: int
    negative_ttl_s: int
    """How long "there is no such name" may be remembered (RFC 2308)."""


def soa_record(owner: bytes, server: bytes, mailbox: bytes, ttl_s: int, authority: Authority) -> bytes:
    """The start of a zone of authority: `server` its first name server, `mailbox` who keeps it, as a name."""
    return record(owner, Type.SOA, ttl_s, server + mailbox + _SOA(*authority))


def txt_record(owner: bytes, ttl_s: int, text: bytes) -> bytes:
    """A TXT record: one text, in as many character strings as it takes (RFC 1035 section 3.3.14). An empty one is one empty string."""
    parts = [text[at : at + _STRING_MAX_BYTES] for at in range(0, len(text), _STRING_MAX_BYTES)] or [b""]
    return record(owner, Type.TXT, ttl_s, b"".join(b"%c%b" % (len(part), part) for part in parts))


def attribute_text(key: str, value: str) -> bytes:
    """`key=value` as RFC 1464 writes it in a TXT record; keys of ours have nothing to be quoted.

    The value of a key that starts with `rfc1035-` stands alone, as in Consul.
    """
    if key.lower().startswith(_RAW_PREFIX):
        return value.encode()
    return f"{key}={value.replace('`', '``')}".encode()


def opt_record(payload_bytes: int, *, dnssec_ok: bool, rcode: int = 0, options: bytes = b"") -> bytes:
    """The EDNS record: what we take over UDP, the client's DO bit sent back, and the upper bits of the response code (RFC 6891)."""
    return _OPT(0, Type.OPT, payload_bytes, rcode >> 4, 0, _DNSSEC_OK if dnssec_ok else 0, len(options)) + options


def packed_address(text: str) -> bytes | None:
    """The 4 or 16 bytes of an IP address; None for a host name."""
    try:
        if ":" in text:
            return IPv6Address(text).packed
        parts = text.split(".")
        return bytes([_OCTETS[part] for part in parts]) if len(parts) == _IPV4_PARTS else None
    except (KeyError, ValueError):
        return None

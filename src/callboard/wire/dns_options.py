"""Options of an OPT record (RFC 6891 section 6.1.2). Only one is of interest: whose network a resolver asks for (ECS, RFC 7871).

All others are passed over, none of them asks for an answer that we owe. Everything lives for one message.
"""

from struct import Struct
from typing import Final

from callboard.model.errors import InvalidError

MARK: Final = b"\0\x08\0"
"""Code and upper length byte of the option: options without these bytes have nothing to return."""
_CLIENT_SUBNET: Final = MARK[:2]
_OPTION: Final = Struct(">2sH").unpack_from
_SUBNET: Final = Struct(">HBB").unpack_from
_SUBNET_HEAD: Final = Struct(">HBB").pack
_SUBNET_HEAD_BYTES: Final = 4
_BITS: Final = {1: 32, 2: 128}
"""Of an address, by its family."""


def options_to_return(options: bytes) -> bytes:
    """What an answer says to the options of its query: the client's network comes back, with scope 0, for answers differ for nobody.

    Raises `InvalidError` for options that cannot be read, or a network that is none (FORMERR).
    """
    if MARK not in options:
        return b""
    at, out = 0, b""
    while at < len(options):
        if at + 4 > len(options):
            raise InvalidError("EDNS option", f"the one at byte {at} is cut off")
        code, length = _OPTION(options, at)
        at += 4
        if at + length > len(options):
            raise InvalidError("EDNS option", f"the data of the one at byte {at - 4} is cut off")
        if code == _CLIENT_SUBNET and not out:
            out = _subnet(options[at : at + length])
        at += length
    return out


def _subnet(data: bytes) -> bytes:
    if len(data) < _SUBNET_HEAD_BYTES:
        raise InvalidError("EDNS client subnet", "is cut off")
    family, prefix, scope = _SUBNET(data)
    bits = _BITS.get(family, 0)
    address = data[_SUBNET_HEAD_BYTES:]
    if prefix > bits or scope or len(address) != -(-prefix // 8):
        raise InvalidError("EDNS client subnet", "must have a prefix and as many address bytes as its family (1 or 2) has room for")
    return _CLIENT_SUBNET + len(data).to_bytes(2, "big") + _SUBNET_HEAD(family, prefix, 0) + address

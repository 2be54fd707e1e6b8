"""gRPC's standard health question and its answer, as bytes: https://github.com/grpc/grpc/blob/master/doc/health-checking.md

Two messages with one field each do not need a protobuf library. Answers come from whoever is asked: anything may stand in them.
"""

from typing import Final
from urllib.parse import unquote

from callboard.model.errors import InvalidError

PATH: Final = "/grpc.health.v1.Health/Check"
SERVING: Final = 1
_STATUSES: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_CODES: Final = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss",
    "Unauthenticated",
)  # fmt: skip
_PREFIX_BYTES: Final = 5
_MESSAGE_MAX_CHARS: Final = 1024


def request(service: str) -> bytes:
    """A framed HealthCheckRequest; an empty service asks about the whole server."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def serving_status(data: bytes) -> int:
    """The status in a framed HealthCheckResponse; 0 (UNKNOWN) when it says none. Raises `InvalidError`."""
    if len(data) < _PREFIX_BYTES or len(data) - _PREFIX_BYTES != int.from_bytes(data[1:_PREFIX_BYTES], "big"):
        raise InvalidError("", "the answer is not one gRPC message")
    if data[0]:
        raise InvalidError("", "the answer is compressed, which was not asked for")
    message, at, status = data[_PREFIX_BYTES:], 0, 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        if tag == 0x08:
            status, at = _read_varint(message, at)
        else:
            at = _skip(message, at, tag & 7)
    return status


def status_name(status: int) -> str:
    """The word for a status."""
    return _STATUSES[status] if 0 <= status < len(_STATUSES) else str(status)


def error_text(code: str, message: str) -> str:
    """What went wrong, as Go's client says it. Both come as header fields, the message percent-encoded."""
    known = code.isascii() and code.isdigit() and len(code) <= 2 and int(code) < len(_CODES)
    return f"rpc error: code = {_CODES[int(code)] if known else code[:20]} desc = {unquote(message[:_MESSAGE_MAX_CHARS])}"


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise InvalidError("", "the answer is not protobuf")


def _skip(data: bytes, at: int, kind: int) -> int:
    """Past the value of a field that is not known."""
    if kind == 0:
        return _read_varint(data, at)[1]
    if kind == 2:
        size, at = _read_varint(data, at)
    elif kind in {1, 5}:
        size = 8 if kind == 1 else 4
    else:
        raise InvalidError("", "the answer is not protobuf")
    if at + size > len(data):
        raise InvalidError("", "the answer is not protobuf")
    return at + size

"""What of a service is kept over the end of the process, as bytes: with a schema number, a checksum, and when it was so.

Anything that is not exactly as it was written is refused, with a reason: a snapshot that may be wrong is worse than none.
"""

import hashlib
from typing import Final

import msgspec
from msgspec import Struct

from callboard.client.snapshot import Snapshot
from callboard.model.errors import CallboardError
from callboard.wire.native import InstanceState

SCHEMA: Final = 1


class SavedError(CallboardError):
    """These bytes are no snapshot that could be used."""

    code = "saved"


class Saved(Struct, frozen=True, kw_only=True):
    """What is kept of a snapshot."""

    namespace: str
    service: str
    revision: int
    instances: tuple[InstanceState, ...]
    saved_ms: int
    """When it was so: UTC milliseconds since 1970."""


class _Envelope(Struct, frozen=True, kw_only=True):
    schema: int
    checksum: str
    picture: msgspec.Raw


def encode(snapshot: Snapshot, saved_ms: int) -> bytes:
    """The bytes of a file."""
    picture = msgspec.json.encode(
        Saved(
            namespace=snapshot.namespace,
            service=snapshot.service,
            revision=snapshot.revision,
            instances=snapshot.instances,
            saved_ms=saved_ms,
        )
    )
    return msgspec.json.encode(_Envelope(schema=SCHEMA, checksum=_checksum(picture), picture=msgspec.Raw(picture))) + b"\n"


def decode(data: bytes, namespace: str, service: str, now_ms: int, max_age_ms: int) -> Saved:
    """What was kept of this service. Raises `SavedError`."""
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SavedError(f"it is damaged ({error})") from None
    if envelope.schema != SCHEMA:
        raise SavedError(f"it has schema {envelope.schema}, this program reads {SCHEMA}")
    if envelope.checksum != _checksum(bytes(envelope.picture)):
        raise SavedError("it is damaged (its checksum is another)")
    try:
        saved = msgspec.json.decode(envelope.picture, type=Saved)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SavedError(f"it is damaged ({error})") from None
    if (saved.namespace, saved.service.lower()) != (namespace, service.lower()):
        raise SavedError(f"it is of service {saved.service!r} in name space {saved.namespace!r}")
    if now_ms - saved.saved_ms > max_age_ms:
        raise SavedError(f"it is {(now_ms - saved.saved_ms) // 1000} s old, the limit is {max_age_ms // 1000} s")
    return saved


def _checksum(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()

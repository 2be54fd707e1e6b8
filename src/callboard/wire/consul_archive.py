"""Snapshots as Consul packs them: a gzip tar of meta.json, state.bin and SHA256SUMS. What state.bin holds is our own backup.

Both directions. Nothing of an archive is believed before its sums are right. Values live for one snapshot.
"""

import hashlib
import tarfile
import zlib
from typing import Final

import msgspec
from msgspec import Struct

from callboard.model.errors import CallboardError
from callboard.wire.consul_fields import go_name

CONTENT_TYPE: Final = b"application/x-gzip"
META: Final = "meta.json"
STATE: Final = "state.bin"
SUMS: Final = "SHA256SUMS"
BLOCK_BYTES: Final = 512
END: Final = bytes(2 * BLOCK_BYTES)
_GZIP: Final = 31
_FILES_MAX_COUNT: Final = 16
_MODE: Final = 0o600
_VERSION: Final = 2
"""Consul's own are 1. It refuses any other, which saves it: rows of ours would pass its sums, and end it when it loads them."""


class ArchiveError(CallboardError):
    """Bytes that are no snapshot, or a damaged one."""

    code = "snapshot"


class Meta(Struct, frozen=True, rename=go_name, kw_only=True):
    """meta.json, with the fields that Consul's tools look at, and the program that made it."""

    version: int = _VERSION
    id: str
    index: int
    term: int
    peers: str = ""
    configuration: dict[str, list[dict[str, str | int]]]
    configuration_index: int = 0
    size: int
    callboard: str = ""


def packer() -> "zlib._Compress":
    """Compresses one archive."""
    return zlib.compressobj(6, zlib.DEFLATED, _GZIP)


def head(name: str, size_bytes: int, time_s: int) -> bytes:
    """What stands before a file."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size_bytes, time_s, _MODE
    return info.tobuf(tarfile.GNU_FORMAT)


def tail(size_bytes: int) -> bytes:
    """What stands after a file of that size."""
    return bytes(-size_bytes % BLOCK_BYTES)


def whole(name: str, data: bytes, time_s: int) -> bytes:
    """A small file with what stands around it."""
    return head(name, len(data), time_s) + data + tail(len(data))


def sums(meta: bytes, state_sha256: str) -> bytes:
    """SHA256SUMS."""
    return f"{hashlib.sha256(meta).hexdigest()}  {META}\n{state_sha256}  {STATE}\n".encode()


def state_of(packed: bytes, unpacked_max_bytes: int) -> memoryview:
    """The content of state.bin, when the sums are right. Raises `ArchiveError`."""
    files = _files(_unpacked(packed, unpacked_max_bytes))
    missing = [name for name in (META, STATE, SUMS) if name not in files]
    if missing:
        raise ArchiveError(f"there is no {missing[0]} in it")
    wanted = dict(_sums(bytes(files[SUMS])))
    for name in (META, STATE):
        if wanted.get(name) != hashlib.sha256(files[name]).hexdigest():
            raise ArchiveError(f"{name} was damaged: its SHA-256 is not that in {SUMS}")
    try:
        msgspec.json.decode(files[META])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(f"{META} cannot be read: {error}") from None
    return files[STATE]


def _unpacked(packed: bytes, max_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        data = unpacker.decompress(packed, max_bytes)
    except zlib.error as error:
        raise ArchiveError(f"it is not compressed with gzip, or damaged ({error})") from None
    if not unpacker.eof:
        raise ArchiveError(f"it was cut off, or has more than {max_bytes} bytes when it is unpacked")
    return data


def _files(data: bytes) -> dict[str, memoryview]:
    out: dict[str, memoryview] = {}
    view, at, count = memoryview(data), 0, 0
    while data[at : at + BLOCK_BYTES].strip(b"\0"):
        try:
            info = tarfile.TarInfo.frombuf(data[at : at + BLOCK_BYTES], "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise ArchiveError(f"it is no tar file ({error})") from None
        at += BLOCK_BYTES
        count += 1
        if not 0 <= info.size <= len(data) - at or count > _FILES_MAX_COUNT:
            raise ArchiveError(f"{info.name} is cut off, or there are more than {_FILES_MAX_COUNT} files")
        out[info.name] = view[at : at + info.size]
        at += info.size + (-info.size % BLOCK_BYTES)
    return out


def _sums(text: bytes) -> list[tuple[str, str]]:
    lines = text.decode("ascii", "replace").splitlines()
    return [(name.strip(), digest) for digest, _, name in (line.partition(" ") for line in lines)]

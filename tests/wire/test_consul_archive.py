"""Archives of snapshots: whole ones come back, and nothing else makes the reader fail in another way than it says."""

import contextlib
import gzip
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.wire import consul_archive as archive

LIMIT = 1 << 20


def packed(state: bytes, meta: bytes = b"{}") -> bytes:
    sums = archive.sums(meta, hashlib.sha256(state).hexdigest())
    files = {archive.META: meta, archive.STATE: state, archive.SUMS: sums}
    packer = archive.packer()
    return packer.compress(b"".join(archive.whole(name, data, 7) for name, data in files.items()) + archive.END) + packer.flush()


@given(st.binary(max_size=3_000))
def test_the_state_comes_back(state: bytes) -> None:
    assert bytes(archive.state_of(packed(state), LIMIT)) == state


@given(st.binary(max_size=2_000))
def test_any_bytes_are_judged(data: bytes) -> None:
    for hostile in (data, gzip.compress(data)):
        with pytest.raises(archive.ArchiveError):
            archive.state_of(hostile, LIMIT)


@given(st.integers(0, 3_500), st.integers(1, 255))
def test_a_changed_byte_is_found_or_does_no_harm(at: int, change: int) -> None:
    state = b"the state\n" * 40
    plain = bytearray(gzip.decompress(packed(state)))
    plain[at % len(plain)] ^= change
    with contextlib.suppress(archive.ArchiveError):
        assert bytes(archive.state_of(gzip.compress(bytes(plain)), LIMIT)) == state


def test_unpacking_stops_at_the_limit() -> None:
    with pytest.raises(archive.ArchiveError, match="more than 1048576 bytes"):
        archive.state_of(gzip.compress(bytes(50 * LIMIT)), LIMIT)


def test_more_files_than_there_can_be_are_refused() -> None:
    many = b"".join(archive.whole(f"f{number}", b"x", 0) for number in range(40)) + archive.END
    with pytest.raises(archive.ArchiveError, match="more than 16 files"):
        archive.state_of(gzip.compress(many), LIMIT)

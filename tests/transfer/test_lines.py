"""The file format: what is written is read, and what is not whole is refused, by line."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.catalog.codec import Epoch, encode
from callboard.model.instance import Node
from callboard.model.rows import META_EPOCH, META_HEAD, Key, Revision, Row, node_key
from callboard.model.time import Timestamp
from callboard.server.transfer import files
from callboard.server.transfer.errors import IncompatibleError
from callboard.wire.backup import BackupError, Header, NewerBackupError, Reader, Writer
from tests.transfer.stage import quiet

HEADER = Header(program="1", store="s", datacenter="dc1", revision=Revision(1000), level=1, time=Timestamp(1_700_000_000_000))
VALUES = st.binary(max_size=40) | st.sampled_from(
    [b"null", b"{}", b' {"a":1}', b'{"a":\n1}', b'"\\ud800"', b'{"v":1,"x":"\xc3\xa9"}', b'"\xff"', b"1e999"]
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(lambda key: key != META_HEAD).map(Key)
ROWS = st.dictionaries(KEYS, st.tuples(VALUES, st.integers(1, 1000)), max_size=8)


def written(rows: list[Row], header: Header = HEADER) -> bytes:
    writer = Writer()
    return writer.header(header) + b"".join(writer.rows([row]) for row in rows) + writer.trailer()


def read(content: bytes) -> list[Row]:
    reader = Reader()
    rows = [row for line in content.splitlines(keepends=True) if (row := reader.take(line)) is not None]
    assert reader.finish() == HEADER
    return rows


def lines_of(content: bytes) -> list[bytes]:
    return [line + b"\n" for line in content.split(b"\n")[:-1]]


NODES = [
    Row(node_key(f"n{number}"), encode(Node(name=f"n{number}", address="10.0.0.1", nonce="x")), Revision(number + 1)) for number in range(6)
]
WHOLE = written([*NODES, Row(META_EPOCH, encode(Epoch("s")), Revision(1))])


@given(ROWS)
def test_what_is_written_is_read_byte_by_byte(drawn: dict[Key, tuple[bytes, int]]) -> None:
    rows = [Row(key, value, Revision(revision)) for key, (value, revision) in drawn.items()]
    reader = Reader()
    assert [row for line in lines_of(written(rows)) if (row := reader.take(line)) is not None] == rows
    assert reader.finish() == HEADER


def test_values_stand_in_the_lines_as_json() -> None:
    assert lines_of(WHOLE)[1].startswith(b'{"k":"n/n0","r":1,"v":{"v":1,')


@given(st.integers(0, len(WHOLE) - 1))
def test_a_backup_that_was_cut_off_anywhere_is_refused(end: int) -> None:
    with pytest.raises(BackupError, match="line"):
        read(WHOLE[:end])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_backup_with_one_other_byte_is_refused(place: int, flip: int) -> None:
    damaged = WHOLE[:place] + bytes([WHOLE[place] ^ flip]) + WHOLE[place + 1 :]
    with pytest.raises(BackupError, match=r"^line \d+: "):
        read(damaged)


@given(st.permutations(range(1, 7)).filter(lambda order: list(order) != sorted(order)))
def test_lines_in_another_order_are_refused(order: list[int]) -> None:
    lines = lines_of(WHOLE)
    with pytest.raises(BackupError, match="SHA-256"):
        read(b"".join([lines[0], *(lines[place] for place in order), *lines[7:]]))


BAD = {
    "empty": (b"", 1, "empty"),
    "another file": (b"PNG\n", 1, "no backup of Callboard"),
    "another kind": (b'{"callboard":"snapshot","format":1}\n', 1, "'snapshot'"),
    "without its last line": (b"".join(lines_of(WHOLE)[:-1]), 9, "cut off"),
    "without one row": (b"".join(line for line in lines_of(WHOLE) if b"n/n3" not in line), 8, "7 rows, 6 are here"),
    "with more after it": (WHOLE + b"\n", 10, "follows the last line"),
    "two in one": (WHOLE + WHOLE, 10, "follows the last line"),
    "meta/head": (written([Row(META_HEAD, b"{}", Revision(1))]), 2, "no key"),
    "a row after the end": (written([Row(Key("x"), b"{}", Revision(1001))]), 2, "ends at 1000"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_backup_is_refused_by_line(case: str) -> None:
    content, line, problem = BAD[case]
    with pytest.raises(BackupError, match=problem) as caught:
        read(content)
    assert caught.value.line == line


# --- files


def keep(tmp_path: Path, content: bytes, name: str = "b.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_a_backup_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    newer = WHOLE.replace(b'"format":1', b'"format":2')
    with pytest.raises(NewerBackupError, match="format 2, this program reads up to 1"):
        files.read(keep(tmp_path, newer), quiet)


def test_a_backup_of_a_newer_level_is_refused(tmp_path: Path) -> None:
    header = Header(program="9", store="s", datacenter="dc1", revision=Revision(9), level=99, time=Timestamp(0))
    with pytest.raises(IncompatibleError, match="level 99"):
        files.read(keep(tmp_path, written([], header)), quiet)


def test_a_row_that_no_server_could_read_is_refused_by_line(tmp_path: Path) -> None:
    odd = written([NODES[0], Row(node_key("odd"), b'{"v":2,"name":"odd"}', Revision(3))])
    with pytest.raises(BackupError, match=r"line 3: row n/odd cannot be read") as caught:
        files.read(keep(tmp_path, odd), quiet)
    assert caught.value.line == 3


def test_a_row_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="line 3: row n/n0 was there before"):
        files.read(keep(tmp_path, written([NODES[0], NODES[0]])), quiet)


@pytest.mark.parametrize("end", [3, 20, 60, -9, -1])
def test_a_compressed_backup_that_was_cut_off_is_refused(tmp_path: Path, end: int) -> None:
    packed = gzip.compress(WHOLE)
    with pytest.raises(BackupError, match="line"):
        files.read(keep(tmp_path, packed[:end]), quiet)
    assert files.read(keep(tmp_path, packed), quiet)[0] == HEADER


def test_a_file_is_there_when_it_is_whole_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = keep(tmp_path, b"old")
    with files.writing(path) as file:
        file.write(WHOLE)
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == WHOLE
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz"])
def test_a_file_that_failed_leaves_the_old_one_and_nothing_else(tmp_path: Path, name: str) -> None:
    path = keep(tmp_path, b"old", name)

    def fail() -> None:
        with files.writing(path) as file:
            file.write(WHOLE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_gz_is_compressed(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl.gz"
    with files.writing(path) as file:
        file.write(WHOLE)
    assert gzip.decompress(path.read_bytes()) == WHOLE
    header, state = files.read(path, quiet)
    assert header == HEADER
    assert list(state.rows.values())[:6] == NODES

"""Snapshots on a disk that lies: files that are damaged, replaced, removed, or written by several at once."""

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from callboard.client.board_settings import BoardSettings
from callboard.client.snapshot import Snapshot
from callboard.client.snapshots import Snapshots
from tests.client.states import state

OFF: Final = BoardSettings(snapshots="off")


def saved(folder: Path) -> tuple[Path, bytes]:
    """A good file, and what is in it."""
    disk = Snapshots(replace(OFF, snapshots=str(folder)), "")
    disk.save(Snapshot(namespace="", service="web", revision=1, instances=(state("one"),)))
    (path,) = folder.rglob("*.json")
    return path, path.read_bytes()


def other_schema(good: bytes) -> bytes:
    return json.dumps({**json.loads(good), "schema": 99}).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good[: len(good) // 2],
        lambda _: b"",
        lambda _: b"\x00" * 4096,
        lambda good: good.replace(b"one", b"two"),
        other_schema,
        lambda _: b'{"schema":1,"checksum":"","picture":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        lambda _: b'{"schema":1' + b" " * 1_000_000,
    ],
)
def test_whatever_stands_in_a_file_it_is_used_as_it_was_written_or_not_at_all(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path, good = saved(tmp_path)
    path.write_bytes(spoil(good))
    assert Snapshots(replace(OFF, snapshots=str(tmp_path)), "").load("web") is None


def test_what_stands_in_place_of_a_file_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, good = saved(tmp_path)
    disk = Snapshots(replace(OFF, snapshots=str(tmp_path)), "")
    path.unlink()
    path.symlink_to(path)
    assert disk.load("web") is None
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(good)
    path.unlink()
    path.symlink_to(elsewhere)
    assert disk.load("web") is not None
    disk.save(Snapshot(namespace="", service="web", revision=2, instances=()))
    assert (path.is_symlink(), elsewhere.read_bytes()) == (False, good), "what a link points to is left alone"
    path.unlink()
    path.mkdir()
    assert disk.load("web") is None
    disk.save(Snapshot(namespace="", service="web", revision=3, instances=()))
    assert len(caplog.records) == 3
    assert list(path.parent.glob("*.tmp")) == []


def test_a_folder_that_is_removed_while_the_program_runs_is_made_again(tmp_path: Path) -> None:
    disk = Snapshots(replace(OFF, snapshots=str(tmp_path)), "")
    disk.save(Snapshot(namespace="", service="web", revision=1, instances=(state("one"),)))
    (path,) = tmp_path.rglob("*.json")
    path.unlink()
    path.parent.rmdir()
    for _ in range(2):  # the first finds out
        disk.save(Snapshot(namespace="", service="web", revision=2, instances=(state("one"),)))
    assert path.exists()


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, good = saved(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    disk = Snapshots(replace(OFF, snapshots=str(tmp_path)), "")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        disk.save(Snapshot(namespace="", service="web", revision=2, instances=()))
    assert (path.read_bytes(), list(path.parent.iterdir())) == (good, [path])
    disk.save(Snapshot(namespace="", service="web", revision=2, instances=()))
    assert path.read_bytes() != good


def test_of_several_that_write_one_file_at_once_each_reader_sees_a_whole_one(tmp_path: Path) -> None:
    settings = replace(OFF, snapshots=str(tmp_path))
    over = threading.Event()

    def write(number: int) -> None:
        disk = Snapshots(settings, "")
        while not over.is_set():
            many = tuple(state(f"i{number}-{each}") for each in range(number * 50 + 1))
            disk.save(Snapshot(namespace="", service="web", revision=number, instances=many))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    saved(tmp_path)
    for writer in writers:
        writer.start()
    reader = Snapshots(settings, "")
    try:
        assert all(reader.load("web") is not None for _ in range(200))
    finally:
        over.set()
        for writer in writers:
            writer.join(60)

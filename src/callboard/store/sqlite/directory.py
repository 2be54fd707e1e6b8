"""The data directory: made so that it survives a power cut, and owned by one process through a lock of the kernel.

The lock lives as long as the process holds it: the kernel frees it however the process ends, so no stale lock is possible. The file
itself stays; in it stands the pid of the owner, for the message to whoever comes second.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from callboard.model.errors import LockedError

LOCK_NAME = "callboard.lock"
RESERVE_NAME = "callboard.reserve"


def make_directory(path: Path) -> None:
    """Make `path` (mode 0700) and what is missing above it, and have the names of all of them on disk."""
    missing = [part for part in (path, *path.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(mode=0o700, exist_ok=True)
        sync_directory(part.parent)


def sync_directory(path: Path) -> None:
    """Have the names in `path` on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class DirectoryLock:
    """The right to use a data directory."""

    def __init__(self, directory: Path) -> None:
        self._handle = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._handle, 32, 0).strip()
            os.close(self._handle)
            raise LockedError(str(directory), int(owner) if owner.isdigit() else 0) from None
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let the next process in."""
        os.ftruncate(self._handle, 0)
        os.close(self._handle)


class Reserve:
    """Disk space that nobody needs, given up when the disk is full so that rows can still be removed."""

    def __init__(self, directory: Path, size: int) -> None:
        self._path = directory / RESERVE_NAME
        self._size = size

    def is_held(self) -> bool:
        """Is the space there to be given up?"""
        return self._path.exists()

    def give_up(self) -> None:
        """Return the space to the file system."""
        self._path.unlink(missing_ok=True)

    def take(self) -> None:
        """Hold the space, if there is twice as much; on a full disk there is nothing to hold, and that is no error."""
        if not self._size or self.is_held():
            return
        with contextlib.suppress(OSError):
            system = os.statvfs(self._path.parent)
            if system.f_bavail * system.f_frsize >= 2 * self._size:
                self._fill()

    def _fill(self) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            for start in range(0, self._size, 1 << 20):
                os.pwrite(handle, bytes(min(1 << 20, self._size - start)), start)
        except OSError:
            self.give_up()
            raise
        finally:
            os.close(handle)

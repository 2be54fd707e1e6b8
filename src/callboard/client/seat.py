"""The right to keep an instance that several processes of this host share: workers behind one port are one instance, not several.

Three lock files in a private folder: who holds `owner` keeps the instance; the others hold `waiting` together and look now and then
whether `owner` is free. Joining and leaving are decided one at a time, under `mutex`, so that of several processes that leave at the same
moment exactly one finds itself the last and signs the instance out, and nobody signs it out while another goes on. The kernel frees the
locks of a process that is killed; one that is only stopped shows in the time of its file. The files stay: a lock on a file that was
deleted excludes nobody.

A seat lives from a keeper's first look to its end, and is used by its thread alone. A forked child has no part in it.
"""

import contextlib
import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR
from typing import Final

import msgspec
from msgspec import Struct

from callboard.client import forks
from callboard.wire.native import Written

if sys.platform != "win32":
    import fcntl

_log: Final = logging.getLogger("callboard.client")
RUN_VARIABLE: Final = "XDG_RUNTIME_DIR"
TEMPORARY_VARIABLE: Final = "TMPDIR"
TEMPORARY_FOLDER: Final = "/tmp"  # noqa: S108  # in it a folder that is looked at closely: `_private`
MUTEX_MAX_S: Final = 5.0
"""Longer than a goodbye under `mutex` takes. A process that was stopped while it held it is not waited for any longer."""
_MUTEX_EVERY_S: Final = 0.005
_NOTE_MAX_BYTES: Final = 65_536
_NAMES: Final = ("owner", "waiting", "mutex")


class Note(Struct, frozen=True):
    """What the owner writes down for whoever comes after it."""

    written: Written
    draining: bool = False
    """It hides the instance because it leaves, not because somebody wanted it hidden."""


class Seat:
    """One process' place at one instance. Where no locks are to be had, everybody owns it, and says so once."""

    def __init__(self, key: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.owned = False
        self.fresh = False
        """Nobody else kept or waited for the instance when this one came."""
        self.left: Note | None = None
        """What the owner before this one wrote down."""
        self._key = hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]
        self._environment = environment
        self._files: dict[str, int] = {}
        self._folder: Path | None = None
        self._noted: Note | None = None
        self._waits = False
        self._lockless = False
        forks.after_in_child(self, Seat._forked)

    def take(self) -> bool:
        """Own it if nobody else does; else wait for it from now on. Call it again to look again."""
        if self.owned or self._lockless:
            return True
        if not self._files and not self._open():
            self.owned = self._lockless = self.fresh = True
            return True
        if self._waits:
            if self._lock("owner"):
                self._own()
        else:
            with self._mutex() as held:
                if held:
                    self._join()
        return self.owned

    def alone(self) -> bool:
        """Whether nobody else goes on, so that leaving is the end of the instance: then it is owned. Else the place is given up."""
        with self._mutex():
            if self._last():
                return True
            self.give_up()
            return False

    def leave(self, goodbye: Callable[[], None], hand_over: Callable[[], None] = lambda: None) -> bool:
        """Give the place up. True: this was the last one, and `goodbye` was said; nobody comes between. `hand_over`: for those who stay."""
        with self._mutex():
            last = self._last()
            if last:
                goodbye()
                self._write(b"")
            elif self.owned:
                hand_over()
            self.give_up()
            return last

    def give_up(self) -> None:
        """Leave without a word: the kernel frees what a closed file held. Whoever waits goes on."""
        files, self._files, self.owned, self._waits = self._files, {}, False, False
        for name in _NAMES:
            if name in files:
                os.close(files[name])

    def note(self, note: Note) -> None:
        """For whoever comes after: the owner's instance as it was last signed in."""
        if note != self._noted:
            self._noted = note
            self._write(msgspec.json.encode(note))

    def alive(self) -> None:
        """The owner shows that it is not stopped."""
        if "owner" in self._files:
            with contextlib.suppress(OSError):  # a file system that cannot say when
                os.utime(self._files["owner"])

    def silent_s(self) -> float:
        """Since when the owner has not shown that, for who waits."""
        return time.time() - os.fstat(self._files["owner"]).st_mtime if "owner" in self._files else 0.0

    def touch(self) -> None:
        """Keep those who tidy old files away from it."""
        if self._folder is not None:
            for name in _NAMES:
                with contextlib.suppress(OSError):
                    os.utime(self._folder / f"{self._key}.{name}")

    # -- under the mutex

    def _join(self) -> None:
        if self._lock("owner"):
            self.fresh = self._nobody_waits()
            self._own()
        else:
            self._waits = self._lock("waiting", shared=True)

    def _last(self) -> bool:
        """Own it if that is possible; whether nobody else does, or waits."""
        if self._lockless or not self._files:
            return self.owned
        if not self.owned:
            self._unlock("waiting")
            self._waits = False
            if not self._lock("owner"):
                return False
            self._own()
        return self._nobody_waits()

    def _own(self) -> None:
        self.owned = True
        self.alive()
        self.left = self._read()
        if self._waits:
            self._unlock("waiting")
            self._waits = False

    def _nobody_waits(self) -> bool:
        free = self._lock("waiting")
        if free:
            self._unlock("waiting")
        return free

    # -- files

    def _open(self) -> bool:
        if sys.platform == "win32":
            return False  # processes do not share a port there as they do elsewhere
        problems = []
        for folder in _folders(self._environment):
            try:
                _private(folder)
                with forks.opening():
                    for name in _NAMES:
                        path = folder / f"{self._key}.{name}"
                        self._files[name] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except OSError as error:
                self.give_up()
                problems.append(f"{folder}: {error.strerror or error}")
            else:
                self._folder = folder
                return True
        _log.warning(
            "no folder for locks (%s): each process of this host keeps the instance for itself, and the first that leaves signs it out for"
            " a moment; set %s to a folder of your own", "; ".join(problems), RUN_VARIABLE,
        )  # fmt: skip
        return False

    @contextlib.contextmanager
    def _mutex(self) -> Iterator[bool]:
        if "mutex" not in self._files:
            yield True
            return
        end = time.monotonic() + MUTEX_MAX_S
        while not (held := self._lock("mutex")) and time.monotonic() < end:
            time.sleep(_MUTEX_EVERY_S)
        try:
            yield held
        finally:
            if "mutex" in self._files:
                self._unlock("mutex")

    def _lock(self, name: str, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(self._files[name], (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(self, name: str) -> None:
        fcntl.flock(self._files[name], fcntl.LOCK_UN)

    def _write(self, text: bytes) -> None:
        if "owner" in self._files and self.owned:
            with contextlib.suppress(OSError):  # a full disk: whoever comes after signs in without it
                os.ftruncate(self._files["owner"], 0)
                os.pwrite(self._files["owner"], text, 0)

    def _read(self) -> Note | None:
        try:
            return msgspec.json.decode(os.pread(self._files["owner"], _NOTE_MAX_BYTES, 0), type=Note)
        except (OSError, msgspec.DecodeError):
            return None

    def _forked(self) -> None:
        """In the child: the locks are the parent's, and stay so when the child closes its copies of the files."""
        for file in self._files.values():
            with contextlib.suppress(OSError):
                os.close(file)
        self._files, self.owned, self._waits = {}, False, False


def _folders(environment: Mapping[str, str]) -> list[Path]:
    """Where locks may lie: the user's folder for this, else one of the user's own among those of everybody.

    Without `tempfile`: a fork while another thread is in it leaves its lock behind in the child.
    """
    run, own = environment.get(RUN_VARIABLE, ""), f"callboard-{os.geteuid()}"
    shared = dict.fromkeys([environment.get(TEMPORARY_VARIABLE, "") or TEMPORARY_FOLDER, TEMPORARY_FOLDER])
    return [*([Path(run) / "callboard"] if run else []), *(Path(folder) / own for folder in shared)]


def _private(folder: Path) -> None:
    """Make it, or see that nobody else can put files there. Raises `OSError`."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(0, "not a private folder of this user")

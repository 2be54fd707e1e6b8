"""What is known of services, on the disk: so that a program which starts while the registry is down finds those it needs.

One file for each service, replaced as a whole: a reader sees the old one or the new one. Nothing here raises into a caller; what fails is
logged once. The files hold what the registry tells everybody who may read it, instance meta included, and only their owner can read them.
"""

import contextlib
import hashlib
import logging
import os
import random
import sys
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

from callboard.client.board_settings import BoardSettings
from callboard.client.machine.saved import Saved, SavedError, decode, encode
from callboard.client.snapshot import Snapshot

_log: Final = logging.getLogger("callboard.client")
OFF: Final = "off"
FILE_MAX_BYTES: Final = 64 * 1024 * 1024
_TEMPORARY: Final = ".tmp"
_LEFT_S: Final = 3_600
_NAME_MAX_CHARS: Final = 200
"""Of a file name; longer ones are cut, and told apart by a hash."""


class Snapshots:
    """The files of one name space of one registry. Methods block for as long as the disk does."""

    def __init__(self, settings: BoardSettings, namespace: str) -> None:
        self._namespace = namespace
        self._max_age_ms = settings.snapshot_max_age_ms
        self._folder = _folder(settings, namespace)
        self._told: set[str] = set()
        self._swept = False

    def load(self, service: str) -> Saved | None:
        """What was last known of a service, if that is not too long ago."""
        if self._folder is None:
            return None
        path = self._folder / _file_name(service)
        try:
            with path.open("rb") as file:
                data = file.read(FILE_MAX_BYTES)  # what is larger is damaged then
            return decode(data, self._namespace, service, _now_ms(), self._max_age_ms)
        except FileNotFoundError:
            return None
        except (OSError, SavedError) as error:
            self._say(f"snapshot {path} is not used: {error}")
            return None

    def save(self, snapshot: Snapshot) -> None:
        """Replace the file of a service; a crash in between leaves the old one."""
        if self._folder is None:
            return
        try:
            if not self._swept:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _sweep(self._folder)
                self._swept = True
            _replace(self._folder / _file_name(snapshot.service), encode(snapshot, _now_ms()))
        except OSError as error:
            self._swept = False  # perhaps somebody removed the folder
            self._say(f"snapshots cannot be kept in {self._folder} ({error}); name a folder with CALLBOARD_SNAPSHOTS, or say off")

    def _say(self, what: str) -> None:
        """Once: the disk will not be better in a second."""
        if what not in self._told:
            self._told.add(what)
            _log.warning("%s", what)


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{random.getrandbits(64):016x}{_TEMPORARY}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def _sweep(folder: Path) -> None:
    """Remove what programs left that were killed while they wrote."""
    for left in folder.glob("*" + _TEMPORARY):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_S:
                left.unlink()


def _sync_folder(folder: Path) -> None:
    """The new name also survives a crash of the machine. Windows has no such call."""
    if sys.platform != "win32":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _folder(settings: BoardSettings, namespace: str) -> Path | None:
    """One for each registry and name space. None: off, or this user has no place for it."""
    if settings.snapshots == OFF:
        return None
    try:
        above = Path(settings.snapshots) if settings.snapshots else _cache()
    except RuntimeError:  # nobody's home
        return None
    which = "\n".join([settings.protocol, *sorted(settings.client.urls), namespace])
    return above / hashlib.sha256(which.encode()).hexdigest()[:16]


def _cache() -> Path:
    local = os.environ.get("LOCALAPPDATA", "") if sys.platform == "win32" else os.environ.get("XDG_CACHE_HOME", "")
    return (Path(local) if local else Path.home() / ".cache") / "callboard"


def _file_name(service: str) -> str:
    name = quote(service.lower(), safe="")
    if len(name) > _NAME_MAX_CHARS:
        name = f"{name[:_NAME_MAX_CHARS]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return f"{name}.json"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

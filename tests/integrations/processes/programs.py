"""Real servers of other people, as processes: started with a registry beside them, watched from outside, ended by pid."""

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pytest

from callboard.client import Client, ClientSettings
from callboard.client.errors import ClientError
from tests.servers import ServerProcess, free_port
from tests.support import PATIENCE_S, Standstill, poll_until

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
_LOOK_EVERY_S = 0.02
SOON_S = 10.0
"""What takes a moment, and would take a lease, or more than one, if nobody said it."""
_STANDSTILL_MIN_S = 0.5
_TRIES_COUNT = 3


class Program:
    """One program with all the processes that it makes: a session of its own, so that nothing of it is left."""

    def __init__(self, words: list[str], environment: Mapping[str, str], folder: Path, output: Path) -> None:
        self.words = words
        self.output = output
        with output.open("wb") as sink:
            self.popen = subprocess.Popen(
                words,
                env=dict(environment),
                cwd=folder,
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.pid = self.popen.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait(60)
        if error is not None:
            error.add_note(f"--- {' '.join(self.words)}\n{self.text()}")

    def text(self) -> str:
        """What it has written so far."""
        return self.output.read_text(errors="replace")

    def servers(self) -> set[int]:
        """The processes that its first one has started to serve; not multiprocessing's tracker of resources."""
        children = {int(pid) for task in Path(f"/proc/{self.pid}/task").glob("*/children") for pid in task.read_text().split()}
        return {pid for pid in children if b"resource_tracker" not in _command(pid)}

    def members(self) -> set[int]:
        """Every living process of its session, also those whose parent is gone."""
        found = set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid and fields[0] != "Z":
                    found.add(int(stat.parent.name))
        return found

    def term(self, wait_s: float = PATIENCE_S) -> int:
        """SIGTERM to the first process; answers how it ended."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(wait_s)


class Place(NamedTuple):
    """Where an instance is listed, and how."""

    id: str
    address: str
    port: int
    phase: str
    status: str


class Seen(NamedTuple):
    """What the registry said at one moment."""

    at: float
    places: tuple[Place, ...]


class Watcher:
    """Looks at one service every 20 ms from the beginning to the end."""

    def __init__(self, server: ServerProcess, service: str, namespace: str = "") -> None:
        self._namespace = namespace
        self._client = Client(ClientSettings(urls=(server.url,)))
        self._service = service
        self.seen: list[Seen] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join(60)
        self._client.close()

    def _look(self) -> None:
        while not self._end.wait(_LOOK_EVERY_S):
            with contextlib.suppress(ClientError):
                found = self._client.instances(self._service, namespace=self._namespace).instances
                places = (Place(one.id, one.address, one.port, str(one.phase.value), str(one.status.value)) for one in found)
                self.seen.append(Seen(time.monotonic(), tuple(places)))

    @property
    def now(self) -> tuple[Place, ...]:
        """What was there last."""
        return self.seen[-1].places if self.seen else ()

    def until_serving(self, deadline_s: float = PATIENCE_S) -> Place:
        """The one instance, once it serves and passes."""
        return poll_until(lambda: next((one for one in self.now if (one.phase, one.status) == ("serving", "passing")), None), deadline_s)

    def until_gone(self, deadline_s: float = PATIENCE_S) -> float:
        """Wait until none is listed; answers when that was."""
        poll_until(lambda: self.seen and not self.now, deadline_s)
        return self.seen[-1].at

    def since(self, moment: float) -> list[Seen]:
        """What was seen after that."""
        return [seen for seen in self.seen if seen.at >= moment]

    def first(self, moment: float, phase: str) -> float | None:
        """How many seconds after `moment` an instance was first seen in that phase."""
        return next((seen.at - moment for seen in self.since(moment) if any(one.phase == phase for one in seen.places)), None)


class Stage:
    """Where one test plays: its registry, its own name space, and its own folder for locks and snapshots."""

    def __init__(self, server: ServerProcess, folder: Path, namespace: str = "") -> None:
        self.server = server
        self.folder = folder
        self.namespace = namespace or folder.name.replace("_", "-")[:60]
        self.port = free_port()

    def another(self, number: int) -> "Stage":
        """The same for one more try: nothing of an earlier one is there."""
        folder = self.folder / str(number)  # a short name: sockets are made in it
        folder.mkdir()
        return Stage(self.server, folder, f"{self.namespace}-{number}")

    def environment(self, **more: str) -> dict[str, str]:
        """What its programs are told."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD_", "WERKZEUG_", "PORT"))}
        told = {
            "CALLBOARD_URL": self.server.url,
            "CALLBOARD_NAMESPACE": self.namespace,
            "CALLBOARD_SNAPSHOTS": str(self.folder / "snapshots"),
            "XDG_RUNTIME_DIR": str(self.folder),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), inherited.get("PATH", ""))),
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
        }
        return {**inherited, **told, **more}

    def run(self, module: str, *words: str, where: Path = EXAMPLES, **more: str) -> Program:
        """`python -m module words`, in the folder of the examples."""
        return Program([sys.executable, "-m", module, *words], self.environment(**more), where, self.folder / f"{module}.log")

    def watch(self, service: str = "orders") -> Watcher:
        """A watcher of its name space."""
        return Watcher(self.server, service, self.namespace)

    def owner(self) -> int | None:
        """The process that keeps the one instance: it holds the lock `owner`."""
        inodes = {path.stat().st_ino for path in self.folder.glob("callboard/*.owner")}
        for line in Path("/proc/locks").read_text().splitlines():
            found = re.search(r"FLOCK\s+ADVISORY\s+WRITE\s+(\d+)\s+\S+:(\d+)\s", line)
            if found and int(found[2]) in inodes:
                return int(found[1])
        return None

    def seated(self, processes: set[int]) -> set[int]:
        """Those that share the one instance, as its keeper or waiting to become it: they have the file of the lock open."""
        locks = {str(path) for path in self.folder.glob("callboard/*.owner")}
        return {pid for pid in processes if locks & _open_files(pid)}

    def answers(self, path: str = "/") -> bool:
        """Whether somebody answers on its port."""
        try:
            return get(self.port, path)[0] < 500
        except (OSError, HTTPException):
            return False


def again_after_a_standstill(test: Callable[..., None]) -> Callable[..., None]:
    """For tests of programs with time limits of their own, some of a second or two: where the machine stood still, it may be what failed.

    They are played again then, from the beginning and on another stage; the last time counts whatever happened.
    """

    @functools.wraps(test)
    def played(stage: Stage, **values: object) -> None:
        for number in range(_TRIES_COUNT):
            with Standstill() as machine:
                try:
                    test(stage=stage.another(number), **values)
                    return
                except Exception:
                    if machine.longest_s < _STANDSTILL_MIN_S or number == _TRIES_COUNT - 1:
                        raise

    timed: Callable[..., None] = pytest.mark.timeout(300)(played)
    return timed


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _open_files(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(file.readlink()))
    return found


def get(port: int, path: str, headers: Mapping[str, str] | None = None, timeout_s: float = PATIENCE_S) -> tuple[int, str]:
    """Status and body. Raises `OSError`."""
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

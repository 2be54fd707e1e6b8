"""Processes under measurement: started on a core of their own, asked for their CPU time and memory, ended by pid."""

import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
SERVER_CORES = frozenset(CORES[:-1] if len(CORES) > 2 else CORES)
"""Where a server of several processes runs: on all cores but that of the load, unless there are too few of them."""

FILES_MAX = 65_536
_CPUCLOCK_SCHED = 2
"""Of Linux: with a pid, the clock that counts the CPU time of that process in nanoseconds."""


class Target(Protocol):
    """Something that answers requests: a process of ours, or a peer."""

    @property
    def http(self) -> tuple[str, int]: ...

    @property
    def dns(self) -> tuple[str, int]: ...

    def cpu_s(self) -> float: ...


def cpu_of(pid: int) -> float:
    """User and system time of all threads of a process so far, those that have ended included."""
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def rss_kib_of(pid: int) -> int:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("no VmRSS")


def family_of(pid: int) -> list[int]:
    """A process and all that it started, directly or not."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
    return found


@dataclass
class Process:
    """A process that is being measured, with the processes it started."""

    popen: subprocess.Popen[str]
    ready: dict[str, Any]

    def cpu_s(self) -> float:
        """User and system time so far."""
        return sum(map(cpu_of, self.pids()))

    def rss_kib(self) -> int:
        """Resident memory."""
        return sum(map(rss_kib_of, self.pids()))

    def pids(self) -> list[int]:
        """Its own first."""
        return family_of(self.popen.pid)

    @property
    def http(self) -> tuple[str, int]:
        """Host and port of its first HTTP address."""
        return host_port(self.ready["http"][0].removeprefix("http://"))

    @property
    def dns(self) -> tuple[str, int]:
        """Host and port of its DNS address."""
        return host_port(self.ready["dns"])

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it and wait."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        self.popen.wait(timeout=30)
        if self.popen.stdout is not None:
            self.popen.stdout.close()


def host_port(text: str) -> tuple[str, int]:
    """`host:port` in its parts."""
    host, port = text.rsplit(":", 1)
    return host, int(port)


def start(arguments: list[str], core: int | frozenset[int] | None = SERVER_CORE, environment: dict[str, str] | None = None) -> Process:
    """Start a Python program, on a core or some (None: on any), and wait for the JSON line that says it is ready.

    In a session of its own: Linux shares a core out among sessions first (autogroup), and one that had the load in its own would get less.
    """
    cores = CORES if core is None else {core} if isinstance(core, int) else core
    popen = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509  # no threads run here yet
        env={**os.environ, **(environment or {})},
    )
    if popen.stdout is None:
        raise RuntimeError("no stdout")
    try:
        line = popen.stdout.readline()
    except BaseException:  # told to end meanwhile, which a session of its own does not hear of
        popen.kill()
        popen.wait()
        raise
    if not line:
        raise RuntimeError(f"{arguments} ended with {popen.wait()} before it was ready")
    return Process(popen, json.loads(line))


def callboard(*arguments: str, core: int | frozenset[int] = SERVER_CORE, environment: dict[str, str] | None = None) -> Process:
    """A server as users run it, on free ports."""
    words = ["-m", "callboard", "serve", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--log-level", "warning", *arguments]
    return start(words, core, environment)


@contextlib.contextmanager
def durable_server(*arguments: str, core: int | frozenset[int] = SERVER_CORE) -> Iterator[Process]:
    """A server over SQLite in a directory that goes with it."""
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as directory:
        process = callboard("--data", directory, *arguments, core=core)
        try:
            yield process
        finally:
            process.stop()


@contextlib.contextmanager
def bare(kind: str, payload: bytes) -> Iterator[Process]:
    """The bare loop of `bench.bare`, answering everything with `payload`."""
    with tempfile.NamedTemporaryFile(prefix="callboard-bench-") as file:
        file.write(payload)
        file.flush()
        process = start(["-m", "bench.bare", kind, file.name])
        try:
            yield process
        finally:
            process.stop()


def many_files() -> int:
    """Raise the limit of open files, for this process and those it starts; answers what it now is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # only root may go beyond the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, FILES_MAX), max(hard, FILES_MAX)))
        return max(hard, FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def take_over() -> None:
    """Make this process the load: on its core, with many files, and taking its servers away when it is told to end."""
    many_files()
    os.sched_setaffinity(0, {LOAD_CORE})
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def machine() -> dict[str, Any]:
    """Where and of what the figures were taken."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    dirty = bool(
        subprocess.run(
            ["git", "status", "--porcelain", "--", "src", "bench/*.py"], capture_output=True, text=True, check=False
        ).stdout.strip()
    )
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": model,
        "cores": os.cpu_count(),
    }

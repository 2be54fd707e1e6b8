"""Processes under measurement: started on a core of their own, asked for their CPU time and memory, ended by pid."""

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVER_CORE = 0
LOAD_CORE = (os.cpu_count() or 1) - 1
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Process:
    """A process that is being measured."""

    popen: subprocess.Popen[str]
    ready: dict[str, Any]

    def cpu_s(self) -> float:
        """User and system time of all its threads so far."""
        fields = Path(f"/proc/{self.popen.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_kib(self) -> int:
        """Resident memory."""
        for line in Path(f"/proc/{self.popen.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError("no VmRSS")

    @property
    def http(self) -> tuple[str, int]:
        """Host and port of its first HTTP address."""
        host, port = self.ready["http"][0].removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    @property
    def dns(self) -> tuple[str, int]:
        """Host and port of its DNS address."""
        host, port = self.ready["dns"].rsplit(":", 1)
        return host, int(port)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it and wait."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        self.popen.wait(timeout=30)


def start(arguments: list[str], core: int | None = SERVER_CORE, environment: dict[str, str] | None = None) -> Process:
    """Start a Python program, on a core (None: on any), and wait for the JSON line that says it is ready."""
    popen = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509  # no threads run here yet
        env={**os.environ, **(environment or {})},
    )
    if popen.stdout is None:
        raise RuntimeError("no stdout")
    line = popen.stdout.readline()
    if not line:
        raise RuntimeError(f"{arguments} ended with {popen.wait()} before it was ready")
    return Process(popen, json.loads(line))


def callboard(*arguments: str, environment: dict[str, str] | None = None) -> Process:
    """A server as users run it, on free ports."""
    words = ["-m", "callboard", "serve", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--log-level", "warning", *arguments]
    return start(words, environment=environment)


@contextlib.contextmanager
def durable_server() -> Iterator[Process]:
    """A server over SQLite in a directory that goes with it."""
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as directory:
        process = callboard("--data", directory)
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

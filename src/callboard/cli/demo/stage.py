"""The demo's processes: started here, and ended here. They live in sessions of their own, so that Ctrl-C reaches the demo alone."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Final

import msgspec
from msgspec import Struct

import callboard

SERVICE: Final = "web"
INSTANCES: Final = ("web-1", "web-2", "web-3")
_READY_MAX_S: Final = 60.0
_LEAVE_MAX_S: Final = 5.0
_POLL_S: Final = 0.1
_ERROR_SHOWN_MAX_CHARS: Final = 2_000


class StageError(Exception):
    """The demo cannot go on; the message says why."""


class Interruption(Exception):  # not an error: somebody wants to leave
    """A signal told the demo to end."""


class _Ready(Struct):
    http: tuple[str, ...]
    dns: str = ""


class Signals:
    """Whether the demo was told to end. While it lives, SIGINT, SIGTERM and SIGHUP only leave a note, so that nothing is cut off midway."""

    def __init__(self) -> None:
        self._told = False
        self._before = {number: signal.signal(number, self._tell) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def _tell(self, _number: int, _frame: object) -> None:
        self._told = True

    def check(self) -> None:
        """Raise `Interruption` when told to end."""
        if self._told:
            raise Interruption

    def restore(self) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Stage:
    """The server and the services. Close it on every way out."""

    def __init__(self, signals: Signals) -> None:
        self.url = ""
        self.dns = ""
        self._signals = signals
        self._directory = tempfile.TemporaryDirectory(prefix="callboard-demo-", ignore_cleanup_errors=True)
        self._server: subprocess.Popen[bytes] | None = None
        self._services: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def directory(self) -> Path:
        """Where the server keeps its data."""
        return Path(self._directory.name)

    def start_server(self) -> None:
        """Start a server on free ports and wait until it is ready. Raises `StageError`, `Interruption`."""
        options = ["--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--data", str(self.directory / "data"), "--log-level", "warning"]
        self._server = self._start("server", "callboard.cli.leashed", *options)
        assert self._server.stdout is not None
        line = self._first_line(self._server, self._server.stdout)
        try:
            ready = msgspec.json.decode(line, type=_Ready)
        except msgspec.DecodeError:
            raise StageError(f"the server did not start{self.complaint('server')}") from None
        self.url, self.dns = ready.http[0], ready.dns

    def start_service(self, instance: str) -> None:
        """Start a service; it signs in by itself."""
        self._services[instance] = self._start(instance, "callboard.cli.demo.service", self.url, instance)

    def pid(self, instance: str) -> int:
        """Of a service's process."""
        return self._services[instance].pid

    def kill_service(self, instance: str) -> None:
        """SIGKILL: no time to say goodbye."""
        service = self._services.pop(instance)
        service.kill()
        _reap(service)

    def check(self) -> None:
        """Raise `StageError` when a process has ended by itself, `Interruption` when told to end."""
        self._signals.check()
        running = {**self._services, **({"server": self._server} if self._server is not None else {})}
        for name, process in running.items():
            if (code := process.poll()) is not None:
                raise StageError(f"{name} ended with exit code {code}{self.complaint(name)}")

    def complaint(self, name: str) -> str:
        """The end of what a process wrote to its stderr, to be put behind a message; may be empty."""
        with contextlib.suppress(OSError):
            if said := self._errors(name).read_text("utf-8", errors="replace").strip():
                return ":\n" + said[-_ERROR_SHOWN_MAX_CHARS:]
        return ""

    def close(self) -> None:
        """End the services, then the server, and remove the data."""
        for service in self._services.values():
            service.terminate()
        for service in self._services.values():
            _reap(service)
        if self._server is not None:
            self._server.terminate()
            _reap(self._server)
        self._directory.cleanup()

    def _start(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """The same program as this one, without what the environment says to other servers and clients."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("CALLBOARD_", "CONSUL_"))}
        home = str(Path(callboard.__file__).parents[1])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (home, environment.get("PYTHONPATH"))))
        with self._errors(name).open("wb") as errors:
            return subprocess.Popen(  # noqa: S603  # our own modules
                [sys.executable, "-P", "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )

    def _first_line(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> bytes:
        deadline = time.monotonic() + _READY_MAX_S
        while not select.select([output], [], [], _POLL_S)[0]:
            self._signals.check()
            if time.monotonic() > deadline:
                raise StageError(f"the server was not ready after {_READY_MAX_S:.0f} s{self.complaint('server')}")
        line = output.readline()
        if not line:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LEAVE_MAX_S)  # its last words are whole then
        return line

    def _errors(self, name: str) -> Path:
        return self.directory / f"{name}.err"


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end, and make it come if it does not."""
    try:
        process.wait(_LEAVE_MAX_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()

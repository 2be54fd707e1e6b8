"""A real server for tests, with everything that can happen to a server: crash, standstill, a cut link, loss of its data.

A `Server` is one `callboard serve` process on free loopback ports, behind a link that can be cut; it lives inside `Server.running`. Its
rows are in a SQLite file of a folder that the test throws away: so a restart finds them again, unless it is told to lose them.
"""

import contextlib
import importlib.util
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

import callboard
from callboard.testing.proxy import Mode, Proxy

if TYPE_CHECKING:
    from callboard.client.board import Board
    from callboard.client.board_settings import BoardSettings

_READY_MAX_S: Final = 30.0
_LEAVE_MAX_S: Final = 10.0
_HOST: Final = "127.0.0.1"
_PORTS: Final = range(15_000, 31_000)
"""Below those that systems give to whoever asks for any: nobody else has it when the server is started again."""
_LOG_SHOWN_MAX_CHARS: Final = 2_000
_SERVER_PACKAGES: Final = ("httptools", "starlette", "uvicorn")


class ServerError(Exception):
    """The server is not as the test wants it; the message says why, and what to do."""


class _Ready(Struct):
    http: tuple[str, ...]
    dns: str


class Server:
    """One server process. Its addresses stay the same over every restart."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._settings = dict(settings or {})
        self._proxy = Proxy()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready: _Ready | None = None
        self._cut: Mode = "open"
        self._boards: list[Board] = []

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path, settings: Mapping[str, str] | None = None) -> Iterator["Server"]:
        """A server that keeps its files in `folder`. It and the boards of `connect` are ended at the end, whatever happened.

        `settings` are its environment (`{"CALLBOARD_TUNE_NATIVE_ALIVE_MS": "500"}`); of the tests' own it gets no `CALLBOARD_*`.
        """
        server = cls(folder, settings)
        try:
            server.start()
            yield server
        finally:
            server._close()

    @property
    def url(self) -> str:
        """Where it is called. The way leads over the link that `partition` cuts."""
        return f"http://127.0.0.1:{self._proxy.port}"

    @property
    def urls(self) -> tuple[str, ...]:
        """The same as a tuple, as `ClientSettings` wants it."""
        return (self.url,)

    @property
    def direct_url(self) -> str:
        """The server's own address, past the link: what the registry knows while somebody is cut off from it."""
        return self._told().http[0]

    @property
    def dns(self) -> tuple[str, int]:
        """Host and port of DNS; `partition` does not cut it."""
        host, _, port = self._told().dns.rpartition(":")
        return host, int(port)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._running().pid

    @property
    def snapshots(self) -> Path:
        """The folder in which the boards of `connect` keep what they knew."""
        return self._folder / "snapshots"

    @property
    def log(self) -> str:
        """What the server wrote to its log so far."""
        with contextlib.suppress(FileNotFoundError):
            return self._log.read_text("utf-8", errors="replace")
        return ""

    def connect(
        self, *, token: str = "", namespace: str = "", zone: str = "", snapshots: str = "", settings: "BoardSettings | None" = None
    ) -> "Board":
        """A board on this server, as of `callboard.connect`; it is closed at the end. For asyncio: `callboard.aio.connect(server.url)`."""
        kept = snapshots or (settings.snapshots if settings is not None else "") or str(self.snapshots)
        board = callboard.connect(self.url, token=token, namespace=namespace, zone=zone, snapshots=kept, settings=settings)
        self._boards.append(board)
        return board

    def start(self) -> None:
        """Start it, with the rows that are there, and wait until it is ready. Nothing happens when it runs. Raises `ServerError`."""
        if self._process is not None and self._process.poll() is None:
            return
        self._reap()
        _need_the_extra()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = self._launch()
        self._ready = self._read_ready(self._process)
        host, _, port = self._ready.http[0].removeprefix("http://").rpartition(":")
        self._proxy.lead_to(host, int(port))
        self._link()

    def stop(self) -> None:
        """SIGTERM, as an operator does it, and wait for the end. Raises `ServerError` when it does not leave."""
        process = self._running()
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(_LEAVE_MAX_S)
        except subprocess.TimeoutExpired:
            raise ServerError(f"the server did not leave within {_LEAVE_MAX_S:.0f} s after SIGTERM{self._complaint()}") from None
        finally:
            self._reap()

    def kill(self) -> None:
        """SIGKILL: a crash. Callers are refused from now on; `start` brings it back with its rows."""
        self._running()
        self._reap()

    def restart(self, *, lose_state: bool = False) -> None:
        """Stop and start it, at the same addresses. `lose_state`: with nothing of what it knew, as after a lost disk."""
        if self._process is not None:
            self.stop()
        if lose_state:
            shutil.rmtree(self._data, ignore_errors=True)
        self.start()

    def pause(self) -> None:
        """SIGSTOP: it stands still. Connections are still accepted (the kernel does that), and nothing is answered."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # a signal to another process takes a moment

    def resume(self) -> None:
        """SIGCONT: it goes on where it stood."""
        self._running().send_signal(signal.SIGCONT)

    def partition(self, *, refuse: bool = False) -> contextlib.AbstractContextManager[None]:
        """Cut the link at once; `heal`, or the end of a `with` around the answer, mends it.

        Bytes vanish into silence and connections stay half open, the worst a network does. `refuse`: connections break and are refused.
        """
        self._cut = "refuse" if refuse else "cut"
        self._link()
        return self._until_healed()

    def heal(self) -> None:
        """Mend the link. Connections that were half open go on."""
        self._cut = "open"
        self._link()

    @contextlib.contextmanager
    def _until_healed(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.heal()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def _link(self) -> None:
        down: Mode = "refuse" if self._process is None else "open"
        self._proxy.set_mode(down if self._cut == "open" else self._cut)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerError("the server does not run; start() it")
        if (code := self._process.poll()) is not None:
            raise ServerError(f"the server ended by itself with exit code {code}{self._complaint()}")
        return self._process

    def _told(self) -> _Ready:
        if self._ready is None:
            raise ServerError("the server was never started; start() it")
        return self._ready

    def _launch(self) -> subprocess.Popen[bytes]:
        """The program of this very installation, without what the environment says to other servers, and at the ports it had before."""
        before = self._ready
        http, dns = (_own_address(), _own_address()) if before is None else (before.http[0].removeprefix("http://"), before.dns)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD_", "CONSUL_"))}
        home = str(Path(callboard.__file__).parents[1])
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (home, environment.get("PYTHONPATH"))))
        options = ["--http", http, "--dns", dns, "--data", str(self._data), "--log-level", "warning"]
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # our own module
                [sys.executable, "-P", "-m", "callboard.cli.leashed", *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**environment, **self._settings},
                # Ctrl-C is for the tests. When they are killed, the kernel lets a paused server of this group go on, and it leaves too.
                process_group=0,
            )

    def _read_ready(self, process: subprocess.Popen[bytes]) -> _Ready:
        assert process.stdout is not None
        heard = bool(select.select([process.stdout], [], [], _READY_MAX_S)[0])
        line = process.stdout.readline() if heard else b""
        try:
            return msgspec.json.decode(line, type=_Ready)
        except msgspec.DecodeError:
            self._reap()
            why = "did not start" if heard else f"was not ready after {_READY_MAX_S:.0f} s"
            raise ServerError(f"the server {why}{self._complaint()}") from None

    def _complaint(self) -> str:
        said = self.log.strip()
        return f"; its log ends:\n{said[-_LOG_SHOWN_MAX_CHARS:]}" if said else ""

    def _reap(self) -> None:
        """End the process, if it has not ended; and refuse callers."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        self._link()

    def _close(self) -> None:
        """The boards first, while they can still sign out."""
        try:
            if self._process is not None:
                self._process.send_signal(signal.SIGCONT)
            self.heal()
            for board in self._boards:
                board.close()
        finally:
            self._reap()
            self._proxy.close()


def _own_address() -> str:
    """With a port that nobody listens on now."""
    chance = random.SystemRandom()  # two processes of one test run must not choose alike
    while True:
        port = chance.choice(_PORTS)
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams, contextlib.suppress(OSError):
            stream.bind((_HOST, port))
            datagrams.bind((_HOST, port))
            return f"{_HOST}:{port}"


def _need_the_extra() -> None:
    missing = [name for name in _SERVER_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ServerError(f"a server needs {', '.join(missing)}, not installed here; try: pip install 'callboard[server,testing]'")

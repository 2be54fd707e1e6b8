"""Real server processes for tests: started on free ports, ended by pid, killed when a test wants to see what a crash leaves."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ENDED_S: Final = 60.0
"""A process that was told to end has ended by then, also where the machine stops for seconds."""
SOON_S: Final = 20.0
"""A server ends within five seconds, on a machine that has time; one that waits for what does not come waits for a minute."""
_FIRST_PORT: Final = 15_000
_PORTS_COUNT: Final = 16_000
"""Below the ports from which Linux and macOS choose by themselves: nobody else comes upon one of these before it is bound."""


@dataclass
class ServerProcess:
    """A running `callboard serve` and its ready line."""

    popen: subprocess.Popen[str]
    ready: dict[str, Any]

    @property
    def url(self) -> str:
        """Its first HTTP address."""
        return str(self.ready["http"][0])

    @property
    def http(self) -> tuple[str, int]:
        """Host and port of its first HTTP address."""
        return split_address(self.url.removeprefix("http://"))

    @property
    def dns(self) -> tuple[str, int]:
        """Host and port of DNS."""
        return split_address(str(self.ready["dns"]))

    def kill(self) -> None:
        """SIGKILL: a crash of the process."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(timeout=ENDED_S)
        self._close_pipes()

    def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        code = self.popen.wait(timeout=ENDED_S)
        self._close_pipes()
        return code

    def _close_pipes(self) -> None:
        if self.popen.stdout is not None:
            self.popen.stdout.close()


def split_address(text: str) -> tuple[str, int]:
    """Host and port of `host:port`."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def free_port() -> int:
    """A port that nobody listens on now, nor is given by the system to somebody who asks for any port."""
    while True:
        port = _FIRST_PORT + random.SystemRandom().randrange(_PORTS_COUNT)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def start_server(*arguments: str, environment: dict[str, str] | None = None) -> ServerProcess:
    """Start `callboard serve` on free loopback ports, unless `arguments` name others, and wait until it is ready."""
    words = [sys.executable, "-m", "callboard", "serve", "--log-level", "warning"]
    if "--http" not in arguments:
        words += ["--http", "127.0.0.1:0"]
    if "--dns" not in arguments:
        words += ["--dns", "127.0.0.1:0"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")}
    popen = subprocess.Popen([*words, *arguments], stdout=subprocess.PIPE, text=True, env={**inherited, **(environment or {})})
    assert popen.stdout is not None
    line = popen.stdout.readline()
    if not line:
        raise AssertionError(f"the server ended with {popen.wait(timeout=ENDED_S)} before it was ready")
    return ServerProcess(popen, json.loads(line))


@contextlib.contextmanager
def running_server(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[ServerProcess]:
    """A server that is stopped at the end, whatever happens."""
    server = start_server(*arguments, environment=environment)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def durable_server(data: Path, *arguments: str) -> Iterator[ServerProcess]:
    """A server over SQLite in `data`."""
    with running_server("--data", str(data), *arguments) as server:
        yield server

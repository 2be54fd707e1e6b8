"""Whether a port of this host accepts connections, asked once a second: a process that lives and no longer listens is found out at once.

A `Verdict` counts and knows no clock; a `Probe` asks, and lives as long as its registration.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from callboard.net import threads

INTERVAL_S: Final = 1.0
CONNECT_MAX_S: Final = 1.0
FAILURES_MAX_COUNT: Final = 3
"""So many in a row, and the instance is critical."""
LOOPBACK: Final = ("127.0.0.1", "::1")


class Turn(NamedTuple):
    """What an instance is to be reported as from now on."""

    status: Literal["passing", "critical"]
    output: str


class Verdict:
    """From single looks to turns."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._failures = 0

    def saw(self, problem: str) -> Turn | None:
        """One look: empty when a connection opened. None when nothing has turned."""
        if not problem:
            back = self._failures >= FAILURES_MAX_COUNT
            self._failures = 0
            return Turn("passing", "") if back else None
        self._failures += 1
        if self._failures != FAILURES_MAX_COUNT:
            return None
        return Turn("critical", f"port {self._port} does not accept connections: {problem}, {self._failures} times in a row")


class Probe:
    """A thread that looks until it is closed, and tells the turns."""

    def __init__(self, hosts: Sequence[str], port: int, told: Callable[[Turn], None], interval_s: float = INTERVAL_S) -> None:
        self._hosts = hosts
        self._port = port
        self._told = told
        self._interval_s = interval_s
        self._ended = threading.Event()
        threads.start(self._look_on, name="callboard-run-probe")

    def close(self) -> None:
        """Tell no turn any more."""
        self._ended.set()

    def _look_on(self) -> None:
        verdict = Verdict(self._port)
        while not self._ended.wait(self._interval_s):
            turn = verdict.saw(problem(self._hosts, self._port))
            if turn is not None and not self._ended.is_set():
                self._told(turn)


def problem(hosts: Sequence[str], port: int) -> str:
    """Why none of these addresses accepts a connection; empty when one does."""
    reasons = []
    for host in hosts:
        try:
            with socket.create_connection((host, port), timeout=CONNECT_MAX_S):
                return ""
        except TimeoutError:
            reasons.append("no answer in time")
        except OSError as error:
            reasons.append((error.strerror or str(error)).lower())
    return reasons[0]

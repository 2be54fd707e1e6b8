"""How long a server stands still: `python -m bench.probe HOST PORT PATH`, a small request every other millisecond, told the longest wait.

A process of its own, above the load in priority where that is allowed, so that the load's own work is not counted as the server's. It
prints `ready`; every line it reads ends a stretch, and the longest wait of it is printed in milliseconds.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from typing import Self

from bench.lab import LOAD_CORE, Target
from bench.load import connect, request
from bench.requests import exchange

EVERY_S = 0.002
PRIORITY = -15


class Probe:
    """The probe at work beside a load."""

    def __init__(self, target: Target, path: str) -> None:
        words = [sys.executable, "-m", "bench.probe", target.http[0], str(target.http[1]), path]
        self._popen = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.communicate(timeout=10)

    def longest_ms(self) -> float:
        """The longest wait since the last time this was asked."""
        assert self._popen.stdin is not None
        self._popen.stdin.write("\n")
        self._popen.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise RuntimeError("the probe ended before its time")
        return line


def main() -> int:
    host, port, path = sys.argv[1:]
    os.sched_setaffinity(0, {LOAD_CORE})
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    message = request("GET", path)
    longest = 0.0
    with connect((host, int(port))) as sock:
        exchange(sock, message)
        print("ready", flush=True)
        while True:
            begin = time.perf_counter()
            exchange(sock, message)
            longest = max(longest, time.perf_counter() - begin)
            if select.select([sys.stdin], [], [], EVERY_S)[0]:
                if not sys.stdin.readline():
                    return 0
                print(json.dumps(round(longest * 1e3, 2)), flush=True)
                longest = 0.0


if __name__ == "__main__":
    raise SystemExit(main())

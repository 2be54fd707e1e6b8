"""The demo's server, run as a process: `callboard serve`, which also leaves when its standard input ends, for then the demo is gone."""

import os
import signal
import sys

from callboard.cli.main import main
from callboard.net import threads


def _leave_with_the_demo() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threads.start(_leave_with_the_demo, name="demo-leash")
    main(["serve", *sys.argv[1:]])

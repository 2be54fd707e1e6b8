"""`callboard serve` for a parent that may die: it also leaves when its standard input ends, for then whoever started it is gone."""

import os
import signal
import sys

from callboard.cli.main import main
from callboard.net import threads


def _leave_with_the_parent() -> None:
    while os.read(0, 1):  # by file descriptor: a thread inside sys.stdin's own lock would break the end of the interpreter
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threads.start(_leave_with_the_parent, name="leash")
    main(["serve", *sys.argv[1:]])

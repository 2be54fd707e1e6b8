"""What holds a process and its entry in the registry together: `callboard run` from the first signal to the last.

One thread, the main one, decides; signals, the end of the process and news of the registration wait for it in one queue. It lives as
long as the process it started, and never longer than `stop_s` after the signal that ends it.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Final, Literal, NamedTuple, Protocol

from callboard.cli.exits import ERROR
from callboard.cli.running.child import Child

LEAVE: Final = frozenset({signal.SIGTERM, signal.SIGINT})
"""They drain first."""
PASSED_ON: Final = frozenset(
    getattr(signal, name) for name in ("SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH") if hasattr(signal, name)
)
_TYPED: Final = frozenset({signal.SIGINT, getattr(signal, "SIGQUIT", signal.SIGINT)})
"""What a terminal sends to the whole process group, so that the process has it already."""


class Refused(NamedTuple):
    """The registry will not have this instance as it is."""

    reason: str


class Ended(NamedTuple):
    """The process is gone."""


LOOK_S: Final = 0.5
"""No wait for news is longer: a signal that comes just before it, or interrupts another thread, is only heard of when it ends."""

News = signal.Signals | Refused | Ended
_Stage = Literal["serving", "draining", "stopping", "killed"]


class Entry(Protocol):
    """The instance in the registry."""

    def hide(self) -> None:
        """From new picks; answers at once."""
        ...

    def leave(self) -> None:
        """Sign out; at most some seconds."""
        ...


class Limits(NamedTuple):
    """How long a process is given to leave."""

    drain_s: float
    """From being hidden to the signal."""
    stop_s: float
    """From the signal to SIGKILL."""


class Supervisor:
    """Made with the news queue that the signal handlers, the child and the registration put into."""

    def __init__(self, child: Child, entry: Entry, limits: Limits, news: SimpleQueue[News], say: Callable[[str], None]) -> None:
        self._child = child
        self._entry = entry
        self._limits = limits
        self._news = news
        self._say = say
        self._stage: _Stage = "serving"
        self._deadline = 0.0
        self._last: signal.Signals | None = None
        """The signal that is passed on when draining is over; None: the process has it already."""
        self._refused = False

    def serve(self) -> int:
        """Until the process is gone and its entry too. Answers the exit code."""
        while self._child.exit_code is None:
            try:
                self._take(self._news.get(timeout=self._wait_s()))
            except Empty:
                self._time_is_up()
        self._entry.leave()
        return ERROR if self._refused else self._child.exit_code

    def _wait_s(self) -> float:
        return LOOK_S if self._stage in {"serving", "killed"} else min(LOOK_S, max(0.0, self._deadline - time.monotonic()))

    def _take(self, news: News) -> None:
        if isinstance(news, Refused):
            self._say(f"the registry refuses: {news.reason}; the command is stopped")
            self._refused = True
            self._stop(signal.SIGTERM)
        elif isinstance(news, signal.Signals):
            self._signalled(news)

    def _signalled(self, number: signal.Signals) -> None:
        typed = number in _TYPED and at_our_terminal()
        if number not in LEAVE or self._stage in {"stopping", "killed"}:
            if not typed:
                self._child.send(number)
        elif self._stage == "draining":
            self._stop(None if typed else number)
        else:
            self._entry.hide()
            self._stage, self._last = "draining", None if typed else number
            self._deadline = time.monotonic() + self._limits.drain_s

    def _time_is_up(self) -> None:
        if time.monotonic() < self._deadline:
            return
        if self._stage == "draining":
            self._stop(self._last)
        elif self._stage == "stopping":
            self._say(f"the command did not end within {self._limits.stop_s:g} s and is killed")
            self._stage = "killed"
            self._child.kill()

    def _stop(self, number: signal.Signals | None) -> None:
        self._stage = "stopping"
        self._deadline = time.monotonic() + self._limits.stop_s
        if number is not None:
            self._child.send(number)


@contextmanager
def listening(news: SimpleQueue[News]) -> Iterator[None]:
    """Put signals into the queue; those that are ignored (nohup, a shell's background jobs) stay so."""
    before = {}
    for number in LEAVE | PASSED_ON:
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN:
            before[number] = handler
            # A queue whose put may interrupt its own get: an Event would lock itself out when the signal comes while it begins to wait.
            signal.signal(number, lambda number, _frame: news.put(signal.Signals(number)))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def at_our_terminal() -> bool:
    """Whether our process group is the one that the terminal sends what is typed (Ctrl-C) to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)

"""What tests of every room use: a loop for one test, waiting for the real world with a deadline, a clock that a busy machine holds."""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self, TypeVar

import pytest

T = TypeVar("T")

PATIENCE_S: Final = 60.0
"""For what happens at once: a machine of continuous integration stops for seconds, and a test fails only when it never comes."""
_TICK_S: Final = 0.005
_STOPPED_S: Final = 0.2
_REPEATED_MAX_COUNT: Final = 5


def run(work: Coroutine[Any, Any, T]) -> T:
    """The answer of `work` on an event loop of its own."""
    return asyncio.run(work)


def poll_until(condition: Callable[[], T | None], deadline_s: float = PATIENCE_S, *, every_s: float = 0.01) -> T:
    """What `condition` answers once that is true. For real processes only; time of our own is a value that tests set."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not so within {deadline_s} s: {getattr(condition, '__name__', condition)}")
        time.sleep(every_s)
    return found


class _Beside(ABC):
    """A thread that looks on while a `with` block runs, and ends with it."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @abstractmethod
    def _look(self) -> None:
        """Until `_ended` is set."""


class Stopwatch(_Beside):
    """Seconds that this process was given: it counts short sleeps, so a machine that stops or serves others does not count.

    For spans that a wrong program would wait through. It lives inside its `with` block.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ticks = 0

    @property
    def seconds(self) -> float:
        """Since the block was entered, to its end."""
        return self._ticks * _TICK_S

    def _look(self) -> None:
        while not self._ended.wait(_TICK_S):
            self._ticks += 1


def repeated_if_stopped(work: Callable[[], T]) -> T:
    """What `work` answers. Where it fails and the machine stopped meanwhile, or served others, it is done again.

    For what must happen within tenths of a second, and would make a test slow if it had the patience of `poll_until`.
    """
    for _ in range(_REPEATED_MAX_COUNT):
        began = time.monotonic()
        with Stopwatch() as watch:
            try:
                return work()
            except (Exception, pytest.fail.Exception):
                if time.monotonic() - began - watch.seconds < _STOPPED_S:
                    raise
    return work()


class Standstill(_Beside):
    """How long the machine did not let this process run, at most. It lives inside its `with` block."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_s = 0.0

    def _look(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(_TICK_S):
            now = time.monotonic()
            self.longest_s, before = max(self.longest_s, now - before - _TICK_S), now

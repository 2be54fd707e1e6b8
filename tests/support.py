"""What tests of every room use: a loop for one test, and waiting for the real world with a deadline."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """The answer of `work` on an event loop of its own."""
    return asyncio.run(work)


def poll_until(condition: Callable[[], T | None], deadline_s: float = 20.0, *, every_s: float = 0.01) -> T:
    """What `condition` answers once that is true. For real processes only; time of our own is a value that tests set."""
    end = time.monotonic() + deadline_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not so within {deadline_s} s: {getattr(condition, '__name__', condition)}")
        time.sleep(every_s)
    return found

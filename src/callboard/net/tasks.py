"""The only place that makes tasks. A task made here is held until it ends, and an error nobody awaited is told to the caller's log.

`Tasks` lives as long as the part that owns it; closing it cancels what still runs and waits for its end, so nothing outlives its owner.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


def spawn(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start `work` as a task. The caller must hold it: the loop does not, and the collector takes what nobody holds."""
    return asyncio.create_task(work, name=name)


class Tasks:
    """The tasks of one owner."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Start `work`, hold it, and log what it fails with."""
        task = spawn(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("task %s failed", task.get_name(), exc_info=error)

    async def close(self) -> None:
        """Cancel what runs and wait until it has ended."""
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)  # not `await task`: it could not tell the task's being cancelled from the caller's

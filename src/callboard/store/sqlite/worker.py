"""A thread that takes jobs from a bounded queue and hands each answer back to the event loop, in order.

It lives from `start` to `stop`. It ends with the process (daemon): what it has not committed, nobody was told.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from callboard.model.errors import UnavailableError

T = TypeVar("T")


Answer = Callable[[], None]
"""To be called on the loop."""


class Worker:
    """One thread. `idle`, if given, is called in it whenever no job came for `idle_s` seconds."""

    def __init__(self, name: str, queue_max_count: int, *, idle: Callable[[], None] | None = None, idle_s: float | None = None) -> None:
        self._name = name
        self._limit = queue_max_count
        self._idle = idle
        self._idle_s = idle_s if idle is not None else None
        self._jobs: queue.SimpleQueue[Callable[[], Answer] | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to work for the running loop."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(self._loop,), name=self._name, daemon=True).start()  # noqa: TID251 a store's own thread

    @property
    def queued(self) -> int:
        """Jobs that wait."""
        return self._jobs.qsize()

    def submit(self, work: Callable[[], T], then: Callable[[T], None] | None = None) -> "asyncio.Future[T]":
        """Have `work` done in the thread and `then` called with its answer on the loop, even if nobody awaits the future any more."""
        if self._loop is None:
            raise UnavailableError("the store is not open")
        if self._jobs.qsize() >= self._limit:
            raise UnavailableError(f"{self._name}: {self._limit} jobs wait already; try again later")
        return self._put(self._loop, work, then)

    async def stop(self, last: Callable[[], None]) -> None:
        """Refuse further jobs, finish those that wait, do `last`, end."""
        if self._loop is None:
            return
        done = self._put(self._loop, last, None)
        self._loop = None
        self._jobs.put(None)
        await done

    def _put(self, loop: asyncio.AbstractEventLoop, work: Callable[[], T], then: Callable[[T], None] | None) -> "asyncio.Future[T]":
        future: asyncio.Future[T] = loop.create_future()

        def succeed(result: T) -> None:
            if then is not None:
                then(result)
            if not future.done():
                future.set_result(result)

        def fail(error: Exception) -> None:
            if not future.done():
                future.set_exception(error)

        def job() -> Answer:
            try:
                return partial(succeed, work())
            except Exception as error:  # noqa: BLE001 whoever awaits the job gets it
                return partial(fail, error)

        self._jobs.put(job)
        return future

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=self._idle_s)
            except queue.Empty:
                self._be_idle(loop)
                continue
            if job is None:
                return
            answer = job()
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(answer)
            del job, answer  # an idle thread holds no group

    def _be_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            if self._idle is not None:
                self._idle()
        except Exception as error:  # noqa: BLE001 the thread must live on for those who commit
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(loop.call_exception_handler, {"message": f"{self._name} failed when idle", "exception": error})

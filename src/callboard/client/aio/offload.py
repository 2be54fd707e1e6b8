"""Blocking work awaited: it runs in a thread of its own, not in the loop's pool, which the application may have filled."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from typing import TypeVar

from callboard.net import threads

T = TypeVar("T")


def running_loop() -> asyncio.AbstractEventLoop:
    """The one that waits. Raises `RuntimeError` where none of asyncio runs: under trio, say."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "callboard.aio needs a running event loop of asyncio; under trio, use callboard.connect() in trio.to_thread.run_sync()"
        ) from None


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` answers or raises. A caller that is cancelled leaves; the work goes on to its end."""
    running_loop()  # before anything begins
    done: Future[T] = Future()

    def run() -> None:
        with contextlib.suppress(InvalidStateError):  # whoever waited has left
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is raised where it is waited for
                done.set_exception(error)
            else:
                done.set_result(result)

    threads.start(run, name="callboard-work")
    return await asyncio.wrap_future(done)

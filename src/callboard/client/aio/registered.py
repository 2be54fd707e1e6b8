"""An instance that this process keeps signed in, for asyncio. The same names as `callboard.client.registered`; what may wait is awaited.

It also watches the loop it was made in: while that does not turn, the instance is shown with a warning, and its lease is kept.
"""

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self

from callboard.client.aio.offload import running_loop
from callboard.client.engine import Engine
from callboard.client.options import RegisterOptions
from callboard.client.registered_base import RegisteredBase
from callboard.client.showing import CLOSE_MAX_S

__all__ = ["Registered"]


class Registered(RegisteredBase):
    """Made by `Board.register`; signed out by `close`, or with the board. A forked child does not own it: there `close` does nothing."""

    def __init__(self, engine: Engine, service: str, options: RegisterOptions) -> None:
        super().__init__(engine, service, options)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch_loop()

    async def __aenter__(self) -> Self:
        running_loop()
        self._watch_loop()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def wait(self, timeout_s: float | None = None) -> None:
        """Until it is signed in, here or by another process of this host that shares it.

        Raises what it was refused with (`ClientError`, `InvalidError`), and `TimeoutError`, which says what is still missing.
        """
        self._watch_loop()
        await self._until(lambda: self.keeper.settled, timeout_s)
        self.keeper.judge()

    async def drain(self, *, wait: bool = True) -> bool:
        """As `callboard.client.registered.Registered.drain`."""
        self.keeper.drain()
        if not wait:
            return False
        await self._until(lambda: self.keeper.ended, None)
        self._restore_signal()
        return self.keeper.finished

    async def close(self) -> None:
        """As `callboard.client.registered.Registered.close`."""
        try:
            self.keeper.leave()
            if not await self._until(lambda: self.keeper.ended, CLOSE_MAX_S):
                self.keeper.gave_up_waiting()
        finally:
            self._restore_signal()

    async def _until(self, condition: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait for a turn that makes `condition` true, without a thread; whether it came."""
        loop, turned = running_loop(), asyncio.Event()
        stop = self.keeper.shown.follow(lambda: _later(loop, turned.set))
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    await turned.wait()
                    turned.clear()
        except TimeoutError:
            return condition()
        finally:
            stop()
        return True

    def _watch_loop(self) -> None:
        """The running one, if there is one that is not watched yet."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if loop is self._loop:
            return
        self._loop = loop

        def post(call: Callable[[], None]) -> None:
            loop.call_soon_threadsafe(call)

        self.keeper.watch_loop(post, loop.is_closed)


def _later(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
        loop.call_soon_threadsafe(call)

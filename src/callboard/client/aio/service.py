"""The handle on a service for asyncio. The same names as `callboard.client.service`; what may wait is awaited.

It belongs to no loop: each wait belongs to the loop it is awaited in, so that one handle serves several loops, one after the other or at
once. What is known comes from the follower's threads, and no loop need turn for it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from callboard.balance.endpoint import Endpoint
from callboard.balance.picked import Picked
from callboard.balance.selector import Judged
from callboard.client.aio.offload import running_loop
from callboard.client.attempts import Attempt, Call
from callboard.client.deadline import bounded
from callboard.client.followed import Followed
from callboard.client.service_base import NOT_TWICE, WATCH_LOOK_S, ServiceBase
from callboard.client.snapshot import Snapshot

__all__ = ["Service"]


class Service(ServiceBase):
    """Whom to call. Make one and keep it, for it learns from the calls that go through it."""

    @property
    def snapshot(self) -> Snapshot:
        """All that is known. It does not wait: await `wait()` once. Raises `NoPictureError`."""
        snapshot = self._finder.followed.snapshot
        if snapshot is None:
            raise self._finder.followed.nothing()
        return snapshot

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Whom a call may go to now. Raises `NoPictureError` as `snapshot` does."""
        return self._finder.endpoints

    async def wait(self, timeout_s: float | None = None) -> Snapshot:
        """Until something is known; None: `first_wait_ms`. Raises `NoPictureError`, which says why nothing is."""
        return await _wait(self._finder.followed, self._first_wait_ms / 1000 if timeout_s is None else timeout_s)

    async def fresh(self, timeout_s: float | None = None) -> Snapshot:
        """Until the registry itself was heard, not only the disk. Raises `NoPictureError`."""
        return await _wait(self._finder.followed, self._first_wait_ms / 1000 if timeout_s is None else timeout_s, fresh=True)

    def considered(self) -> tuple[Judged, ...]:
        """Every instance, whether it is called, and why. Raises `NoPictureError` as `snapshot` does."""
        self._finder.followed.ensure()
        return self._finder.selection().considered

    def pick(self) -> "Picking":
        """`async with users.pick() as endpoint`: one call to one instance. An exception inside counts as a failure of the instance.

        It waits for the first picture. Raises `NoPictureError`, and `NoInstanceError` when nobody can be called.
        """
        return Picking(self)

    def attempts(self, *, idempotent: bool = True, timeout_s: float | None = None) -> "Attempts":
        """`async for attempt in users.attempts()`: see `callboard.client.service.Service.attempts`."""
        return Attempts(Call(self._finder, idempotent=idempotent, timeout_s=timeout_s))

    async def watch(self) -> AsyncGenerator[Snapshot, None]:
        """What is known, as soon as it is, and then every change until the board is closed.

        Who is slow misses what lies between: `added`, `removed` and `changed` are always the differences to what was told before.
        """
        followed = self._finder.followed
        before: Snapshot | None = None
        with _news(followed) as news:
            while not followed.closed:
                news.clear()
                newest = followed.snapshot
                if newest is not None and (before is None or not newest.same(before)):
                    before, told = newest, newest.since(before)
                    yield told
                else:
                    await _set_within(news, WATCH_LOOK_S)

    async def choose(self) -> Picked:
        """For `pick`: the instance of one call."""
        followed = self._finder.followed
        if followed.latest is None:
            await _wait(followed, followed.patience_ms() / 1000)
        return self._finder.picked()


class Picking:
    """What `pick` answers: an instance as long as it is called. It may be entered again, but not twice at once."""

    __slots__ = ("_picked", "_service")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._picked: Picked | None = None

    async def __aenter__(self) -> Endpoint:
        if self._picked is not None:
            raise RuntimeError(NOT_TWICE)
        self._picked = await self._service.choose()
        return self._picked.endpoint

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._picked is not None:
            self._service.finder.done(self._picked, error)
            self._picked = None


class Attempts:
    """The attempts of one call, one after the other. Who drops it gives up the attempt under way: hold it as long as the call lasts."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Attempt:
        """Waits for the first picture, and before an attempt that must not come at once. Raises what `Call.begin` raises."""
        pause_s = self._call.turn()
        if pause_s is None:
            raise StopAsyncIteration
        if self._call.state == "new" and self._call.finder.followed.latest is None:
            await _wait(self._call.finder.followed, self._call.picture_wait_ms() / 1000)
        if pause_s:
            await asyncio.sleep(pause_s)
        return self._call.begin()

    def __del__(self) -> None:
        """The loop was left."""
        self._call.abandon()


async def _wait(followed: Followed, timeout_s: float, *, fresh: bool = False) -> Snapshot:
    until = time.monotonic() + bounded(timeout_s)
    with _news(followed) as news:
        while True:
            news.clear()
            found = followed.snapshot
            if found is not None and (followed.heard or not fresh):
                return found
            if followed.closed or not await _set_within(news, until - time.monotonic()):
                raise followed.nothing()


async def _set_within(news: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await news.wait()
    except TimeoutError:
        return False
    return True


@contextmanager
def _news(followed: Followed) -> Iterator[asyncio.Event]:
    """An event of the running loop that the follower's threads set. A loop that was closed meanwhile is left alone."""
    loop, news = running_loop(), asyncio.Event()

    def told() -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(news.set)

    remove = followed.listen(told)
    try:
        yield news
    finally:
        remove()

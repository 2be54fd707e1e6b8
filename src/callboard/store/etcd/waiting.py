"""Waiting before something that failed is tried again: a little longer each time, and no longer than the store is open."""

import asyncio

from callboard.store.etcd.settings import EtcdSettings


class Backoff:
    """One thing that is tried again and again."""

    def __init__(self, settings: EtcdSettings, closed: asyncio.Event) -> None:
        self._first_s = self._next_s = settings.retry_wait_ms / 1000
        self._max_s = settings.retry_wait_max_ms / 1000
        self._closed = closed

    async def wait(self) -> None:
        """Wait before the next try."""
        wait_s, self._next_s = self._next_s, min(2 * self._next_s, self._max_s)
        try:
            async with asyncio.timeout(wait_s):
                await self._closed.wait()
        except TimeoutError:
            return

    def reset(self) -> None:
        """It went well."""
        self._next_s = self._first_s

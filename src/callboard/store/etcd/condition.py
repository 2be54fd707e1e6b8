"""How etcd is: its version and size, asked now and then, and whether there is room for more. Lives as long as the store."""

import asyncio
import contextlib
from typing import Any, Final

from callboard.model.errors import FullError
from callboard.store.contract import Health
from callboard.store.etcd.client import Client, unavailable
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.messages import MESSAGES
from callboard.store.etcd.requests import get, never, transaction
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.stats import EtcdStats

_OPERATIONS_KNOWN: Final = 128
"""What etcd takes unless it was told otherwise (--max-txn-ops)."""


class Condition:
    """What is known of etcd as a program."""

    def __init__(self, client: Client, settings: EtcdSettings, stats: EtcdStats) -> None:
        self._client = client
        self._settings = settings
        self._written_bytes = 0
        self._stats = stats
        self.health = Health(reachable=False, detail="the store is not open")

    async def look(self) -> None:
        """Ask one endpoint. Never fails."""
        try:
            status = await self._client.read("Status", MESSAGES["StatusRequest"]())
        except EtcdError as error:
            self.health = Health(reachable=False, detail=str(unavailable(error)))
            return
        self._stats.database_bytes = status.dbSizeInUse or status.dbSize
        self._written_bytes = 0
        quota = status.dbSizeQuota
        details = [f"etcd says: {text}" for text in status.errors]
        if quota and self._settings.database_max_bytes >= quota:
            details.append(f"database_max_bytes must be less than etcd's quota, {quota} bytes, or removals will not pass when it is full")
        self.health = Health(
            reachable=True, detail="; ".join(details), version=status.version, size_bytes=self._stats.database_bytes,
            size_max_bytes=min(quota or self._settings.database_max_bytes, self._settings.database_max_bytes),
        )  # fmt: skip

    async def run(self) -> None:
        """Ask for ever."""
        while not self._client.closed.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.health_interval_ms / 1000):
                    await self._client.closed.wait()
            await self.look()

    def closed(self) -> None:
        """The store is."""
        self.health = Health(reachable=False, detail="the store is not open")

    async def refuse_overflow(self, size_bytes: int) -> None:
        """Is there room for so much more? What was written since etcd was asked is counted. Raises `FullError`."""
        limit = self._settings.database_max_bytes
        if self._stats.database_bytes + self._written_bytes + size_bytes > limit:
            await self.look()
            if self._stats.database_bytes + size_bytes > limit:
                raise FullError(
                    f"etcd holds {self._stats.database_bytes} bytes, {limit} are allowed (database_max_bytes in [tune.etcd]); remove rows,"
                    " and see that etcd compacts its history (--auto-compaction-retention)"
                )
        self._written_bytes += size_bytes


async def probe_operations(client: Client, key: bytes, most: int) -> int:
    """How many operations etcd takes in one transaction, up to `most`: asked with reads that are never made. Raises `EtcdError`."""
    if await _takes(client, key, most):
        return most
    low, high = 1, most
    if most > _OPERATIONS_KNOWN and await _takes(client, key, _OPERATIONS_KNOWN):
        low = _OPERATIONS_KNOWN
        if not await _takes(client, key, _OPERATIONS_KNOWN + 1):
            return _OPERATIONS_KNOWN
    while high - low > 1:
        middle = (low + high) // 2
        if await _takes(client, key, middle):
            low = middle
        else:
            high = middle
    return low


async def _takes(client: Client, key: bytes, count: int) -> bool:
    """Whether etcd takes a transaction with `count` operations."""
    operation: Any = get(key, keys_only=True)
    try:
        await client.read("Txn", transaction([never(key)], [operation] * count))
    except EtcdError as error:
        if error.cause is Cause.TOO_LARGE:
            return False
        raise
    return True

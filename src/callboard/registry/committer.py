"""The loop that carries groups to the store, one at a time, and learns for certain what became of each.

It lives while this member leads. It ends by being cancelled, or with `LeadLostError` when it can lead no longer.
"""

import asyncio
from collections.abc import Callable

from callboard.core.catalog.changes import Changes
from callboard.model.errors import (
    CallboardError,
    DeposedError,
    FullError,
    IndeterminateError,
    StoreError,
    TooLargeError,
    UnavailableError,
)
from callboard.model.rows import Group, Position, RefusalReason
from callboard.registry.clock import Clock, Entropy
from callboard.registry.leader import Batch, Leader
from callboard.registry.settings import RegistrySettings
from callboard.registry.stats import RegistryStats
from callboard.store.contract import Leadership, Store

_REASONS: dict[type[StoreError], RefusalReason] = {UnavailableError: "unavailable", FullError: "full", TooLargeError: "too_large"}


class LeadLostError(CallboardError):
    """Another leads, or nobody can tell whether the last group landed: this process can only start anew."""

    code = "lead_lost"


class Committer:
    """Wakes when there is something to commit."""

    def __init__(  # noqa: PLR0917  # it joins the parts, each once
        self, store: Store, leader: Leader, leadership: Leadership, clock: Clock, entropy: Entropy, stats: RegistryStats,
        publish: Callable[[Changes], None], settings: RegistrySettings,
    ) -> None:  # fmt: skip
        self._store = store
        self._leader = leader
        self._leadership = leadership
        self._clock = clock
        self._entropy = entropy
        self._stats = stats
        self._publish = publish
        self._settings = settings
        self._something = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def wake(self) -> None:
        """Something was submitted."""
        self._quiet.clear()
        self._something.set()

    async def quiet(self) -> None:
        """Return when nothing waits to be committed."""
        await self._quiet.wait()

    async def run(self) -> None:
        """Commit for ever. Raises `LeadLostError`."""
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                while self._leader.busy:
                    await self._settle(self._leader.next_batch())
                    await asyncio.sleep(0)  # a store that answers at once must not keep doors and deadlines waiting
                self._quiet.set()
        finally:
            self._leader.give_up(None)

    async def _settle(self, batch: Batch) -> None:
        """Commit one batch, and release it or refuse it."""
        leader = self._leader
        group = batch.group(leader.view.position, self._entropy.nonce().encode())
        try:
            position = await self._commit(group)
            self._stats.groups += 1
            changes = leader.durable(batch, group, position)
            if changes is not None:
                self._publish(changes)
        except (UnavailableError, FullError, TooLargeError) as error:
            self._stats.groups_failed += 1
            leader.failed(batch, _REASONS[type(error)], str(error), self._clock.wall())
            return
        except StoreError as error:
            leader.give_up(batch)
            raise LeadLostError(str(error)) from error
        except BaseException:
            leader.give_up(batch)
            raise
        batch.release()

    async def _commit(self, group: Group) -> Position:
        """Commit, and after an indeterminate end send the same group again: it lands once at most, and its mark tells.

        Once a group may have landed, only a position or a head with another mark says what became of it: that the store is unavailable
        or full by now says nothing about then.
        """
        open_ended = False
        settings = self._settings
        for _ in range(settings.commit_retries_max_count):
            try:
                return await self._store.commit(group, self._leadership)
            except IndeterminateError:
                open_ended = True
            except DeposedError:
                return await self._landed(group)
            except (UnavailableError, FullError, TooLargeError):
                if not open_ended:
                    raise
            await asyncio.sleep(settings.commit_retry_wait_ms / 1_000)
        raise LeadLostError(f"the store left open what became of a group {settings.commit_retries_max_count} times")

    async def _landed(self, group: Group) -> Position:
        """The position of a group that landed although it was refused since. Raises `LeadLostError`."""
        try:
            head = await self._store.head()
        except StoreError as error:
            raise LeadLostError(f"another leads, and the store does not say what became of the last group: {error}") from error
        if group.rows and head.mark == group.mark:
            return head
        raise LeadLostError("another leads")

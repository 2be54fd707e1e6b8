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
from callboard.registry.leader import Batch, GivenUp, Leader
from callboard.registry.means import Means
from callboard.store.contract import Leadership

_REASONS: dict[type[StoreError], RefusalReason] = {UnavailableError: "unavailable", FullError: "full", TooLargeError: "too_large"}


class LeadLostError(CallboardError):
    """Another leads, or nobody can tell whether the last group landed: this process can only start anew."""

    code = "lead_lost"


class Committer:
    """Wakes when there is something to commit."""

    def __init__(
        self, means: Means, leader: Leader, leadership: Leadership, publish: Callable[[Changes], None], given_up: Callable[[GivenUp], None]
    ) -> None:  # fmt: skip
        """`given_up` is told, once, what had no outcome when the lead ended."""
        self._store = means.store
        self._settings = means.settings
        self._clock = means.clock
        self._entropy = means.entropy
        self._stats = means.stats
        self._leader = leader
        self._leadership = leadership
        self._publish = publish
        self._given_up = given_up
        self._at_store: Batch | None = None
        self._something = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def at_store(self) -> bool:
        """Whether a group is at the store, and others may see it before this member does."""
        return self._at_store is not None

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
            self._given_up(self._leader.give_up(self._at_store))

    async def _settle(self, batch: Batch) -> None:
        """Commit one batch, and release it or refuse it. Whatever else ends this leaves the batch at the store."""
        leader = self._leader
        group = batch.group(leader.view.position, self._entropy.nonce().encode())
        self._at_store = batch
        try:
            position = await self._commit(group)
        except (UnavailableError, FullError, TooLargeError) as error:
            self._at_store = None
            self._stats.groups_failed += 1
            if isinstance(error, FullError):
                leader.full(batch, str(error), self._clock.wall())
            else:
                leader.failed(batch, _REASONS[type(error)], str(error), self._clock.wall())
            return
        except StoreError as error:
            raise LeadLostError(str(error)) from error
        self._stats.groups += 1
        changes = leader.durable(batch, group, position)
        if changes is not None:
            self._publish(changes)
        self._at_store = None
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

"""The contract over etcd: the parts of this folder, put together. Lives from `open` to `close`.

Everything of one store runs on the event loop that opened it, but for the renewal of leases, which has a thread of its own.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

from callboard.model.errors import DeposedError, IndeterminateError, StoreError, UnavailableError
from callboard.model.members import Card
from callboard.model.rows import Group, Position
from callboard.model.time import Instant
from callboard.net.tasks import Tasks
from callboard.store.contract import Caps, Health, Leadership, Membership, Snapshot, judge_group
from callboard.store.etcd.client import Client, passing, unavailable
from callboard.store.etcd.codec import Keyspace
from callboard.store.etcd.committing import OWN_OPERATIONS, REQUEST_SLACK_BYTES, Committer
from callboard.store.etcd.condition import Condition, probe_operations
from callboard.store.etcd.election import Election, EtcdLeadership
from callboard.store.etcd.failures import EtcdError
from callboard.store.etcd.feed import Feed
from callboard.store.etcd.history import Cursors, read_head
from callboard.store.etcd.leases import Renewer
from callboard.store.etcd.loading import load
from callboard.store.etcd.membership import Presence
from callboard.store.etcd.messages import MESSAGES
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.stats import EtcdStats

_PER_REMOVAL_BYTES: Final = 512
"""What a removed row may leave behind and still count as removed: marks of a hundred bytes or less."""


class EtcdStore:
    """The rows below one prefix. `now` is a forward-only clock that runs in suspend, `nonce` makes texts nobody has had before."""

    def __init__(self, settings: EtcdSettings, now: Callable[[], Instant], nonce: Callable[[], str]) -> None:
        self._settings = settings
        self._keys = Keyspace(settings.prefix)
        self._tasks = Tasks()
        self.stats = stats = EtcdStats()
        self._client = Client(settings, stats)
        self._cursors = Cursors(settings.positions_max_count)
        self._renewer = Renewer(self._client, settings, self._tasks, now, stats)
        self._condition = Condition(self._client, settings, stats)
        self._feed = Feed(self._client, self._keys, self._cursors, settings, stats)
        self._election = Election(self._client, self._keys, self._renewer, self._tasks, nonce, settings)
        self._presence = Presence(self._client, self._keys, self._renewer, self._tasks, nonce, settings)
        self._committer = Committer(self._client, self._keys, settings, stats)
        self._kept: deque[int] = deque()
        self._caps = self._limits(settings.group_max_rows)

    def _limits(self, group_rows: int) -> Caps:
        limits = self._settings
        return Caps(
            value_bytes=limits.value_max_bytes, group_rows=group_rows, group_bytes=limits.request_max_bytes - 4 * REQUEST_SLACK_BYTES,
            durable=True, shared=True, parts_rows=limits.parts_max_rows, parts_bytes=limits.parts_max_bytes,
        )  # fmt: skip

    @property
    def caps(self) -> Caps:
        return self._caps

    # --- opening and closing ------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        self._client.open()
        try:
            async with asyncio.timeout(self._settings.open_timeout_ms / 1000):
                operations = await self._probe()
        except TimeoutError:
            await self._client.close()
            raise UnavailableError(f"etcd: {', '.join(self._settings.endpoints)} did not answer; is it running there?") from None
        except BaseException:
            await self._client.close()
            raise
        self._committer.operations = operations
        self._caps = self._limits(operations - OWN_OPERATIONS)
        self._tasks.spawn(self._condition.run(), name="etcd-condition")

    async def _probe(self) -> int:
        """Is it an etcd that answers us, and how large may a transaction be? Raises `UnavailableError`."""
        most = self._settings.group_max_rows + OWN_OPERATIONS
        while True:
            try:
                await read_head(self._client, self._keys)
                await self._condition.look()
                return await probe_operations(self._client, self._keys.head, most)
            except EtcdError as error:
                if not passing(error):
                    raise unavailable(error) from error
                await asyncio.sleep(self._settings.retry_wait_ms / 1000)

    async def close(self) -> None:
        if self._client.closed.is_set():
            return
        self._client.closed.set()
        await self._renewer.close()
        await self._tasks.close()
        await self._client.close()
        self._condition.closed()

    def _require_open(self) -> None:
        if self._client.closed.is_set():
            raise UnavailableError("the store is not open")

    # --- reading ------------------------------------------------------------------------------------------------------------------------

    async def load(self) -> Snapshot:
        self._require_open()
        self.stats.loads += 1
        return await load(self._client, self._keys, self._settings)

    async def follow(self, after: Position) -> AsyncIterator[Group]:
        self._require_open()
        async with contextlib.aclosing(self._feed.follow(after)) as groups:
            async for group in groups:
                yield group

    async def head(self) -> Position:
        self._require_open()
        try:
            place = await read_head(self._client, self._keys)
        except EtcdError as error:
            raise unavailable(error) from error
        assert place is not None, "without a revision there is no compacted one"
        return place.head

    # --- leading ------------------------------------------------------------------------------------------------------------------------

    async def campaign(self, member: str) -> Leadership:
        self._require_open()
        return await self._election.campaign(member)

    async def commit(self, group: Group, by: Leadership) -> Position:
        self._require_open()
        judge_group(group, self._caps)
        if not isinstance(by, EtcdLeadership) or by.is_over:
            raise DeposedError("this member no longer leads")
        try:
            if not group.rows:
                position = await self._committer.read(group, by)
                self.stats.fenced_reads += 1
                return position
            await self._refuse_overflow(group)
            position = await self._committer.write(group, by)
        except IndeterminateError:
            self.stats.indeterminate += 1
            raise
        except StoreError:
            self.stats.refused += 1
            raise
        self.stats.groups += 1
        self.stats.rows += len(group.rows)
        self._landed(position, by)
        return position

    async def _refuse_overflow(self, group: Group) -> None:
        """Below its quota etcd still takes what makes it smaller: whoever removes something also writes down that it has."""
        added = sum(len(key) + len(row.value) for key, row in group.rows.items() if row is not None)
        removed_count = sum(row is None for row in group.rows.values())
        if added > removed_count * _PER_REMOVAL_BYTES:
            await self._condition.refuse_overflow(added)

    def _landed(self, position: Position, by: EtcdLeadership) -> None:
        assert position.cursor is not None, "it was answered by etcd"
        self._cursors.remember(position, position.cursor)
        if self._committer.is_untidy:
            self._tasks.spawn(self._committer.tidy(by), name="etcd-tidy")
        if self._settings.history_max_count:
            self._trim(position.cursor)

    def _trim(self, cursor: int) -> None:
        """Let etcd forget the oldest groups, some at a time."""
        self._kept.append(cursor)
        most = self._settings.history_max_count
        if len(self._kept) > most + max(1, most // 10):
            while len(self._kept) > most:
                self._kept.popleft()
            self._tasks.spawn(self._compact(self._kept[0] - 1), name="etcd-compact")

    async def _compact(self, revision: int) -> None:
        with contextlib.suppress(EtcdError):  # the next time compacts further
            await self._client.write("Compact", MESSAGES["CompactionRequest"](revision=revision), self._settings.commit_timeout_ms)
            self.stats.compactions += 1

    # --- members ------------------------------------------------------------------------------------------------------------------------

    async def join(self, card: Card) -> Membership:
        self._require_open()
        return await self._presence.join(card)

    async def members(self) -> AsyncIterator[tuple[Card, ...]]:
        self._require_open()
        async with contextlib.aclosing(self._presence.members()) as states:
            async for cards in states:
                yield cards

    def health(self) -> Health:
        return self._condition.health

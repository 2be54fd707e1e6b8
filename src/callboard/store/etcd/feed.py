"""What a follower gets: groups made again from the changes that etcd tells, each checked against the one before it.

A revision of etcd that changes rows without being one of our transactions was made by hand, or by another program: the follower is told
(`DivergedError`) and loads again. A follower lives as long as the iterator it is.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from callboard.model.errors import CompactedError, DivergedError
from callboard.model.rows import Group, Key, Outcome, Position, Row
from callboard.store.etcd.client import Client, passing, unavailable
from callboard.store.etcd.codec import Keyspace, decode_head, decode_row, decode_stage, decode_told
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.history import Cursors, locate, read_head
from callboard.store.etcd.requests import found, prefix_end, range_request
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.stats import EtcdStats
from callboard.store.etcd.waiting import Backoff
from callboard.store.etcd.watching import Change, Watch, WatchCompactedError, watching


@dataclass(slots=True)
class Follower:
    """How far one follower is."""

    position: Position
    cursor: int | None
    """etcd's revision up to which it was told everything."""
    behind: Position | None = field(default=None)
    """meta/head when this watch was first found to be behind it."""
    silences: int = 0
    """How often it was found so."""
    silences_max: int = 1
    """When that is too often, so that another watch is begun. It doubles until a group comes: a slow etcd may take that long."""

    def hear(self, position: Position, cursor: int) -> None:
        """A group came."""
        self.position, self.cursor = position, cursor
        self.behind, self.silences_max = None, 1

    def find_behind(self, head: Position) -> bool:
        """Nothing came, though `head` is later than what was told. False: this watch should be given up."""
        if self.behind is None:
            self.behind, self.silences = head, 0
        elif self.position.revision < self.behind.revision:
            self.silences += 1
            if self.silences >= self.silences_max:
                self.behind, self.silences_max = None, 2 * self.silences_max
                return False
        return True


class Feed:
    """Makes followers."""

    def __init__(self, client: Client, keys: Keyspace, cursors: Cursors, settings: EtcdSettings, stats: EtcdStats) -> None:
        self._client = client
        self._keys = keys
        self._cursors = cursors
        self._settings = settings
        self._stats = stats

    async def follow(self, after: Position) -> AsyncGenerator[Group]:
        """Every group after `after`. Raises `CompactedError`, `DivergedError`; waits over everything else, until the store is closed."""
        closed = self._client.closed
        backoff = Backoff(self._settings, closed)
        follower = Follower(after, self._cursors.get(after))
        while not closed.is_set():
            try:
                async with contextlib.aclosing(self._watch(follower)) as groups:
                    async for group in groups:
                        backoff.reset()
                        yield group
            except WatchCompactedError:
                pass  # the place is searched for again
            except EtcdError as error:
                if closed.is_set():
                    return
                if not passing(error) and error.cause is not Cause.DENIED:
                    raise unavailable(error) from error
            self._stats.feed_restarts += 1
            await backoff.wait()

    async def _watch(self, follower: Follower) -> AsyncGenerator[Group]:
        """Follow over one watch, until it ends."""
        self._stats.searches += 1
        start = await locate(self._client, self._keys, follower.position, follower.cursor)
        follower.cursor = start - 1
        async with watching(self._client, self._keys.data, self._keys.data_end, start) as watch:
            while not self._client.closed.is_set():
                changes = await watch.next(self._settings.check_interval_ms / 1000)
                if changes is None:
                    if not await self._still_true(follower, watch):
                        return
                    continue
                for change in changes:
                    group = await self._group(follower.position, change)
                    follower.cursor = change.revision
                    if group is not None:
                        follower.hear(self._cursors.remember(group.position, change.revision), change.revision)
                        yield group
                follower.cursor = max(follower.cursor, watch.seen)

    async def _still_true(self, follower: Follower, watch: Watch) -> bool:
        """Nothing was told for a while: is there nothing? Answers False when this watch should be given up. Raises `DivergedError`."""
        if self._client.closed.is_set():
            return False
        await watch.ask_progress()
        place = await read_head(self._client, self._keys)
        assert place is not None, "without a revision there is no compacted one"
        if place.head == follower.position:
            follower.behind = None
        elif place.head.revision <= follower.position.revision:
            raise DivergedError(f"meta/head is at revision {place.head.revision}, and {follower.position.revision} was told; load again")
        else:
            return follower.find_behind(place.head)
        return True

    async def _group(self, position: Position, change: Change) -> Group | None:
        """The group that one revision of etcd brought; None when it brought none. Raises `DivergedError`, `CompactedError`, `EtcdError`."""
        keys, values = self._keys, change.values
        head_value, told_value = values.get(keys.head), values.get(keys.told)
        if head_value is None or told_value is None:
            if values.get(keys.merge) is not None and keys.head not in values and keys.told not in values:
                return None
            raise DivergedError(f"somebody has changed rows by hand at revision {change.revision} of etcd; load again")
        head, told = decode_head(head_value, change.revision), decode_told(told_value)
        if told.after != position:
            raise DivergedError(f"revision {head.revision} follows {told.after.revision}, and {position.revision} was told; load again")
        if told.parts:
            rows, outcomes = await read_stage(self._client, keys, head, told.parts, self._settings.load_timeout_ms)
            return Group(told.after, told.first, head.revision, head.mark, rows, outcomes)
        return Group(told.after, told.first, head.revision, head.mark, self._rows(values, told.removed), told.outcomes)

    def _rows(self, values: Mapping[bytes, bytes | None], removed: tuple[Key, ...]) -> dict[Key, Row | None]:
        """The rows among the changed keys; those that were removed without having been there are known from what was told."""
        keys = self._keys
        rows: dict[Key, Row | None] = dict.fromkeys(removed)
        for name, value in values.items():
            if value is not None and name.startswith(keys.rows):
                key = keys.key(name)
                rows[key] = decode_row(key, value)
        return rows


async def read_stage(
    client: Client, keys: Keyspace, head: Position, parts: int, timeout_ms: int
) -> tuple[dict[Key, Row | None], tuple[Outcome, ...]]:
    """Rows and outcomes of the group in parts that meta/head names, as it was at the head's cursor.

    Raises `CompactedError`, `DivergedError`, `EtcdError`.
    """
    stage = keys.stage(head.mark)
    assert head.cursor is not None, "it was read from etcd"
    try:
        answer = await client.read("Range", range_request(stage, prefix_end(stage), revision=head.cursor), timeout_ms)
    except EtcdError as error:
        if error.cause is Cause.COMPACTED:
            raise CompactedError(head.revision) from error
        raise
    items = found(answer)
    if len(items) != parts:
        raise DivergedError(f"{len(items)} of {parts} parts of a group are there; load again")
    return decode_stage([item.value for item in items])

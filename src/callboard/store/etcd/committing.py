"""Writing groups: one transaction each, guarded by the leader's key and by meta/head; larger ones as a stage that such a one publishes.

A group counts from the transaction that moves meta/head. Before it, the parts of a stage are garbage that the next commit removes; after
it, they are laid over the rows by whoever loads, until they have been merged into them, which is done before the next group. All of this is
guarded, so that nothing of a deposed leader ever lands, however late it arrives; and all of it but moving meta/head may be done twice.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from callboard.model.errors import DeposedError, FullError, IndeterminateError, StoreError, TooLargeError
from callboard.model.rows import Group, Key, Position, Row
from callboard.net.tasks import spawn
from callboard.store.etcd.client import Client, unavailable
from callboard.store.etcd.codec import Keyspace, decode_head, decode_told, encode_head, encode_row, encode_stage, encode_told
from callboard.store.etcd.election import EtcdLeadership
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.feed import read_stage
from callboard.store.etcd.history import read_head
from callboard.store.etcd.requests import absent, delete, found, get, got, holds, prefix_end, put, range_request, transaction
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.stats import EtcdStats
from callboard.store.etcd.waiting import Backoff

OWN_OPERATIONS: Final = 2
"""What a transaction holds beside rows: meta/head and what followers are told."""
REQUEST_SLACK_BYTES: Final = 4096
"""Kept free in a request for what we do not count: guards and the frames of messages."""
_ORPHANS: Final = b"(orphans)"
"""Instead of a mark: somebody else's stages."""


class Committer:
    """Writes the groups of one member while it leads."""

    def __init__(self, client: Client, keys: Keyspace, settings: EtcdSettings, stats: EtcdStats) -> None:
        self._client = client
        self._keys = keys
        self._settings = settings
        self.operations = OWN_OPERATIONS + 1
        """How many etcd takes in one transaction."""
        self._request_max_bytes = settings.request_max_bytes - REQUEST_SLACK_BYTES
        self._unmerged: tuple[Position, Mapping[Key, Row | None]] | None = None
        self._staged = b""
        """Mark of a stage that was begun and not published."""
        self._turn = asyncio.Lock()
        self._stats = stats

    @property
    def is_untidy(self) -> bool:
        """Whether a published stage is to be merged."""
        return self._unmerged is not None

    # --- guards -------------------------------------------------------------------------------------------------------------------------

    def _guards(self, after: Position, by: EtcdLeadership) -> list[Any]:
        """`by` leads, and meta/head is at `after`."""
        head = holds(self._keys.head, encode_head(after)) if after.mark or after.revision else absent(self._keys.head)
        return [holds(self._keys.leader, by.value), head]

    async def _guarded(self, after: Position, by: EtcdLeadership, then: Iterable[Any]) -> Any:  # noqa: ANN401  # messages have no types
        """A guarded transaction; where a guard fails, its answer has meta/head. Raises `EtcdError`."""
        request = transaction(self._guards(after, by), then, [get(self._keys.head)])
        return await self._client.write("Txn", request, self._settings.commit_timeout_ms)

    def _head_of(self, answer: Any) -> Position:  # noqa: ANN401  # messages have no types
        """meta/head in the answer of a guarded transaction that was refused."""
        items = got(answer, 0)
        return decode_head(items[0].value, items[0].modified) if items else decode_head(None, answer.header.revision)

    def _deposed(self, after: Position, head: Position) -> DeposedError:
        if head == after:
            return DeposedError("this member no longer leads")
        return DeposedError(f"meta/head is at revision {head.revision}, the group follows {after.revision}")

    # --- groups -------------------------------------------------------------------------------------------------------------------------

    async def read(self, group: Group, by: EtcdLeadership) -> Position:
        """A group without rows: are its guards true? Raises `DeposedError`, `UnavailableError`."""
        request = transaction(self._guards(group.after, by), [], [get(self._keys.head)])
        try:
            answer = await self._client.read("Txn", request, self._settings.commit_timeout_ms)
        except EtcdError as error:
            if error.cause is Cause.FULL:
                return await self._read_full(group, by)
            raise unavailable(error) from error
        if not answer.succeeded:
            raise self._deposed(group.after, self._head_of(answer))
        return group.after

    async def _read_full(self, group: Group, by: EtcdLeadership) -> Position:
        """The same for an etcd that is full and takes no transaction, whatever it does (until 3.5.2).

        Leader before head: a leader's key never comes back, and meta/head never returns to where it was, so both held at once.
        """
        try:
            leader = found(await self._client.read("Range", range_request(self._keys.leader)))
            heads = found(await self._client.read("Range", range_request(self._keys.head)))
        except EtcdError as error:
            raise unavailable(error) from error
        head = decode_head(heads[0].value if heads else None, 0)
        if not leader or leader[0].value != by.value or head != group.after:
            raise self._deposed(group.after, head)
        return group.after

    async def write(self, group: Group, by: EtcdLeadership) -> Position:
        """Land a group. Raises what `Store.commit` says."""
        async with self._turn:
            try:
                await self._prepare(group, by)
                operations = self._operations_of(group)
                if operations is None:
                    parts = encode_stage(group, self._request_max_bytes // 2)
                    await self._stage(group, by, parts)
                    operations = [put(self._keys.head, encode_head(group.position)), put(self._keys.told, encode_told(group, len(parts)))]
            except EtcdError as error:
                raise self._refused(error) from error
            return await self._publish(group, by, operations)

    async def tidy(self, by: EtcdLeadership) -> None:
        """Merge what was published, so that the next group need not wait for it. What fails is left to that."""
        async with self._turn:
            with contextlib.suppress(EtcdError, DeposedError):
                await self._merge(by)

    def _operations_of(self, group: Group) -> list[Any] | None:
        """The operations of a group that fits into one transaction; None when it does not."""
        keys = self._keys
        if len(group.rows) + OWN_OPERATIONS > self.operations:
            return None
        head, told = encode_head(group.position), encode_told(group)
        size = len(head) + len(told) + sum(len(keys.rows) + len(key) + len(row.value if row else b"") for key, row in group.rows.items())
        if size > self._request_max_bytes:
            return None
        operations = [put(keys.head, head), put(keys.told, told), *self._row_operations(group.rows)]
        return operations if sum(operation.ByteSize() + 4 for operation in operations) <= self._request_max_bytes else None

    def _row_operations(self, rows: Mapping[Key, Row | None]) -> list[Any]:
        keys = self._keys
        return [delete(keys.row(key)) if row is None else put(keys.row(key), encode_row(row)) for key, row in rows.items()]

    async def _publish(self, group: Group, by: EtcdLeadership, operations: list[Any]) -> Position:
        """The transaction that moves meta/head."""
        try:
            answer = await self._guarded(group.after, by, operations)
        except EtcdError as error:
            if error.cause is Cause.UNKNOWN:
                raise IndeterminateError(f"etcd: {error.text}") from error
            if error.cause is not Cause.FULL or (position := await self._landed_full(group, error)) is None:
                raise self._refused(error) from error
        else:
            position = Position(group.last, group.mark, answer.header.revision) if answer.succeeded else self._head_of(answer)
            if position.mark != group.mark:
                raise self._deposed(group.after, position)
        if self._staged == group.mark:
            self._stats.stages += 1
            self._staged = b""
            self._unmerged = (position, group.rows)
        return position

    async def _landed_full(self, group: Group, error: EtcdError) -> Position | None:
        """The position of a group that etcd has applied although it says that it is full. Raises `IndeterminateError`."""
        try:
            place = await read_head(self._client, self._keys)
        except EtcdError:
            raise IndeterminateError(f"etcd: {error.text}") from error
        if place is not None and place.head.mark == group.mark:
            return place.head
        if place is not None and place.head == group.after:
            return None
        raise IndeterminateError(f"etcd: {error.text}, and its head has moved on")

    def _refused(self, error: EtcdError) -> StoreError:
        """What the leader is told when a group surely did not land."""
        if error.cause is Cause.FULL:
            return FullError(
                "etcd has reached its quota and takes nothing: compact and defragment it, or raise --quota-backend-bytes, then disarm the"
                " alarm (etcdctl alarm disarm)"
            )
        if error.cause is Cause.TOO_LARGE:
            return TooLargeError(f"etcd: {error.text}; set request_max_bytes in [tune.etcd] to its --max-request-bytes")
        return unavailable(error)

    # --- stages -------------------------------------------------------------------------------------------------------------------------

    async def _stage(self, group: Group, by: EtcdLeadership, parts: list[bytes]) -> None:
        """Write the parts of a group. Raises `EtcdError`, `DeposedError`."""
        self._staged = group.mark
        places = (self._keys.part(group.mark, number) for number in range(len(parts)))
        writes = (partial(self._repeat, group.after, by, [put(place, part)], group.mark) for place, part in zip(places, parts, strict=True))
        await _at_most(self._settings.parts_parallel_count, writes)

    async def _repeat(self, at: Position, by: EtcdLeadership, operations: list[Any], landed: bytes = b"") -> None:
        """A guarded transaction that may be sent again; nothing is to do when meta/head has the mark `landed`.

        Raises `EtcdError`, `DeposedError`.
        """
        backoff = Backoff(self._settings, self._client.closed)
        for last in (False, False, True):
            try:
                answer = await self._guarded(at, by, operations)
            except EtcdError as error:
                if last or error.cause is not Cause.UNKNOWN:
                    raise
                await backoff.wait()
                continue
            head = at if answer.succeeded else self._head_of(answer)
            if not answer.succeeded and not (landed and head.mark == landed):
                raise self._deposed(at, head)
            return

    async def _prepare(self, group: Group, by: EtcdLeadership) -> None:
        """Settle what is left of earlier groups. Raises `EtcdError`, `DeposedError`."""
        if not by.prepared:
            await self._take_over()
            by.prepared = True
        if self._unmerged is not None and self._unmerged[0].mark != group.mark:
            await self._merge(by)
        if self._staged and self._staged != group.mark:
            await self._repeat(group.after, by, [delete(self._keys.stages, self._keys.stages_end)], group.mark)
            self._staged = b""

    async def _take_over(self) -> None:
        """Find what earlier leaders left: a published stage is to be merged, others are to be removed. Raises `EtcdError`."""
        keys = self._keys
        self._unmerged, self._staged = None, b""
        questions = [get(keys.head), get(keys.told), get(keys.stages, keys.stages_end, keys_only=True)]
        answer = await self._client.read("Txn", transaction((), questions))
        heads, tolds, stages = (got(answer, place) for place in range(3))
        if heads and tolds and (parts := decode_told(tolds[0].value).parts):
            head = decode_head(heads[0].value, answer.header.revision)
            published = keys.stage(head.mark)
            if any(item.key.startswith(published) for item in stages):
                rows, _ = await read_stage(self._client, keys, head, parts, self._settings.load_timeout_ms)
                self._unmerged = (head, rows)
                stages = [item for item in stages if not item.key.startswith(published)]
        if stages:
            self._staged = _ORPHANS

    async def _merge(self, by: EtcdLeadership) -> None:
        """Move the published stage into the rows, then remove it. Raises `EtcdError`, `DeposedError`."""
        if self._unmerged is None:
            return
        keys, (head, rows) = self._keys, self._unmerged
        sign, stage = head.mark.hex().encode(), keys.stage(head.mark)
        steps = self._steps(self._row_operations(rows))
        writes = (partial(self._repeat, head, by, [put(keys.merge, b"%s %d" % (sign, number)), *step]) for number, step in enumerate(steps))
        await _at_most(self._settings.parts_parallel_count, writes)
        await self._repeat(head, by, [put(keys.merge, sign + b" done"), delete(stage, prefix_end(stage))])
        self._unmerged = None
        self._stats.merges += 1

    def _steps(self, operations: Iterable[Any]) -> Iterator[list[Any]]:
        """Operations in as many as go into one transaction, with one more."""
        step: list[Any] = []
        size = 0
        for operation in operations:
            cost = operation.ByteSize() + 4
            if step and (len(step) + 1 >= self.operations or size + cost > self._request_max_bytes):
                yield step
                step, size = [], 0
            step.append(operation)
            size += cost
        if step:
            yield step


async def _at_most(count: int, works: Iterable[Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Do all `works`, so many at once; the first error ends the others."""
    waiting = iter(works)

    async def work() -> None:
        for begin in waiting:
            await begin()

    tasks = [spawn(work(), name="etcd-parts") for _ in range(count)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""Where a position stands in etcd's own history. Searches are made of single reads of meta/head in the past, and keep nothing.

A position that this process has seen carries etcd's revision (its cursor); any other is found by halving: meta/head only moves forward, so
the revision at which it reached a position can be searched for among those that etcd has not compacted yet.
"""

from collections import OrderedDict
from typing import NamedTuple

from callboard.model.errors import CompactedError, DivergedError
from callboard.model.rows import ORIGIN, Position
from callboard.store.contract import judge_position
from callboard.store.etcd.client import Client
from callboard.store.etcd.codec import Keyspace, decode_head
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.requests import found, range_request


class Place(NamedTuple):
    """meta/head at one revision of etcd; `at` is the revision it was read at."""

    head: Position
    at: int


class Cursors:
    """Positions that this process has seen, and where; the oldest are forgotten first."""

    def __init__(self, max_count: int) -> None:
        self._max_count = max_count
        self._known: OrderedDict[Position, int] = OrderedDict()

    def remember(self, position: Position, cursor: int) -> Position:
        """The position with its cursor."""
        self._known[position] = cursor
        if len(self._known) > self._max_count:
            self._known.popitem(last=False)
        return Position(position.revision, position.mark, cursor)

    def get(self, position: Position) -> int | None:
        """The cursor of a position, if it is known."""
        return position.cursor if position.cursor is not None else self._known.get(position)


async def read_head(client: Client, keys: Keyspace, revision: int = 0) -> Place | None:
    """meta/head now, linearizable, or at a revision of etcd; None when that is compacted or not there yet. Raises `EtcdError`."""
    try:
        answer = await client.read("Range", range_request(keys.head, revision=revision))
    except EtcdError as error:
        if error.cause in (Cause.COMPACTED, Cause.FUTURE):
            return None
        raise
    items = found(answer)
    now = answer.header.revision
    if not items:
        return Place(decode_head(None, revision or now), revision or now)
    return Place(decode_head(items[0].value, items[0].modified), revision or now)


async def locate(client: Client, keys: Keyspace, after: Position, cursor: int | None) -> int:
    """The revision of etcd to watch from in order to follow `after`. Raises `CompactedError`, `DivergedError`, `EtcdError`."""
    now = await read_head(client, keys)
    assert now is not None, "without a revision there is no compacted one"
    if after == now.head and (cursor is None or cursor > now.at):
        return now.at + 1
    if after.revision > now.head.revision:
        judge_position(after, head=now.head, oldest=ORIGIN, mark_there=None)
    if cursor is not None and cursor <= now.at:
        then = await read_head(client, keys, cursor)
        if then is not None and then.head == after:
            return cursor + 1
    return await _search(client, keys, after, now)


async def _search(client: Client, keys: Keyspace, after: Position, now: Place) -> int:
    """Halve the kept history for the first revision at which meta/head had reached `after`."""
    low, high = 1, now.at
    reached, oldest_kept = now, 1
    while low < high:
        middle = (low + high) // 2
        place = await read_head(client, keys, middle)
        if place is None:
            low = oldest_kept = middle + 1
        elif place.head.revision < after.revision:
            low = middle + 1
        else:
            reached, high = place, middle
    if reached.head == after:
        return high + 1
    if reached.head.revision > after.revision and high == oldest_kept:
        raise CompactedError(reached.head.revision)
    judge_position(after, head=now.head, oldest=ORIGIN, mark_there=None if reached.head.revision > after.revision else reached.head.mark)
    raise DivergedError(f"the history has no group that ends at revision {after.revision}; load again")

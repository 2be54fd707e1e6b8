"""Reading every row at one revision of etcd, page by page. A load lives as long as its iterator.

While a published stage is not merged yet, its rows are laid over those that are read: the group counts since it was published.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from callboard.model.errors import CompactedError, UnavailableError
from callboard.model.rows import Key, Position, Row
from callboard.store.contract import Snapshot
from callboard.store.etcd.client import Client, unavailable
from callboard.store.etcd.codec import Keyspace, decode_head, decode_row, decode_stage, decode_told
from callboard.store.etcd.failures import Cause, EtcdError
from callboard.store.etcd.requests import found, prefix_end, range_request
from callboard.store.etcd.settings import EtcdSettings


async def load(client: Client, keys: Keyspace, settings: EtcdSettings) -> Snapshot:
    """Begin a load. Raises `UnavailableError`, `CompactedError`."""
    try:
        answer = await client.read("Range", range_request(keys.told, keys.head_end))  # both in one, also from an etcd that is full
        now = {item.key: item.value for item in found(answer)}
        position = decode_head(now.get(keys.head), answer.header.revision)
        overlay: Mapping[Key, Row | None] = {}
        if keys.told in now and decode_told(now[keys.told]).parts:
            overlay = await _unmerged(client, keys, position, settings)
    except EtcdError as error:
        raise _told(error, 0) from error
    return Snapshot(position, _batches(client, keys, settings, position, overlay))


async def _unmerged(client: Client, keys: Keyspace, position: Position, settings: EtcdSettings) -> Mapping[Key, Row | None]:
    """The rows of the last group where it is in parts; none when the stage has been merged. Raises `EtcdError`."""
    stage = keys.stage(position.mark)
    request = range_request(stage, prefix_end(stage), revision=position.cursor or 0)
    items = found(await client.read("Range", request, settings.load_timeout_ms))
    return decode_stage([item.value for item in items])[0] if items else {}


async def _batches(
    client: Client, keys: Keyspace, settings: EtcdSettings, position: Position, overlay: Mapping[Key, Row | None]
) -> AsyncIterator[Sequence[Row]]:
    """Pages of rows at the position's revision.

    For each page etcd counts all the keys behind it, so many small pages would cost the square of the rows.
    """
    start, more, page = keys.rows, True, settings.load_page_max_rows
    while more:
        request = range_request(start, keys.rows_end, revision=position.cursor or 0, limit=page)
        try:
            answer = await client.read("Range", request, settings.load_timeout_ms)
        except EtcdError as error:
            raise _told(error, position.revision) from error
        more = answer.more
        page = max(settings.load_page_max_rows, answer.count // settings.load_pages_max_count)
        for first in range(0, len(answer.kvs), settings.load_page_max_rows):
            batch = [decode_row(keys.key(item.key), item.value) for item in answer.kvs[first : first + settings.load_page_max_rows]]
            if overlay:
                batch = [row for row in batch if row.key not in overlay]
            if batch:
                yield batch
                await asyncio.sleep(0)  # a member that loads again goes on answering meanwhile
        if answer.kvs:
            start = answer.kvs[-1].key + b"\0"
    above = [row for row in overlay.values() if row is not None]
    for first in range(0, len(above), settings.load_page_max_rows):
        yield above[first : first + settings.load_page_max_rows]


def _told(error: EtcdError, revision: int) -> CompactedError | UnavailableError:
    """What the loader is told."""
    return CompactedError(revision) if error.cause is Cause.COMPACTED else unavailable(error)

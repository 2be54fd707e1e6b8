"""`/api/v1/backup` when it cannot be whole: its last line is missing; and how many there are at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

from callboard.core.catalog.codec import Epoch
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.backup import BACKUPS_MAX_COUNT, Backups
from callboard.model.errors import CompactedError, StoreError, UnavailableError
from callboard.model.rows import Key, Position, Revision, Row
from callboard.net.http.message import Answer, Request, Stream
from callboard.store.contract import Snapshot
from callboard.wire.url import Query
from tests.support import run

REQUEST = cast(Request, SimpleNamespace(query=Query("")))


def backups(load: Any) -> Backups:  # what the registry does
    clock = SimpleNamespace(wall=lambda: 1_700_000_000_000)
    registry = SimpleNamespace(load=load, view=SimpleNamespace(epoch=Epoch("s")), settings=SimpleNamespace(datacenter="dc1"), clock=clock)
    return Backups(cast(Asking, SimpleNamespace(registry=registry)))


async def lines(route: Backups) -> list[bytes]:
    reply = route.backup(REQUEST)
    assert isinstance(reply, Stream)
    return b"".join([chunk async for chunk in reply.chunks]).splitlines()


async def _batches(failure: StoreError | None) -> AsyncIterator[Sequence[Row]]:
    yield [Row(Key("a"), b"1", Revision(1))]
    if failure is not None:
        raise failure


def test_a_load_that_fails_on_the_way_leaves_the_last_line_out() -> None:
    async def load(failure: StoreError | None = None) -> Snapshot:
        return Snapshot(Position(Revision(9), b"m"), _batches(failure))

    async def scenario() -> None:
        whole = await lines(backups(load))
        assert whole[-1].startswith(b'{"rows":1,')
        assert await lines(backups(lambda: load(CompactedError(9)))) == whole[:-1]

    run(scenario())


def test_a_store_that_cannot_be_read_gives_no_line() -> None:
    async def load() -> Snapshot:
        raise UnavailableError("away")

    assert run(lines(backups(load))) == []


def test_only_so_many_are_made_at_once_and_one_that_is_left_makes_room() -> None:
    async def scenario() -> None:
        hanging = asyncio.Event()

        async def load() -> Snapshot:
            await hanging.wait()
            raise UnavailableError("away")

        route = backups(load)
        running = [asyncio.ensure_future(lines(route)) for _ in range(BACKUPS_MAX_COUNT)]
        await asyncio.sleep(0)
        refused = route.backup(REQUEST)
        assert isinstance(refused, Answer)
        assert refused.status == 429
        running[0].cancel()
        await asyncio.wait({running[0]})
        assert isinstance(route.backup(REQUEST), Stream)
        hanging.set()
        assert await running[1] == []

    run(scenario())

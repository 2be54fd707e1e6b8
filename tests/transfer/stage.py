"""Stores with something in them, and what moves it, for the tests of this room."""

from collections.abc import Mapping
from pathlib import Path

from callboard.core.catalog.codec import Epoch, encode
from callboard.model.rows import META_EPOCH, Group, Key, Position, Revision, Row
from callboard.model.time import Timestamp
from callboard.server.transfer.filling import Filled, Patience, fill
from callboard.server.transfer.plan import moved
from callboard.server.transfer.state import State, take
from callboard.store.contract import Store
from callboard.store.memory.engine import MemoryEngine
from callboard.store.memory.settings import MemorySettings
from callboard.store.memory.store import MemoryStore
from callboard.store.sqlite.settings import SqliteSettings
from callboard.store.sqlite.store import SqliteStore
from tests.core.histories import Maker
from tests.core.world import World

SHORT = Patience(0.2, 0.2)


def quiet(_what: str, _done: int, _total: int) -> None:
    """Nobody looks on."""


async def memory(engine: MemoryEngine | None = None) -> MemoryStore:
    """An open handle on an engine, its own if none is given."""
    store = MemoryStore(engine or MemoryEngine(MemorySettings(load_batch_max_rows=7)))
    await store.open()
    return store


async def sqlite(directory: Path) -> SqliteStore:
    """A data directory, open."""
    store = SqliteStore(SqliteSettings(path=str(directory), reserve_bytes=0), lambda: Timestamp(1_700_000_000_000))
    await store.open()
    return store


def catalog(history: list[Maker], store: str) -> dict[Key, Row]:
    """The rows of a catalog after a history, with the id of their store."""
    world = World()
    for maker in history:
        world.do(maker)
    rows = dict(world.rows)
    rows[META_EPOCH] = Row(META_EPOCH, encode(Epoch(store)), Revision(1))
    return rows


async def hold(store: Store, rows: Mapping[Key, Row], revision: int = 0) -> State:
    """Make an empty store hold `rows`, ending at `revision` (above all of them if it is not said)."""
    leadership = await store.campaign("stage")
    at = Revision(revision or max((row.revision for row in rows.values()), default=0) + 1)
    before = await store.head()
    await store.commit(Group(before, Revision(before.revision + 1), at, b"stage %d" % at, dict(rows)), leadership)
    await leadership.resign()
    return await take(store, quiet, "")


async def move(
    source: State, store: Store, *, replace: bool = False, left_out: int = 0, identity: str = "moved", patience: Patience = SHORT
) -> Filled:
    """Fill `store` with `source`."""
    return await fill(
        store, lambda target: moved(source, target, left_out=left_out, store=identity, mark=b"moved"),
        replace=replace, patience=patience, progress=quiet, where="the target",
    )  # fmt: skip


def state(rows: Mapping[Key, Row], revision: int) -> State:
    """What a backup of these rows is."""
    return State(Position(Revision(revision), b"backup"), rows)

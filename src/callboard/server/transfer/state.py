"""Everything a store holds at one position, in memory. It lives while it is moved."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from callboard.core.catalog import codec
from callboard.core.catalog.codec import Epoch, Shared, Term
from callboard.model.errors import CompactedError
from callboard.model.members import LEVEL
from callboard.model.rows import META_EPOCH, META_TERM, Key, Position, Row
from callboard.server.transfer.errors import IncompatibleError, TransferError
from callboard.store.contract import Store

Progress = Callable[[str, int, int], None]
"""What is being done, how many rows of it are done, and of how many; 0 when that is not known."""
_LOADS_MAX_COUNT: Final = 5
"""A load that takes longer than the engine keeps that state is begun again."""
_TABLES: Final = {"i": "instances", "c": "checks", "n": "nodes"}


class State(NamedTuple):
    """The rows of a store, meta/head excepted, and where they stand."""

    position: Position
    rows: Mapping[Key, Row]

    @property
    def epoch(self) -> Epoch:
        """Which store this is; one without an id has never been used. Raises `UnreadableRowError`."""
        row = self.rows.get(META_EPOCH)
        return codec.decode_epoch(row) if row is not None else Epoch("")

    @property
    def term(self) -> Term:
        """Who led last. Raises `UnreadableRowError`."""
        row = self.rows.get(META_TERM)
        return codec.decode_term(row) if row is not None else Term("", 0)

    def contents(self) -> str:
        """What is in it, for people."""
        counts = Counter(_TABLES.get(key.partition("/")[0], "other rows") for key in self.rows)
        named = [f"{counts[name]:,} {name}" for name in ("instances", "checks", "nodes", "other rows") if counts[name]]
        return ", ".join(named) or "nothing"


def digest(rows: Mapping[Key, Row]) -> str:
    """SHA-256 over keys, values and revisions: equal for equal rows, in whatever order."""
    hashed = hashlib.sha256()
    for key in sorted(rows):
        row = rows[key]
        hashed.update(b"%d %d %d\n" % (len(key.encode()), len(row.value), row.revision) + key.encode() + row.value)
    return hashed.hexdigest()


async def take(store: Store, progress: Progress, what: str) -> State:
    """Load everything. Raises `StoreError`."""
    for attempt in range(_LOADS_MAX_COUNT):
        try:
            return await _take(store, progress, what)
        except CompactedError:
            if attempt == _LOADS_MAX_COUNT - 1:
                raise
    raise AssertionError("not reached")


async def _take(store: Store, progress: Progress, what: str) -> State:
    snapshot = await store.load()
    rows: dict[Key, Row] = {}
    async for batch in snapshot.batches:
        rows.update((row.key, row) for row in batch)
        progress(what, len(rows), 0)
    return State(snapshot.position, rows)


def require_something(state: State, where: str) -> None:
    """Raise `TransferError` for a store that was never used: somebody has named another than he means."""
    if not state.position.revision:
        raise TransferError(f"there is nothing in {where}; is that the store you mean?")


def require_readable(state: State) -> None:
    """Raise `IncompatibleError` or `UnreadableRowError` for rows that no server of this program could load."""
    if state.epoch.level > LEVEL:
        raise IncompatibleError(
            f"the rows are of level {state.epoch.level}, this program knows up to {LEVEL}; use the newer Callboard that wrote them"
        )
    shared = Shared()
    for key, row in state.rows.items():
        judge_row(key, row, shared)


def judge_row(key: Key, row: Row, shared: Shared) -> None:
    """Raise `UnreadableRowError` for a row that a server of this program could not load."""
    table = key[:2]
    if table == "c/":
        codec.decode_check(row, shared)
    elif table == "i/":
        codec.decode_instance(row, shared)
    elif table == "n/":
        codec.decode_node(row)
    elif table == "f/":
        codec.decode_floor(row)

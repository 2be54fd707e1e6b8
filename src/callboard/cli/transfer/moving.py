"""What the commands do with stores they open themselves. Only loaded when a store is named: this part needs the server's packages."""

import asyncio
import os
from pathlib import Path

from callboard import __version__
from callboard.cli.transfer.results import Moved, Saved
from callboard.model.errors import InvalidError
from callboard.registry.clock import SystemClock
from callboard.server.transfer import files
from callboard.server.transfer.filling import Patience, fill, leading, require_alone
from callboard.server.transfer.opening import Choice, fresh_id
from callboard.server.transfer.plan import margin, moved
from callboard.server.transfer.state import Progress, State, require_readable, require_something, take
from callboard.wire.backup import Header, Writer

_BATCH_COUNT = 5_000


def back_up(path: Path, store: str, config: str, progress: Progress) -> Saved:
    """Write everything the store holds into a file. Raises `CallboardError`, `OSError`."""
    chosen = Choice(store, os.environ, config)
    chosen.require_there()
    return asyncio.run(_back_up(path, chosen, progress))


async def _back_up(path: Path, chosen: Choice, progress: Progress) -> Saved:
    async with chosen.opened() as store:
        taken = SystemClock().wall()
        state = await take(store, progress, "reading")
    require_something(state, chosen.shown)
    epoch = state.epoch
    header = Header(
        program=__version__,
        store=epoch.store,
        datacenter=chosen.datacenter,
        revision=state.position.revision,
        level=epoch.level,
        time=taken,
    )
    rows = list(state.rows.values())
    writer = Writer()
    with files.writing(path) as file:
        file.write(writer.header(header))
        for start in range(0, len(rows), _BATCH_COUNT):
            file.write(writer.rows(rows[start : start + _BATCH_COUNT]))
            progress("writing", writer.rows_count, len(rows))
        file.write(writer.trailer())
    return Saved(file=str(path), rows=len(rows), revision=header.revision, store=header.store)


def restore(path: Path, store: str, config: str, progress: Progress, *, replace: bool, patience: Patience) -> Moved:
    """Make the store hold what a backup holds. The file is judged to its end before the store is opened."""
    chosen = Choice(store, os.environ, config)
    header, state = files.read(path, progress)
    return asyncio.run(_restore(header, state, chosen, progress, replace=replace, patience=patience))


async def _restore(header: Header, state: State, chosen: Choice, progress: Progress, *, replace: bool, patience: Patience) -> Moved:
    left_out, identity, mark = margin(header.time, SystemClock().wall()), fresh_id(), fresh_id().encode()
    async with chosen.opened() as store:
        filled = await fill(
            store, lambda target: moved(state, target, left_out=left_out, store=identity, mark=mark),
            replace=replace, patience=patience, progress=progress, where=chosen.shown,
        )  # fmt: skip
    return Moved(
        target=chosen.shown, rows=filled.rows, replaced=filled.replaced, revision=filled.revision, digest=filled.digest, store=identity
    )


def migrate(source: str, target: str, config: str, progress: Progress, *, replace: bool, patience: Patience) -> Moved:
    """Make one store hold what another holds."""
    chosen, wanted = Choice(source, os.environ, config), Choice(target, os.environ, config)
    if chosen.shown == wanted.shown:
        raise InvalidError("DST", "is the source itself")
    chosen.require_there()
    return asyncio.run(_migrate(chosen, wanted, progress, replace=replace, patience=patience))


async def _migrate(chosen: Choice, wanted: Choice, progress: Progress, *, replace: bool, patience: Patience) -> Moved:
    """The source is led meanwhile, so that no server changes what was read already."""
    mark = fresh_id().encode()
    async with chosen.opened() as origin:
        await require_alone(origin, patience, progress, chosen.shown)
        async with leading(origin, patience, chosen.shown):
            state = await take(origin, progress, "reading")
            require_something(state, chosen.shown)
            require_readable(state)
            identity = state.epoch.store or fresh_id()
            async with wanted.opened() as store:
                filled = await fill(
                    store, lambda target: moved(state, target, left_out=0, store=identity, mark=mark),
                    replace=replace, patience=patience, progress=progress, where=wanted.shown,
                )  # fmt: skip
    return Moved(
        target=wanted.shown, rows=filled.rows, replaced=filled.replaced, revision=filled.revision, digest=filled.digest, store=identity
    )

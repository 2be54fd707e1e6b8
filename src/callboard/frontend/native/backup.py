"""`/api/v1/backup`: every durable row at one revision, as the lines of a backup. What can be read here could be read piece by piece anyway.

A backup is loaded from the store, not taken from the view: the rows are those that are durable, byte by byte.
"""

import logging
from collections.abc import AsyncGenerator
from typing import Final

from callboard import __version__
from callboard.frontend.native import table
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.errors import RETRY_AFTER, problem
from callboard.frontend.native.operations import Served
from callboard.model.errors import StoreError
from callboard.net.http.message import Reply, Request, Stream
from callboard.wire import backup

BACKUPS_MAX_COUNT: Final = 2
"""Backups at once: each makes the store keep a state while it is read."""
_TOO_MANY: Final = problem(429, "too_many", f"{BACKUPS_MAX_COUNT} backups are being made; try again later", headers=(RETRY_AFTER,))
_log = logging.getLogger(__name__)


class Backups:
    """Its handler; lives as long as the server."""

    def __init__(self, ask: Asking) -> None:
        self._registry = ask.registry
        self._now_count = 0

    def operations(self) -> tuple[Served, ...]:
        """Its line of the table."""
        return (Served(table.BACKUP, self.backup),)

    def backup(self, _request: Request) -> Reply:
        """All of it, from now."""
        if self._now_count >= BACKUPS_MAX_COUNT:
            return _TOO_MANY
        return Stream(self._lines(), backup.CONTENT_TYPE, ((b"cache-control", b"no-store"),))

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        """A backup that fails on the way ends without its last line, so that nobody takes it for a whole one."""
        self._now_count += 1
        try:
            registry = self._registry
            epoch = registry.view.epoch
            snapshot = await registry.load()
            writer = backup.Writer()
            yield writer.header(
                backup.Header(
                    program=__version__, store=epoch.store, datacenter=registry.settings.datacenter, revision=snapshot.position.revision,
                    level=epoch.level, time=registry.clock.wall(),
                )
            )  # fmt: skip
            async for batch in snapshot.batches:
                yield writer.rows(batch)
            yield writer.trailer()
        except StoreError as error:
            _log.warning("a backup was broken off: %s", error)
        finally:
            self._now_count -= 1

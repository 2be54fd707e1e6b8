"""This member's view, and what keeps it at the end of the feed: load, follow, and load again when the feed cannot go on.

It lives as long as the registry. While this member leads, it does not follow: the leader folds its own groups into the same view. The
old view serves until a new one is complete; the swap is one change, of all that differs.
"""

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Callable
from itertools import count
from typing import Final

from callboard.core.catalog.changes import Changes
from callboard.core.catalog.codec import UnreadableRowError
from callboard.core.catalog.differences import differences, in_steps
from callboard.core.catalog.fold import fold
from callboard.core.catalog.loading import Loader
from callboard.core.catalog.view import View
from callboard.model.errors import CompactedError, DivergedError, StoreError
from callboard.model.rows import Group, Position, Revision
from callboard.registry.means import Means
from callboard.registry.pending import Promise

_log = logging.getLogger(__name__)
_GONE_MAX_COUNT: Final = 64
_STEP_ROWS_COUNT: Final = 5_000
"""Rows that are compared in one go."""

Folded = Callable[[Group, Changes], None]
"""Called after each group of the feed was folded."""
Replaced = Callable[[Changes], None]
"""Called after the view was replaced by one that was loaded; with what differs."""


class Following:
    """The view, and who waits for it to reach a revision."""

    def __init__(self, means: Means, folded: Folded, replaced: Replaced, failed: Callable[[str], None]) -> None:
        self.view = View()
        """What doors read."""
        self.base = self.view
        """What groups are folded into: the view, unless the store was set back behind what was shown. Then the view stays until this one
        has come further, for a revision that was shown must never go back."""
        self.highest = Revision(0)
        """The highest revision this member has ever shown."""
        self._store = means.store
        self._settings = means.settings
        self._stats = means.stats
        self._tasks = means.tasks
        self._folded = folded
        self._replaced = replaced
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Revision, int, Promise[bool]]] = []
        self._order = count()
        self._gone = 0
        """Of those, how many gave up."""
        self._closed = False
        self._stepped = asyncio.Event()
        self._term = 0
        self.term_over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when a later term than the present one is known; then there is another one."""

    async def load(self) -> None:
        """The first view: all rows as they are now. Raises `StoreError`."""
        self.view = self.base = await self._loaded()
        self._term = self.view.term.number
        self.moved()

    async def _loaded(self) -> View:
        snapshot = await self._store.load()
        loader = Loader()
        async for rows in snapshot.batches:
            loader.add(rows)
        return loader.finish(snapshot.position)

    # -- the feed

    def start(self) -> None:
        """Follow from where the view is, until stopped."""
        if self._closed:
            return
        self._task = self._tasks.spawn(self._run(), name="following")

    @property
    def hidden(self) -> bool:
        """Whether groups are folded that doors do not see yet; then nobody is told outcomes from them."""
        return self.base is not self.view

    def close(self) -> None:
        """Do not start again."""
        self._closed = True

    async def stop(self) -> None:
        """Stop following; the view stays as it is, between two groups."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        while True:
            try:
                async for group in self._store.follow(self.base.position):
                    self._take(group)
            except (CompactedError, DivergedError) as error:
                _log.warning("loading the catalog again: %s", error)
                await self._reload()
                continue
            except UnreadableRowError as error:
                self._failed(f"a row cannot be read: {error}")
                return
            except StoreError as error:
                _log.warning("the feed broke off, following again: %s", error)
            except Exception as error:
                self._failed(f"error in the program (following): {error!r}")
                raise
            await asyncio.sleep(self._settings.retry_wait_ms / 1_000)

    def _take(self, group: Group) -> None:
        changes = fold(self.base, group, group.position)
        if self.base is self.view:
            self._folded(group, changes)
        self.advanced()

    def advanced(self) -> None:
        """A group was folded, and everybody told: show what was held back, and wake who waits for a revision."""
        if self.base is not self.view and self.base.revision > self.highest:
            before, self.view = self.view, self.base
            self._replaced(differences(before, self.view))
        self._stepped.set()
        self._stepped = asyncio.Event()
        if self.base.term.number != self._term:
            self._term = self.base.term.number
            over, self.term_over = self.term_over, asyncio.get_running_loop().create_future()
            over.set_result(None)
        self.moved()

    async def _load_at_last(self) -> View:
        while True:
            try:
                return await self._loaded()
            except UnreadableRowError as error:
                self._failed(f"a row cannot be read: {error}")
                raise
            except StoreError as error:
                _log.warning("loading again failed: %s", error)
            await asyncio.sleep(self._settings.retry_wait_ms / 1_000)

    async def _reload(self) -> None:
        loaded = await self._load_at_last()
        shown = loaded.position == self.view.position or loaded.revision > self.highest
        changes = await self._differences(loaded) if shown else None
        self._stats.reloads += 1
        self.base = loaded
        if changes is not None:
            self.view = loaded
            self._replaced(changes)
        else:
            _log.warning(
                "the store ends at revision %d, %d was shown: the old view serves until it is passed", loaded.revision, self.highest
            )
        self.advanced()

    async def _differences(self, loaded: View) -> Changes:
        """What a view that was loaded would change. It may be much to look at; nothing is folded meanwhile, for that is done here, too."""
        steps, count = in_steps(self.view, loaded), 0
        while True:
            try:
                count += next(steps)
            except StopIteration as end:
                changes: Changes = end.value
                return changes
            if count >= _STEP_ROWS_COUNT:
                count = 0
                await asyncio.sleep(0)

    # -- waiting

    def moved(self) -> None:
        """The view has moved: whoever waited for where it is now is told."""
        revision = self.view.revision
        self.highest = max(self.highest, revision)
        waiting = self._waiting
        while waiting and waiting[0][0] <= revision:
            promise = heapq.heappop(waiting)[2]
            self._gone -= promise.known
            promise.tell(True)

    def reached(self, revision: Revision, wait_ms: int) -> Promise[bool]:
        """True once the view shows that revision, False when it has not after `wait_ms`."""
        if revision <= self.view.revision:
            return Promise.of(True)
        promise: Promise[bool] = Promise()
        heapq.heappush(self._waiting, (revision, next(self._order), promise))
        asyncio.get_running_loop().call_later(wait_ms / 1_000, self._give_up, promise)
        return promise

    def _give_up(self, promise: Promise[bool]) -> None:
        """Its time is over. Those that were told leave the heap when they are half of it: a view may stand still for long."""
        if promise.known:
            return
        promise.tell(False)
        self._gone += 1
        if self._gone > _GONE_MAX_COUNT and 2 * self._gone > len(self._waiting):
            self._waiting = [entry for entry in self._waiting if not entry[2].known]
            heapq.heapify(self._waiting)
            self._gone = 0

    async def caught_up(self, with_: Position, wait_ms: int) -> bool:
        """Whether the view comes to stand at exactly that position."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_ms / 1_000):
                while self.base.position != with_:
                    await self._stepped.wait()
        return self.base.position == with_

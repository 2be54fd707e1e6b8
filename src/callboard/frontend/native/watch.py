"""`/api/v1/watch`: server-sent events of instances that come, change and go.

A watcher lives as long as its stream. What it is to be told waits in a queue of its own, bounded by count, and is put into bytes only
when it is written, once for all watchers. One that falls behind, or comes back too late, is told to forget everything and begins anew.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from functools import partial
from typing import Final, NamedTuple

from callboard.core.catalog.changes import Changes
from callboard.core.watches import Watches
from callboard.frontend.native import asking, table
from callboard.frontend.native.answering import age_of
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.errors import TOO_MANY_WATCHERS
from callboard.frontend.native.operations import Served
from callboard.frontend.native.settings import NativeStats
from callboard.frontend.native.translate_watch import Scope, Turn, event_data, turns
from callboard.model import names
from callboard.model.errors import CompactedError
from callboard.model.rows import Revision
from callboard.model.topics import Topic, service_topic, services_topic
from callboard.net.http.message import Reply, Request, Stream
from callboard.wire import native, native_events

_ID_MAX_DIGITS: Final = 16


class _Told(NamedTuple):
    """An event that waits to be written. `closing` is the revision of its group on the last event of that."""

    kind: native_events.Kind
    turn: Turn
    closing: Revision | None


class Watcher:
    """One stream's queue."""

    def __init__(self, scope: Scope, events_max_count: int) -> None:
        self.scope = scope
        self.topics: tuple[Topic, ...] = tuple(service_topic(scope.namespace, service) for service in sorted(scope.services)) or (
            services_topic(scope.namespace),
        )
        self.behind = False
        """It was to be told more than it may owe."""
        self._queue: deque[_Told] = deque()
        self._events_max_count = events_max_count
        self._news = asyncio.Event()

    def offer(self, touched: Iterable[Turn], revision: Revision) -> None:
        """Queue what a group did in its scope."""
        told = [(kind, turn) for turn in touched for kind in turn.kinds(self.scope)]
        if not told or self.behind:
            return
        if len(self._queue) + len(told) > self._events_max_count:
            self.behind = True
            self._queue.clear()
        else:
            last = len(told) - 1
            self._queue.extend(_Told(kind, turn, revision if place == last else None) for place, (kind, turn) in enumerate(told))
        self._news.set()

    async def news(self, patience_s: float) -> bool:
        """Whether there is something to tell, or to begin anew, within `patience_s`."""
        try:
            async with asyncio.timeout(patience_s):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def take(self, count: int, history: str) -> list[bytes]:
        """At most `count` events, as they are written."""
        queue = self._queue
        frames = [_frame(queue.popleft(), history) for _ in range(min(count, len(queue)))]
        if not queue and not self.behind:
            self._news.clear()
        return frames

    def begin(self) -> None:
        """What comes now is told from the present view on."""
        self.behind = False
        self._queue.clear()
        self._news.clear()


def _frame(told: _Told, history: str) -> bytes:
    frame = told.turn.frame(told.kind)
    return frame if told.closing is None else native_events.closing(told.closing, history, frame)


class Watch:
    """Its handler, and everybody who watches; lives as long as the server."""

    def __init__(self, ask: Asking, stats: NativeStats) -> None:
        self._ask = ask
        self._registry = ask.registry
        self._settings = ask.settings
        self._stats = stats
        self._watches: Watches[Watcher] = Watches()
        ask.registry.subscribe(self._changed)

    @property
    def _history(self) -> str:
        """Which history the revisions in event ids belong to: a memory store begins another with each start."""
        return self._registry.view.epoch.store

    def operations(self) -> tuple[Served, ...]:
        """Its line of the table."""
        return (Served(table.WATCH, self.watch),)

    def watch(self, request: Request) -> Reply:
        """Events from now on, or from the one after `Last-Event-ID`."""
        namespace = asking.namespace_of(request.query)
        services = frozenset(names.name("service", service).lower() for service in request.query.all("service"))
        if self._stats.watchers_now >= self._settings.watchers_max_count:
            return TOO_MANY_WATCHERS
        watcher = Watcher(Scope(namespace, services, self._ask.own), self._settings.watcher_events_max_count)
        stream = self._stream(watcher, request.headers.get(table.RESUME.name))
        return Stream(stream, native_events.CONTENT_TYPE, ((b"cache-control", b"no-store"),))

    def _changed(self, changes: Changes) -> None:
        """Every group passes here; whoever watches none of what it touched costs nothing."""
        if not self._stats.watchers_now:
            return
        by_topic: dict[Topic, dict[Turn, None]] = {}
        for turn in turns(self._registry.view, [changes], changes.revision):
            for topic in _topics(turn):
                by_topic.setdefault(topic, {})[turn] = None
        for watcher in self._watches.touched(by_topic):
            touched = {turn: None for topic in watcher.topics for turn in by_topic.get(topic, ())}
            watcher.offer(touched, changes.revision)

    # -- one stream

    async def _stream(self, watcher: Watcher, last_id: str | None) -> AsyncGenerator[bytes, None]:
        settings, stats = self._settings, self._stats
        if stats.watchers_now >= settings.watchers_max_count:
            return  # others came between this request and its stream: the reader comes back after `retry`
        stats.watchers_now += 1
        self._watches.subscribe(watcher, watcher.topics)
        try:
            retry_ms = self._retry_ms
            yield native_events.retry(retry_ms)
            await self._caught_up(last_id)
            for frames in self._first(watcher, last_id):
                if frames:
                    yield self._joined(frames)
                await asyncio.sleep(0)  # a reader that takes all at once must not keep everybody else waiting
            while True:
                if not await watcher.news(settings.alive_ms / 1000):
                    told_ms, retry_ms = retry_ms, self._retry_ms
                    yield self._alive() if told_ms == retry_ms else native_events.retry(retry_ms) + self._alive()
                elif watcher.behind:
                    for frames in self._anew(watcher, "the watcher fell behind"):
                        if frames:
                            yield self._joined(frames)
                        await asyncio.sleep(0)
                else:
                    yield self._joined(watcher.take(settings.watcher_slice_count, self._history))
        finally:
            self._watches.unsubscribe(watcher, watcher.topics)
            stats.watchers_now -= 1

    def _alive(self) -> bytes:
        """There was nothing to tell, as far as this member knows."""
        age_ms = age_of(self._registry)
        return native_events.aged(age_ms) if age_ms else native_events.ALIVE

    async def _caught_up(self, last_id: str | None) -> None:
        """A reader that was told of a later revision by another member waits until this one has it, if there is such a revision."""
        revision, _, history = (last_id or "").partition(".")
        if history == self._history and _is_revision(revision) and int(revision) > self._registry.revision:
            reached: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._registry.reached(Revision(int(revision))).then(partial(_tell, reached))
            await reached

    @property
    def _retry_ms(self) -> int:
        """How long a watcher is asked to wait before it comes back: the more there are, the longer, for they all lose a server at once."""
        return max(self._settings.retry_ms, self._settings.retry_per_watcher_ms * self._stats.watchers_now)

    def _joined(self, frames: list[bytes]) -> bytes:
        self._stats.watch_events += len(frames)
        return b"".join(frames)

    def _first(self, watcher: Watcher, last_id: str | None) -> Iterator[list[bytes]]:
        """The picture of now, or what has changed since the reader left; both end with `ready`."""
        if not last_id:
            return self._picture(watcher)
        missed = self._missed(last_id)
        return self._anew(watcher, missed) if isinstance(missed, str) else self._resumed(watcher, missed)

    def _missed(self, last_id: str) -> list[Changes] | str:
        """Every group after `last_id`, or why there is no telling."""
        revision, _, history = last_id.partition(".")
        if history != self._history or not _is_revision(revision):
            return "the last event id is none of this catalog's"
        if int(revision) > self._registry.revision:
            return "the last event id is of a later revision than the catalog's"
        try:
            return list(self._registry.changes_after(Revision(int(revision))))
        except CompactedError as error:
            return str(error)

    def _picture(self, watcher: Watcher) -> Iterator[list[bytes]]:
        """Everything there is, as of one revision; what comes later waits in the queue. A slice without events is time for others."""
        revision, found, step = self._registry.revision, watcher.scope.picture(self._registry.view), self._settings.watcher_slice_count
        watcher.begin()
        frames: list[bytes] = []
        for each in found:
            if each is not None:
                frames.append(native_events.event("added", event_data(revision, each)))
            if each is None or len(frames) >= step:
                yield frames
                frames = []
        yield frames
        yield [_ready(revision, self._history)]

    def _anew(self, watcher: Watcher, reason: str) -> Iterator[list[bytes]]:
        """Forget everything; then the picture."""
        self._stats.watch_resyncs += 1
        yield [native_events.event("resync", native_events.data(native.MarkEvent(self._registry.revision, reason)))]
        yield from self._picture(watcher)

    def _resumed(self, watcher: Watcher, missed: list[Changes]) -> Iterator[list[bytes]]:
        """What the missed groups did, all in all: one event for each instance that is not as it was."""
        revision, step = self._registry.revision, self._settings.watcher_slice_count
        touched = turns(self._registry.view, missed, revision)
        watcher.begin()
        frames = [turn.frame(kind) for turn in touched for kind in turn.kinds(watcher.scope)]
        for start in range(0, len(frames), step):
            yield frames[start : start + step]
        yield [_ready(revision, self._history)]


def _is_revision(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _ID_MAX_DIGITS


def _tell(future: asyncio.Future[bool], value: bool) -> None:  # noqa: FBT001  # the shape of a callback
    if not future.done():
        future.set_result(value)


def _ready(revision: Revision, history: str) -> bytes:
    return native_events.closing(revision, history, native_events.event("ready", native_events.data(native.MarkEvent(revision))))


def _topics(turn: Turn) -> Iterator[Topic]:
    """What watchers of it subscribe to: its service and its namespace, before and after."""
    for found in (turn.before, turn.after):
        if found is not None:
            instance = found.instance
            yield service_topic(instance.namespace, instance.service)
            yield services_topic(instance.namespace)

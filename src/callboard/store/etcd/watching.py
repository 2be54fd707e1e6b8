"""Watches: the changes of a range, revision by revision and whole, and the present content of a range over every failure.

A watch lives as long as its stream; whoever needs more begins another one where it ended.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from callboard.store.etcd.client import Client, Stream
from callboard.store.etcd.failures import EtcdError
from callboard.store.etcd.requests import DELETED, found, progress_request, range_request, watch_request
from callboard.store.etcd.settings import EtcdSettings
from callboard.store.etcd.waiting import Backoff


class WatchCompactedError(Exception):
    """The revision to begin with is no longer kept; `oldest` is."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"etcd keeps what follows revision {oldest}")
        self.oldest = oldest


class Change(NamedTuple):
    """What one revision of etcd changed in the range; None is removed."""

    revision: int
    values: Mapping[bytes, bytes | None]


class Watch:
    """The changes of one range."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._events: list[Any] = []
        self.seen = 0
        """etcd's revision up to which everything was told."""

    async def next(self, timeout_s: float) -> Sequence[Change] | None:
        """The next changes, none when etcd only says that it is there; None when nothing came in time, or the store was closed.

        Raises `EtcdError` when the watch ended, `WatchCompactedError`.
        """
        answer = await self._stream.next(timeout_s)
        while answer is not None:
            if answer.canceled:
                if answer.compact_revision:
                    raise WatchCompactedError(answer.compact_revision)
                raise self._stream.refused(answer.cancel_reason or "it does not say why")
            self._events.extend(answer.events)
            if not answer.fragment:
                break
            answer = await self._stream.next(timeout_s)
        if answer is None:
            return None
        events, self._events = self._events, []
        changes = _by_revision(events)
        if changes:
            self.seen = changes[-1].revision
        elif not answer.created:
            self.seen = max(self.seen, answer.header.revision)
        return changes

    async def ask_progress(self) -> None:
        """Let etcd say how far this watch is. Raises `EtcdError`."""
        await self._stream.send(progress_request())


def _by_revision(events: Sequence[Any]) -> list[Change]:
    """Events in order, cut where the revision changes."""
    changes: list[Change] = []
    values: dict[bytes, bytes | None] = {}
    for event in events:
        item = event.kv
        if not changes or changes[-1].revision != item.mod_revision:
            values = {}
            changes.append(Change(item.mod_revision, values))
        values[item.key] = None if event.type == DELETED else item.value
    return changes


def _content(answer: Any) -> dict[bytes, bytes]:  # noqa: ANN401  # messages have no types
    return {item.key: item.value for item in found(answer)}


@contextlib.asynccontextmanager
async def watching(client: Client, key: bytes, end: bytes, start: int) -> AsyncIterator[Watch]:
    """Watch a range from revision `start` on. Raises `EtcdError`."""
    async with client.stream(watch_request(key, end, start)) as stream:
        yield Watch(stream)


class Observer:
    """What stands in a range now, for ranges of a few keys: at once, and after each change. It never fails, it only waits."""

    def __init__(self, client: Client, settings: EtcdSettings, key: bytes, end: bytes = b"") -> None:
        self._client = client
        self._settings = settings
        self._range = (key, end)

    async def states(self) -> AsyncGenerator[Mapping[bytes, bytes]]:
        """The content by key. Ends when the store is closed."""
        client = self._client
        backoff = Backoff(self._settings, client.closed)
        told: Mapping[bytes, bytes] | None = None
        while not client.closed.is_set():
            with contextlib.suppress(EtcdError, WatchCompactedError):
                answer = await client.read("Range", range_request(*self._range))
                state = _content(answer)
                backoff.reset()
                if state != told:
                    told = dict(state)
                    yield told
                async with contextlib.aclosing(self._later(state, answer.header.revision + 1)) as later:
                    async for changed in later:
                        told = changed
                        yield changed
                continue
            await backoff.wait()

    async def _read(self) -> dict[bytes, bytes]:
        """The content now. Raises `EtcdError`."""
        return _content(await self._client.read("Range", range_request(*self._range)))

    async def _later(self, state: dict[bytes, bytes], start: int) -> AsyncGenerator[Mapping[bytes, bytes]]:
        """The states after changes, until there was one that the watch did not tell of."""
        async with watching(self._client, *self._range, start) as watch:
            while True:
                changes = await watch.next(self._settings.check_interval_ms / 1000)
                if changes is None:
                    if self._client.closed.is_set() or await self._read() != state:
                        return
                    continue
                for change in changes:
                    for key, value in change.values.items():
                        if value is None:
                            state.pop(key, None)
                        else:
                            state[key] = value
                if changes:
                    yield dict(state)

"""Following services over a stream that comes back by itself.

A watch has one connection of its own and is read by one thread; any thread may close it. It lives until then.
"""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self

from callboard.client.answers import error_of
from callboard.client.errors import ClientError, UnavailableError, UnreachableError
from callboard.client.link import Stream
from callboard.client.machine.pacing import BACKOFF_BASE_MS, backoff_ms
from callboard.client.machine.picture import Change, Key, Picture
from callboard.client.machine.sse import SseParser, StreamError
from callboard.client.settings import ClientSettings
from callboard.client.transport import Transport
from callboard.wire.native import InstanceState


class WatchLostError(ClientError):
    """The stream of a watch broke off; the watch opens another by itself."""

    code = "watch_lost"


class Watch:
    """Iterate it for changes: first everything as `added`, then `ready`, then each change as it happens, each once.

    It resumes where it was when the stream breaks, and tells only the differences when the server has to send everything anew. Iterating
    raises the `ClientError` of the first attempt to connect, and later only a refusal that no waiting can mend.
    """

    def __init__(self, settings: ClientSettings, target: str, lost: Callable[[ClientError], None] | None = None) -> None:
        self._transport = Transport(settings)
        self._target = target
        self._lost = lost
        self._picture = Picture()
        self._closed = threading.Event()
        self._stream: Stream | None = None
        self._opened = False
        self._failures = 0
        self._retry_ms = BACKOFF_BASE_MS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[Change]:
        """Changes without end, until `close`."""
        while not self._closed.is_set():
            stream = self._open()
            if stream is None:
                continue
            try:
                yield from self._read(stream)
            finally:
                stream.close()
            self._pause(WatchLostError("the watch lost its server and connects again"))

    @property
    def known(self) -> Mapping[Key, InstanceState]:
        """What the changes so far add up to, by (namespace, service, node, id). Read it in the thread that iterates."""
        return self._picture.known

    def close(self) -> None:
        """End it; the thread that iterates comes to its end at once."""
        self._closed.set()
        if (stream := self._stream) is not None:
            stream.close()

    def _open(self) -> Stream | None:
        """A stream; None after a failure that was waited out."""
        resume = self._picture.resume_id
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": resume} if resume else {})}
        try:
            stream = self._transport.stream(self._target, headers)
            if isinstance(stream, Stream):
                self._stream, self._opened = stream, True
                self._picture.connected()
                if self._closed.is_set():
                    stream.close()
                return stream
            refused = error_of(stream)
        except UnreachableError as error:
            refused = error
        if not self._opened or not isinstance(refused, UnreachableError | UnavailableError):
            raise refused
        self._pause(refused)
        return None

    def _read(self, stream: Stream) -> Iterator[Change]:
        parser = SseParser(self._picture.resume_id)
        try:
            while piece := stream.read():
                for event in parser.feed(piece):
                    self._failures = 0
                    yield from self._picture.apply(event)
                self._retry_ms = parser.retry_ms or self._retry_ms
        except StreamError as error:
            if self._lost is not None:
                self._lost(WatchLostError(str(error)))

    def _pause(self, why: ClientError) -> None:
        if self._closed.is_set():
            return
        self._failures += 1
        if self._lost is not None:
            self._lost(why)
        self._closed.wait(backoff_ms(self._failures, random.random(), base_ms=self._retry_ms) / 1000)

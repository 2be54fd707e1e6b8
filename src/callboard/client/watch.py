"""Following services over a stream that comes back by itself.

A watch has one connection of its own and is read by one thread; any thread may close it, or ask it for more. It lives until it is closed.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

from msgspec.structs import replace

from callboard.client.answers import error_of
from callboard.client.errors import ClientError, DeniedError, InvalidRequestError, NotFoundError, UnavailableError, UnreachableError
from callboard.client.link import Stream
from callboard.client.machine.asking import fits
from callboard.client.machine.pacing import BACKOFF_BASE_MS, backoff_ms
from callboard.client.machine.picture import Change, Key, Picture
from callboard.client.machine.sse import SseParser, StreamError
from callboard.client.settings import ClientSettings
from callboard.client.transport import Transport
from callboard.wire.native import InstanceState

_GATHER_MS: Final = 10
"""After one service was included, others are waited for so long: a program asks for all it needs at its start."""


class WatchLostError(ClientError):
    """The stream of a watch broke off; the watch opens another by itself. Nothing was heard for `silent_s` before."""

    code = "watch_lost"

    def __init__(self, message: str, silent_s: float = 0.0) -> None:
        super().__init__(message)
        self.silent_s = silent_s


class Watch:
    """Iterate it for changes: first everything as `added`, then `ready`, then each change as it happens, each once.

    It resumes where it was when the stream breaks, and tells only the differences when the server has to send everything anew. Iterating
    raises the `ClientError` of the first attempt to connect, and later only a refusal that no waiting can mend; a `patient` one also takes
    the first failure for one that passes. With more services than a request can name, it also tells of others in the name space.
    """

    def __init__(
        self,
        settings: ClientSettings,
        services: Sequence[str] = (),
        namespace: str = "",
        lost: Callable[[ClientError], None] | None = None,
        *,
        patient: bool = False,
    ) -> None:
        """Without `services`: everything in the name space."""
        self._transport = Transport(settings)
        self._namespace = namespace
        self._lost = lost
        self._patient = patient
        self._picture = Picture()
        self._untold: deque[Change] = deque()
        self._stream: Stream | None = None
        self._opened = patient
        self._failures = 0
        self._retry_ms = BACKOFF_BASE_MS
        self._heard = 0.0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._wanted = tuple(services)
        self._anew = False
        self._asked: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[Change]:
        """Changes without end, until `close`."""
        while not self._closed:
            stream = self._open()
            if stream is None:
                continue
            try:
                yield from self._read(stream)
            finally:
                stream.close()
            self._pause(WatchLostError("the watch lost its server and connects again", time.monotonic() - self._heard))

    @property
    def known(self) -> Mapping[Key, InstanceState]:
        """What the changes so far add up to, by (namespace, service, node, id). Read it in the thread that iterates."""
        return self._picture.known

    def include(self, service: str) -> None:
        """Follow this service too, from any thread: its instances come as `added`, then `ready` comes again."""
        with self._lock:
            if service not in self._wanted:
                self._wanted = (*self._wanted, service)
                self._reopen()

    def restart(self) -> None:
        """Ask for everything anew, from any thread: the differences to what is known follow, then `ready`."""
        with self._lock:
            self._reopen()

    def close(self) -> None:
        """End it; the thread that iterates comes to its end at once."""
        self._closed = True
        self._wake.set()
        if (stream := self._stream) is not None:
            stream.close()

    def _reopen(self) -> None:
        """With the lock held. Who reads finds the end of the stream, and that it is wanted so."""
        self._anew = True
        self._wake.set()
        if (stream := self._stream) is not None:
            stream.close()

    def _open(self) -> Stream | None:
        """A stream; None after a failure that was waited out."""
        with self._lock:
            if self._anew:
                self._picture.restart()
            self._asked, self._anew = self._wanted, False
            if not self._closed:
                self._wake.clear()
        resume = self._picture.resume_id
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": resume} if resume else {})}
        try:
            stream = self._transport.stream(self._target(), headers)
            if isinstance(stream, Stream):
                self._opened, self._heard = True, time.monotonic()
                self._picture.connected()
                with self._lock:
                    self._stream = stream
                    if self._closed or self._anew:
                        stream.close()
                return stream
            refused = error_of(stream)
        except UnreachableError as error:
            refused = error
        if not self._passes(refused):
            raise refused
        self._pause(refused)
        return None

    def _target(self) -> str:
        query = [("service", service) for service in self._asked] if fits(self._asked) else []  # too many: of all in the name space
        if self._namespace:
            query.append(("namespace", self._namespace))
        return "/api/v1/watch" + ("?" + urlencode(query) if query else "")

    def _passes(self, refused: ClientError) -> bool:
        """Whether it may be otherwise later."""
        if self._patient:  # a proxy before the registry may answer anything as long as the registry is not there
            return not isinstance(refused, InvalidRequestError | DeniedError | NotFoundError)
        return self._opened and isinstance(refused, UnreachableError | UnavailableError)

    def _read(self, stream: Stream) -> Iterator[Change]:
        """What was read is told, also when the one who iterates stops in the middle and comes back later."""
        parser = SseParser(self._picture.resume_id)
        yield from self._tell()
        while not self._anew and (piece := stream.read()):
            self._heard = time.monotonic()
            try:
                for event in parser.feed(piece):
                    self._failures = 0
                    self._untold += self._marked(self._picture.apply(event))
            except StreamError as error:
                if self._lost is not None:
                    self._lost(WatchLostError(str(error)))
                return
            finally:
                self._retry_ms = parser.retry_ms or self._retry_ms
            yield from self._tell()

    def _marked(self, changes: list[Change]) -> list[Change]:
        """A feed also says what is complete: what this connection was asked for, whatever the next one will be."""
        if not self._patient:
            return changes
        return [replace(change, services=self._asked) if change.kind == "ready" else change for change in changes]

    def _tell(self) -> Iterator[Change]:
        while self._untold:
            change = self._untold.popleft()
            yield replace(change, more=True) if self._patient and self._untold else change

    def _pause(self, why: ClientError) -> None:
        """Until it is time to try again, or until there is another reason to."""
        if self._closed:
            return
        if self._anew:
            self._wake.clear()
            time.sleep(_GATHER_MS / 1000)
            return
        self._failures += 1
        if self._lost is not None:
            self._lost(why)
        self._wake.wait(backoff_ms(self._failures, random.random(), base_ms=self._retry_ms) / 1000)

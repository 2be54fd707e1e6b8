"""Large bodies are compressed in a thread, beside the loop, so that no answer keeps all others waiting.

zlib lets go of the interpreter while it works. The thread is started for the first body that is large, and ends with the server.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from callboard.net import threads
from callboard.net.http import coding
from callboard.net.http.message import After, Answer

_CODED: Final = (b"content-encoding", b"gzip")
_SLICE_COUNT: Final = 16
"""Of those who wait for the same body, told in one turn of the loop."""
_END_MAX_S: Final = 5.0
Body = bytes | memoryview
Told = Answer | Exception
"""The compressed answer, or why there is none."""


class Packing:
    """A body that is being compressed, and who waits for its answer. A `Pending[Told]`."""

    __slots__ = ("_answer", "_loop", "_told", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, answer: Answer) -> None:
        """`answer` is the one that it is the body of; whatever body it has itself does not count."""
        self._answer = answer
        self._loop = loop
        self._told: Told | None = None
        self._waiting: deque[Callable[[Told], None]] = deque()

    def reply(self) -> After[Told]:
        """What a request is replied that wants it compressed."""
        return After(self, _answer)

    def then(self, callback: Callable[[Told], None]) -> None:
        """Call back with what came of it."""
        if self._told is not None:
            callback(self._told)
        else:
            self._waiting.append(callback)

    def tell(self, packed: bytes | Exception) -> None:
        """It is done."""
        if isinstance(packed, bytes):
            answer = self._answer
            self._told = Answer(answer.status, packed, answer.content_type, (*answer.headers, _CODED))
        else:
            self._told = packed
        self._tell_some(self._told)

    def _tell_some(self, told: Told) -> None:
        try:
            for _ in range(min(_SLICE_COUNT, len(self._waiting))):
                self._waiting.popleft()(told)
        finally:
            if self._waiting:  # also when one could not be told
                self._loop.call_soon(self._tell_some, told)


def _answer(told: Told) -> Answer:
    if isinstance(told, Exception):
        raise told
    return told


OnPacked = Callable[[Packing, bytes | Exception], None]
"""Takes the compressed body, or why there is none, before those who wait for the answer."""


def _tell(packing: Packing, done: OnPacked | None, packed: bytes | Exception) -> None:
    if done is not None:
        done(packing, packed)
    packing.tell(packed)


class Packer:
    """The thread, and what it has to do."""

    __slots__ = ("_end", "_jobs", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._jobs: SimpleQueue[tuple[Body, Callable[[bytes | Exception], None]] | None] = SimpleQueue()
        self._end: Callable[[float], None] | None = None
        """Waits for the thread, once there is one."""

    def pack(self, answer: Answer, body: Body, done: OnPacked | None = None) -> Packing:
        """Compress the body of an answer; `done` is told first, on the loop."""
        packing = Packing(self._loop, answer)
        tell = partial(_tell, packing, done)
        if self._end is None:
            try:
                self._end = threads.start(self._work, name="callboard-gzip").join
            except RuntimeError:  # no more threads are to be had: here, then
                self._loop.call_soon(tell, coding.gzip(body))
                return packing
        self._jobs.put((body, tell))
        return packing

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            body, tell = job
            packed: bytes | Exception
            try:
                packed = coding.gzip(body)
            except Exception as error:  # noqa: BLE001  # no memory: that ends the requests that wait for this one, not the thread
                packed = error
            try:
                self._loop.call_soon_threadsafe(tell, packed)
            except RuntimeError:
                return  # the loop is closed: nobody waits

    def close(self) -> None:
        """End the thread when it has done what it is at. Nobody waits for the rest any more."""
        if self._end is not None:
            with contextlib.suppress(Empty):
                while True:
                    self._jobs.get_nowait()
            self._jobs.put(None)
            self._end(_END_MAX_S)
            self._end = None

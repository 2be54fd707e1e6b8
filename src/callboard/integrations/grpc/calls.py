"""The calls of a balanced channel. Each looks like a call of grpc.aio, and is driven by a task that finds it an instance.

The task holds nothing of the call that the program sees: a program that drops a call half read thereby cancels it, as with grpc.aio itself.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Generator
from typing import Any, Final, Literal, NamedTuple

import grpc

from callboard.client.aio.service import Service
from callboard.client.attempts import Attempt
from callboard.client.errors import DeadlineError, NoInstanceError, NoPictureError
from callboard.integrations.base.calls import shorter
from callboard.integrations.grpc.places import Method, Place, Places
from callboard.net.tasks import spawn

_HTTP_STATUS: Final = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
}
"""Which HTTP status each means, as gRPC gateways have it; the others are the caller's own fault (400)."""
_BROKEN: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""No answer of the method. A server that stops cancels its calls; what the program cancels itself is asyncio's CancelledError instead."""

GrpcCall = Any
"""A call of grpc.aio itself, which has no types."""
Message = Any
"""What the serializers of a stub make bytes of."""
Found = asyncio.Future[GrpcCall]


class How(NamedTuple):
    """How a program wants one call to be made."""

    timeout: float | None
    metadata: object
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class Calling(NamedTuple):
    """One call, and what it needs of its channel."""

    service: Service
    places: Places
    method: Method
    request: Message
    how: How
    repeatable: bool

    @property
    def timeout_s(self) -> float | None:
        """A stream without a limit may last; a single answer is waited for as long as the board says."""
        return math.inf if self.how.timeout is None and self.method.form != "unary_unary" else self.how.timeout

    def begin(self, place: Place, limit_s: float) -> GrpcCall:
        """grpc's own call to one instance."""
        how = self.how
        start = place.method(self.method)
        return start(
            self.request,
            timeout=shorter(None, limit_s),
            metadata=how.metadata,
            credentials=how.credentials,
            wait_for_ready=how.wait_for_ready,
            compression=how.compression,
        )

    async def reach(self, attempt: Attempt, place: Place) -> bool:
        """Whether the instance can be sent to. If not, the attempt is over; raises when it was the last."""
        if self.how.wait_for_ready or await place.connected(shorter(None, attempt.timeout_s)):
            return True
        details = f"{self.service.name}: no connection to {attempt.host}:{attempt.port}"
        attempt.failed(grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details), sent=False)
        return False


async def drive(calling: Calling, found: Found) -> None:
    """Make the call; `found` gets grpc's own call once it is decided which one it is, or the error."""
    attend = _attend_unary if calling.method.form == "unary_unary" else _attend_stream
    try:
        async for attempt in calling.service.attempts(idempotent=calling.repeatable, timeout_s=calling.timeout_s):
            place = calling.places.enter((attempt.host, attempt.port))
            try:
                if await calling.reach(attempt, place) and await attend(calling, attempt, place, found):
                    return
            except asyncio.CancelledError:
                attempt.cancelled()
                raise
            finally:
                calling.places.leave(place)
    except (NoInstanceError, NoPictureError) as error:
        _tell(found, _refused(grpc.StatusCode.UNAVAILABLE, error))
    except DeadlineError as error:
        _tell(found, _refused(grpc.StatusCode.DEADLINE_EXCEEDED, error))
    except Exception as error:  # noqa: BLE001  # whoever waits for the call gets it
        _tell(found, error)
    finally:
        found.cancel()  # the program gave up; nothing happens to one that was told


async def _attend_unary(calling: Calling, attempt: Attempt, place: Place, found: Found) -> bool:
    """See a call with a single answer through. False: another instance is tried. Raises what the last attempt ended with."""
    call = calling.begin(place, attempt.timeout_s if calling.repeatable else attempt.remaining_s)
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if error.code() in _BROKEN:
            attempt.failed(error)
            return False
        if not attempt.answered(_HTTP_STATUS.get(error.code(), 400)):
            return False
    else:
        attempt.answered(200)
    found.set_result(call)
    return True


async def _attend_stream(calling: Calling, attempt: Attempt, place: Place, found: Found) -> bool:
    """See a call with a stream through. It is not repeated, since some of it was sent."""
    call = calling.begin(place, attempt.remaining_s)
    found.set_result(call)
    try:
        await call.initial_metadata()
        if not call.done():
            attempt.answered(200, streaming=True)
        code = await call.code()
    except asyncio.CancelledError:
        call.cancel()
        raise
    if code is grpc.StatusCode.CANCELLED:
        attempt.cancelled()
    else:
        attempt.answered(_HTTP_STATUS.get(code, 400))
    attempt.ended(ok=code not in _BROKEN)
    return True


def _refused(code: grpc.StatusCode, error: Exception) -> grpc.aio.AioRpcError:
    refused = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), str(error))
    refused.__cause__ = error
    return refused


def _tell(found: Found, error: Exception) -> None:
    if not found.done():
        found.set_exception(error)
        found.exception()  # nobody need wait for it


class BalancedCall(grpc.aio.Call):  # type: ignore[misc]  # grpc has no types
    """What the four forms share: grpc's own call, once it is found."""

    def __init__(self, calling: Calling) -> None:
        self._found: Found = asyncio.get_running_loop().create_future()
        timeout_s = calling.timeout_s
        self._ends_at = time.monotonic() + timeout_s if timeout_s is not None and timeout_s != math.inf else None
        self._task = spawn(drive(calling, self._found), name=f"callboard-grpc-{calling.method.name}")

    def __del__(self) -> None:
        task = getattr(self, "_task", None)
        if task is not None and not task.done() and not task.get_loop().is_closed():
            task.cancel()

    @property
    def _call(self) -> GrpcCall:
        """grpc's own call; None before it is found, and when it is not."""
        found = self._found
        return found.result() if found.done() and not found.cancelled() and found.exception() is None else None

    async def _settled(self) -> GrpcCall:
        """grpc's own call, or the error that says why there is none; None when the program gave up before."""
        await asyncio.wait([self._found])
        if self._found.cancelled():
            return None
        return self._found.exception() or self._found.result()

    def cancel(self) -> bool:
        """As grpc.aio."""
        if self.done():
            return False
        if (call := self._call) is not None:
            call.cancel()
        else:
            self._found.cancel()
            self._task.cancel()
        return True

    def cancelled(self) -> bool:
        """As grpc.aio."""
        return self._found.cancelled() or ((call := self._call) is not None and bool(call.cancelled()))

    def done(self) -> bool:
        """As grpc.aio."""
        return self._found.done() and ((call := self._call) is None or bool(call.done()))

    def time_remaining(self) -> float | None:
        """As grpc.aio: of the whole call, over all attempts."""
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def add_done_callback(self, callback: Callable[[Message], None]) -> None:
        """As grpc.aio."""

        def found(_: object) -> None:
            call = self._call
            if call is None or call.done():
                callback(self)
            else:
                call.add_done_callback(lambda _: callback(self))

        self._found.add_done_callback(found)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """As grpc.aio."""
        return await self._asked("initial_metadata", grpc.aio.Metadata())

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """As grpc.aio."""
        return await self._asked("trailing_metadata", grpc.aio.Metadata())

    async def code(self) -> grpc.StatusCode:
        """As grpc.aio."""
        return await self._asked("code", grpc.StatusCode.CANCELLED)

    async def details(self) -> str:
        """As grpc.aio."""
        return str(await self._asked("details", "Locally cancelled by application!"))

    async def debug_error_string(self) -> str:
        """As grpc.aio."""
        return str(await self._asked("debug_error_string", ""))

    async def _asked(self, question: str, given_up: object) -> GrpcCall:
        settled = await self._settled()
        if settled is None:
            return given_up
        if isinstance(settled, grpc.aio.AioRpcError):  # its answers need no waiting
            return getattr(settled, question)()
        if isinstance(settled, BaseException):
            raise settled
        return await getattr(settled, question)()

    async def wait_for_connection(self) -> None:
        """As grpc.aio: raises when no instance was reached."""
        await (await self._reached()).wait_for_connection()

    async def _reached(self) -> GrpcCall:
        try:
            return await asyncio.shield(self._found)
        except asyncio.CancelledError:
            self.cancel()
            raise


class _Answered(BalancedCall):
    def __await__(self) -> Generator[object, None, Message]:
        return self._answer().__await__()

    async def _answer(self) -> Message:
        return await (await self._reached())


class _Read(BalancedCall):
    _messages: AsyncIterator[Message] | None = None

    def __aiter__(self) -> AsyncIterator[Message]:
        if self._messages is None:
            self._messages = self._read_all()
        return self._messages

    async def _read_all(self) -> AsyncIterator[Message]:
        async for message in await self._reached():
            yield message

    async def read(self) -> Message:
        """As grpc.aio."""
        return await (await self._reached()).read()


class _Written(BalancedCall):
    async def write(self, request: Message) -> None:
        """As grpc.aio."""
        await (await self._reached()).write(request)

    async def done_writing(self) -> None:
        """As grpc.aio."""
        await (await self._reached()).done_writing()


class UnaryUnaryCall(_Answered, grpc.aio.UnaryUnaryCall):  # type: ignore[misc]
    """One message, one answer."""


class UnaryStreamCall(_Read, grpc.aio.UnaryStreamCall):  # type: ignore[misc]
    """One message, a stream of answers."""


class StreamUnaryCall(_Written, _Answered, grpc.aio.StreamUnaryCall):  # type: ignore[misc]
    """A stream of messages, one answer."""


class StreamStreamCall(_Written, _Read, grpc.aio.StreamStreamCall):  # type: ignore[misc]
    """A stream of messages, a stream of answers."""


CALLS: Final[dict[str, type[BalancedCall]]] = {
    "unary_unary": UnaryUnaryCall,
    "unary_stream": UnaryStreamCall,
    "stream_unary": StreamUnaryCall,
    "stream_stream": StreamStreamCall,
}


def repeatable(method: Method, idempotent: Collection[str] | Literal[True]) -> bool:
    """Whether a call may be sent twice: single messages only, and only what the program named."""
    if method.form != "unary_unary":
        return False
    return idempotent is True or method.name in idempotent

"""Balanced calls for httpx and httpx2, one library under two names: everything but the classes that must be the library's own.

`callboard.integrations.httpx` and `.httpx2` name those. A transport is mounted at `svc://` and lives as long as its client: it asks the
service for attempts, sends each through an ordinary transport of the library, and says how it went.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from types import ModuleType
from typing import Final, Generic, Literal, NamedTuple, Protocol, TypeVar, Unpack, cast

from callboard.client.aio.board import Board as AsyncBoard
from callboard.client.aio.service import Service as AsyncService
from callboard.client.attempts import Attempt
from callboard.client.board import Board
from callboard.client.errors import DeadlineError, NoInstanceError, NoPictureError
from callboard.client.options import ServiceOptions
from callboard.client.service import Service
from callboard.integrations.base.calls import (
    GRACE_S,
    IDEMPOTENT_METHODS,
    SCHEME,
    Handles,
    Services,
    check_board,
    redirect_target,
    retry_after_s,
    shorter,
)
from callboard.model.errors import InvalidError

HostHeader = Literal["service", "instance"]
MOUNT: Final = f"{SCHEME}://"
DEFAULT_TIMEOUT_S: Final = 5.0
"""What both libraries take when nothing is said."""
_NO_TLS: Final = False
"""Instances are spoken to over plain HTTP, so no certificates need be loaded, which takes longer than all the rest."""
_PHASES: Final = ("pool", "connect", "read", "write")

Timeouts = dict[str, float | None]


class HttpUrl(Protocol):
    """A URL of the library."""

    @property
    def host(self) -> str: ...  # noqa: D102  # the library's
    @property
    def port(self) -> int | None: ...  # noqa: D102
    @property
    def netloc(self) -> bytes: ...  # noqa: D102
    def copy_with(self, *, scheme: str, host: str, port: int, userinfo: bytes) -> "HttpUrl": ...  # noqa: D102


class HttpRequest(Protocol):
    """A request of the library."""

    method: str
    url: HttpUrl
    headers: MutableMapping[str, str]
    stream: object
    extensions: MutableMapping[str, object]


class HttpResponse(Protocol):
    """An answer of the library."""

    status_code: int
    headers: MutableMapping[str, str]
    stream: object
    extensions: MutableMapping[str, object]

    def close(self) -> None: ...  # noqa: D102  # the library's
    async def aclose(self) -> None: ...  # noqa: D102


Request = TypeVar("Request")
Response = TypeVar("Response")
Inner = TypeVar("Inner")


class Library(NamedTuple):
    """What is needed of one of the two, and the classes that are made for it."""

    module: ModuleType
    no_instance: Callable[..., Exception]
    deadline: Callable[..., Exception]
    body: Callable[[object, Attempt], object]
    async_body: Callable[[object, Attempt], object]

    @property
    def unsent(self) -> tuple[type[Exception], ...]:
        """The request surely did not reach the instance."""
        return (self.module.ConnectError, self.module.ConnectTimeout)

    @property
    def own_fault(self) -> tuple[type[Exception], ...]:
        """Nothing that another instance could do better: the pool is full, the request is malformed."""
        return (self.module.PoolTimeout, self.module.LocalProtocolError, self.module.UnsupportedProtocol)


class AsyncBody:
    """The body of an answer on its way: the instance is busy with the call until it is closed."""

    def __init__(self, stream: object, attempt: Attempt) -> None:
        self._stream = stream
        self._attempt = attempt

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in cast("AsyncIterator[bytes]", self._stream):
                yield part
        except Exception:
            self._attempt.ended(ok=False)
            raise

    async def aclose(self) -> None:
        """The caller has read it, or wants no more of it."""
        try:
            await self._stream.aclose()  # type: ignore[attr-defined]  # a stream of the library
        finally:
            self._attempt.ended()


class Body:
    """The same for threads."""

    def __init__(self, stream: object, attempt: Attempt) -> None:
        self._stream = stream
        self._attempt = attempt

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from cast("Iterator[bytes]", self._stream)
        except Exception:
            self._attempt.ended(ok=False)
            raise

    def close(self) -> None:
        """The caller has read it, or wants no more of it."""
        try:
            self._stream.close()  # type: ignore[attr-defined]  # a stream of the library
        finally:
            self._attempt.ended()


class Outgoing:
    """One call of a user, over all its attempts."""

    def __init__(self, library: Library, request: HttpRequest, host_header: HostHeader) -> None:
        """Raises the library's error for a URL that names no service."""
        self._library = library
        self._request = request
        self._host_header = host_header
        if not request.url.host or request.url.port is not None:
            raise library.module.UnsupportedProtocol(f"{request.url} must be svc://SERVICE/PATH, without a port", request=request)
        self._limits = cast(Timeouts, request.extensions.get("timeout") or {})
        self.repeatable: Final = request.method in IDEMPOTENT_METHODS and isinstance(request.stream, library.module.ByteStream)

    @property
    def timeout_s(self) -> float | None:
        """For everything up to the answer's head, over all attempts: the longest of the caller's limits; None when nothing was said."""
        if not self._limits:
            return None
        limits = (self._limits.get(phase) for phase in _PHASES)
        return max(math.inf if limit is None else limit for limit in limits)

    def bound_s(self, attempt: Attempt) -> float:
        """How long this attempt may take up to the answer's head. One that cannot be repeated once it is sent gets all that is left."""
        return attempt.timeout_s if self.repeatable else attempt.remaining_s

    def addressed(self, attempt: Attempt) -> tuple[object, Timeouts]:
        """The request as it goes to the instance, and its limits, which it keeps."""
        request, answer_s = self._request, self.bound_s(attempt)
        limits: Timeouts = {phase: shorter(self._limits.get(phase), attempt.timeout_s) for phase in ("pool", "connect")}
        limits |= {phase: shorter(self._limits.get(phase), answer_s) for phase in ("read", "write")}
        headers = request.headers.copy()  # type: ignore[attr-defined]  # the library's
        headers.update(attempt.headers)
        if self._host_header == "instance" and headers.get("host") == request.url.netloc.decode("ascii"):
            headers["host"] = attempt.url.partition("://")[2]
        url = request.url.copy_with(scheme="http", host=attempt.host, port=attempt.port, userinfo=b"")
        extensions = {**request.extensions, "timeout": limits}
        return self._library.module.Request(request.method, url, headers=headers, stream=request.stream, extensions=extensions), limits

    def answer(self, response: HttpResponse, attempt: Attempt, limits: Timeouts, body: Callable[[object, Attempt], object]) -> object:
        """The instance's answer as the caller gets it: under the logical URL, its body under the caller's own limits."""
        limits |= {phase: self._limits.get(phase) for phase in ("read", "write")}
        if "location" in response.headers:
            place = attempt.url.partition("://")[2]
            response.headers["location"] = redirect_target(response.headers["location"], str(self._request.url), place)
        stream = body(response.stream, attempt)
        return self._library.module.Response(response.status_code, headers=response.headers, stream=stream, extensions=response.extensions)

    def failed(self, attempt: Attempt, error: Exception) -> None:
        """Say how an attempt ended without an answer. Returns when there is another one, else raises."""
        if isinstance(error, self._library.own_fault):
            attempt.cancelled()
            raise error
        attempt.failed(error, sent=not isinstance(error, self._library.unsent))

    def refused(self, error: Exception) -> Exception:
        """What a call that found nobody to go to raises, in the library's words."""
        make = self._library.deadline if isinstance(error, DeadlineError) else self._library.no_instance
        return make(str(error), request=self._request)


class AsyncCalls(Generic[Request, Response, Inner]):
    """What `AsyncTransport` of both libraries is."""

    library: Library

    def __init__(
        self,
        board: AsyncBoard,
        *,
        services: Services | None = None,
        transport: Inner | None = None,
        host_header: HostHeader = "service",
        **options: Unpack[ServiceOptions],
    ) -> None:
        """`options` hold for every service, `services` for single ones. `transport` does the sending (an `AsyncHTTPTransport` by default).

        The `Host` header is the service's name, or the instance's address. Raises `InvalidError`, and `TypeError` for a board of threads.
        """
        check_board(board, AsyncBoard, type(self).__name__, "client() or Transport")
        self._handles: Handles[AsyncService] = Handles(board, services, **options)
        self._inner: object = transport if transport is not None else self.library.module.AsyncHTTPTransport(verify=_NO_TLS)
        self._host_header: HostHeader = host_header

    async def handle_async_request(self, request: Request) -> Response:
        """Send one call, to as many instances as it takes and may be tried."""
        call = Outgoing(self.library, cast(HttpRequest, request), self._host_header)
        try:
            service = self._handles.of(cast(HttpRequest, request).url.host)
            async for attempt in service.attempts(idempotent=call.repeatable, timeout_s=call.timeout_s):
                response = await self._try(call, attempt)
                if response is not None:
                    return response
        except (NoInstanceError, NoPictureError, DeadlineError) as error:
            raise call.refused(error) from error
        except InvalidError as error:
            raise self.library.module.UnsupportedProtocol(str(error), request=request) from error
        raise AssertionError("the last attempt answers or raises")

    async def _try(self, call: Outgoing, attempt: Attempt) -> Response | None:
        request, limits = call.addressed(attempt)
        bound_s = call.bound_s(attempt)
        try:
            async with asyncio.timeout(shorter(None, bound_s + GRACE_S)):
                response = cast(HttpResponse, await self._inner.handle_async_request(request))  # type: ignore[attr-defined]  # a transport of the library
        except TimeoutError:
            call.failed(attempt, self.library.module.ReadTimeout(f"no answer within {bound_s:.3f} s"))
            return None
        except self.library.module.TransportError as error:
            call.failed(attempt, error)
            return None
        except BaseException:
            attempt.cancelled()
            raise
        if attempt.answered(response.status_code, retry_after_s(response.headers.get("retry-after")), streaming=True):
            return cast(Response, call.answer(response, attempt, limits, self.library.async_body))
        await response.aclose()
        return None

    async def aclose(self) -> None:
        """Close the connections; the board stays open."""
        await self._inner.aclose()  # type: ignore[attr-defined]  # a transport of the library


class Calls(Generic[Request, Response, Inner]):
    """What `Transport` of both libraries is."""

    library: Library

    def __init__(
        self,
        board: Board,
        *,
        services: Services | None = None,
        transport: Inner | None = None,
        host_header: HostHeader = "service",
        **options: Unpack[ServiceOptions],
    ) -> None:
        """As for the asyncio one, with an `HTTPTransport`. Raises `InvalidError`, and `TypeError` for a board of asyncio."""
        check_board(board, Board, type(self).__name__, "async_client() or AsyncTransport")
        self._handles: Handles[Service] = Handles(board, services, **options)
        self._inner: object = transport if transport is not None else self.library.module.HTTPTransport(verify=_NO_TLS)
        self._host_header: HostHeader = host_header

    def handle_request(self, request: Request) -> Response:
        """Send one call, to as many instances as it takes and may be tried."""
        call = Outgoing(self.library, cast(HttpRequest, request), self._host_header)
        try:
            service = self._handles.of(cast(HttpRequest, request).url.host)
            for attempt in service.attempts(idempotent=call.repeatable, timeout_s=call.timeout_s):
                response = self._try(call, attempt)
                if response is not None:
                    return response
        except (NoInstanceError, NoPictureError, DeadlineError) as error:
            raise call.refused(error) from error
        except InvalidError as error:
            raise self.library.module.UnsupportedProtocol(str(error), request=request) from error
        raise AssertionError("the last attempt answers or raises")

    def _try(self, call: Outgoing, attempt: Attempt) -> Response | None:
        request, limits = call.addressed(attempt)
        try:
            response = cast(HttpResponse, self._inner.handle_request(request))  # type: ignore[attr-defined]  # a transport of the library
        except self.library.module.TransportError as error:
            call.failed(attempt, error)
            return None
        except BaseException:
            attempt.cancelled()
            raise
        if attempt.answered(response.status_code, retry_after_s(response.headers.get("retry-after")), streaming=True):
            return cast(Response, call.answer(response, attempt, limits, self.library.body))
        response.close()
        return None

    def close(self) -> None:
        """Close the connections; the board stays open."""
        self._inner.close()  # type: ignore[attr-defined]  # a transport of the library

"""`http://orders.svc/path` for aiohttp: a client middleware (aiohttp 3.12) that picks an instance of the service for each request.

    async with callboard.aio.connect() as board, session(board, services={"orders": {"version": "^2"}}) as http:
        async with http.get("http://orders.svc/items/7") as answer: ...

aiohttp refuses schemes that it does not know before any middleware is asked, so a service is a host: one label and `.svc`. All other hosts
pass untouched, also `orders.default.svc` as Kubernetes has them. See docs/guides/aiohttp.md for timeouts and retries.
"""

import asyncio
import math
from typing import Final, Literal, Unpack

from callboard.client.aio.board import Board
from callboard.client.aio.service import Service
from callboard.client.attempts import Attempt
from callboard.client.errors import DeadlineError, NoInstanceError, NoPictureError
from callboard.client.options import ServiceOptions
from callboard.integrations.base.calls import IDEMPOTENT_METHODS, Handles, Services, check_board, retry_after_s, shorter
from callboard.integrations.base.needs import needs
from callboard.model.errors import InvalidError

with needs("aiohttp"):
    import aiohttp
    from aiohttp.client_middlewares import ClientHandlerType
    from aiohttp.payload import BytesPayload

__all__ = ["CallBroken", "DeadlineExceeded", "NoInstance", "ServiceMiddleware", "session"]

SUFFIX: Final = ".svc"
DEFAULT_TIMEOUT: Final = aiohttp.ClientTimeout(total=300, sock_connect=30)
"""What aiohttp takes when nothing is said."""
_UNSENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class NoInstance(aiohttp.ClientConnectionError):
    """Nobody could be called: no instance fits, or none is known. The cause says why, instance by instance."""


class DeadlineExceeded(aiohttp.ServerTimeoutError):
    """The deadline that the caller works under was over before an attempt began."""


class CallBroken(aiohttp.ClientConnectionError):
    """The last instance that was tried broke the connection. (aiohttp would repeat its own error once more, past every budget.)"""


class ServiceMiddleware:
    """For `middlewares=` of a session or of one request. It may serve several sessions; the board stays open."""

    def __init__(
        self,
        board: Board,
        *,
        services: Services | None = None,
        timeout_s: float | None = None,
        suffix: str = SUFFIX,
        host_header: Literal["service", "instance"] = "service",
        **options: Unpack[ServiceOptions],
    ) -> None:
        """`options` hold for every service, `services` for single ones.

        `timeout_s` bounds everything up to the head of the answer, over all attempts (else the board's `call_timeout_ms`; `math.inf`: no
        bound but aiohttp's own). The `Host` header is the host of the URL, or the instance's address. Raises `InvalidError`, and
        `TypeError` for a board of threads.
        """
        check_board(board, Board, type(self).__name__, "callboard.integrations.httpx or .requests")
        if not suffix.startswith("."):
            raise InvalidError("suffix", f"must begin with a dot, as {SUFFIX} does")
        self._handles: Handles[Service] = Handles(board, services, **options)
        self._timeout_s = timeout_s
        self._suffix = suffix
        self._host_header: Literal["service", "instance"] = host_header

    async def __call__(self, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        """Send one request, to as many instances as it takes and may be tried."""
        name = self._service_name(request.url.raw_host or "")
        if not name:
            return await handler(request)
        try:
            return await self._call(self._handles.of(name), request, handler)
        except (NoInstanceError, NoPictureError) as error:
            raise NoInstance(str(error)) from error
        except DeadlineError as error:
            raise DeadlineExceeded(str(error)) from error
        except InvalidError as error:
            raise aiohttp.InvalidURL(request.url, str(error)) from error

    def _service_name(self, host: str) -> str:
        name = host.removesuffix(self._suffix)
        return "" if name == host or "." in name else name

    async def _call(self, service: Service, request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
        logical, repeatable = request.url, _repeatable(request)
        try:
            async for attempt in service.attempts(idempotent=repeatable, timeout_s=self._timeout_s):
                request.url = logical.with_host(attempt.host).with_port(attempt.port)
                request.headers.update(attempt.headers)
                if self._host_header == "instance":
                    request.headers["Host"] = attempt.url.partition("://")[2]
                response = await _try(attempt, request, handler, repeatable=repeatable)
                if response is not None:
                    return response
        finally:
            request.url = logical
        raise AssertionError("the last attempt answers or raises")


async def _try(
    attempt: Attempt, request: aiohttp.ClientRequest, handler: ClientHandlerType, *, repeatable: bool
) -> aiohttp.ClientResponse | None:
    """The answer of one instance; None when another one is tried."""
    request.response = None
    try:
        async with asyncio.timeout(shorter(None, attempt.timeout_s if repeatable else attempt.remaining_s)) as limit:
            connecting = _bound_connecting(attempt, request, limit)
            try:
                response = await handler(request)
            finally:
                if connecting is not None:
                    connecting.cancel()
    except TimeoutError as error:
        attempt.failed(_timed_out(attempt, error), sent=_sent(request) and not isinstance(error, _UNSENT))
        return None
    except (aiohttp.ClientError, OSError) as error:
        if isinstance(error, (aiohttp.InvalidURL, aiohttp.ClientPayloadError)):
            attempt.cancelled()
            raise
        attempt.failed(_broken(error, request), sent=not isinstance(error, _UNSENT))
        return None
    except BaseException:
        attempt.cancelled()
        raise
    if attempt.answered(response.status, retry_after_s(response.headers.get("Retry-After")), streaming=True):
        if response.connection is None:  # it was read already
            attempt.ended()
        else:
            response.connection.add_callback(attempt.ended)
        return response
    response.release()
    return None


def _bound_connecting(attempt: Attempt, request: aiohttp.ClientRequest, limit: asyncio.Timeout) -> asyncio.TimerHandle | None:
    """See to it that connecting takes no more than the attempt's share, when waiting for the answer may take longer."""
    if attempt.timeout_s >= attempt.remaining_s or attempt.timeout_s == math.inf:
        return None
    loop = asyncio.get_running_loop()

    def late() -> None:
        if not _sent(request):
            limit.reschedule(loop.time())

    return loop.call_later(attempt.timeout_s, late)


def _sent(request: aiohttp.ClientRequest) -> bool:
    """Whether a connection was there: aiohttp makes the response when it has written the head of the request."""
    return request.response is not None


def _repeatable(request: aiohttp.ClientRequest) -> bool:
    body = request.body
    return request.method in IDEMPOTENT_METHODS and isinstance(body, (bytes, BytesPayload))


def _timed_out(attempt: Attempt, error: TimeoutError) -> Exception:
    """An error of aiohttp's own kind."""
    if isinstance(error, aiohttp.ClientError):
        return error
    late = aiohttp.ServerTimeoutError(f"no answer from {attempt.host}:{attempt.port} in time")
    late.__cause__ = error
    return late


def _broken(error: Exception, request: aiohttp.ClientRequest) -> Exception:
    """An error that the session does not take for a reason to repeat the request by itself."""
    if isinstance(error, _UNSENT) or request.method not in IDEMPOTENT_METHODS:
        return error
    broken = CallBroken(str(error) or type(error).__name__)
    broken.__cause__ = error
    return broken


def session(
    board: Board,
    *,
    services: Services | None = None,
    timeout: aiohttp.ClientTimeout = DEFAULT_TIMEOUT,
) -> aiohttp.ClientSession:
    """A session that knows services; for more options make one, and give it a `ServiceMiddleware`. Call it in a running loop.

    The total of `timeout` bounds the attempts too, if it is shorter than the board's `call_timeout_ms`.
    """
    total_s = math.inf if timeout.total is None else timeout.total
    bound_s = total_s if total_s * 1000 < board.settings.call_timeout_ms else None
    return aiohttp.ClientSession(middlewares=(ServiceMiddleware(board, services=services, timeout_s=bound_s),), timeout=timeout)

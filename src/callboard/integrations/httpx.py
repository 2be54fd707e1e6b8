"""`svc://orders/path` for httpx: each request goes to one instance of the service, and to another when that fails and it may be repeated.

    async with callboard.aio.connect() as board, async_client(board, services={"orders": {"version": "^2"}}) as http:
        answer = await http.get("svc://orders/items/7")

Or mount `AsyncTransport(board)` (`Transport(board)` for threads) at `svc://` of a client of your own. URLs, cookies and redirects stay
logical; see docs/guides/httpx.md for timeouts, retries and the `Host` header.
"""

from typing import Final

from callboard.client.aio.board import Board as AsyncBoard
from callboard.client.board import Board
from callboard.integrations.base.calls import Services
from callboard.integrations.base.httpx_calls import DEFAULT_TIMEOUT_S, MOUNT, AsyncBody, AsyncCalls, Body, Calls, Library
from callboard.integrations.base.needs import needs

with needs("httpx"):
    import httpx

__all__ = ["AsyncTransport", "DeadlineExceeded", "NoInstance", "Transport", "async_client", "client"]


class NoInstance(httpx.ConnectError):
    """Nobody could be called: no instance fits, or none is known. The cause says why, instance by instance."""


class DeadlineExceeded(httpx.TimeoutException):
    """The deadline that the caller works under was over before an attempt began."""


class _Body(Body, httpx.SyncByteStream):
    pass


class _AsyncBody(AsyncBody, httpx.AsyncByteStream):
    pass


_HTTPX: Final = Library(httpx, NoInstance, DeadlineExceeded, _Body, _AsyncBody)


class AsyncTransport(AsyncCalls[httpx.Request, httpx.Response, httpx.AsyncBaseTransport], httpx.AsyncBaseTransport):
    """Mount it at `svc://` of an `AsyncClient`. Needs asyncio; the board stays open when it is closed."""

    library = _HTTPX


class Transport(Calls[httpx.Request, httpx.Response, httpx.BaseTransport], httpx.BaseTransport):
    """Mount it at `svc://` of a `Client`. The board stays open when it is closed."""

    library = _HTTPX


def async_client(
    board: AsyncBoard,
    *,
    services: Services | None = None,
    timeout: httpx.Timeout | float | None = DEFAULT_TIMEOUT_S,
    base_url: str = "",
) -> httpx.AsyncClient:
    """An `AsyncClient` that knows `svc://`, besides all that it knows otherwise. For more options make one, and mount `AsyncTransport`."""
    return httpx.AsyncClient(mounts={MOUNT: AsyncTransport(board, services=services)}, timeout=timeout, base_url=base_url)


def client(
    board: Board, *, services: Services | None = None, timeout: httpx.Timeout | float | None = DEFAULT_TIMEOUT_S, base_url: str = ""
) -> httpx.Client:
    """A `Client` that knows `svc://`, besides all that it knows otherwise. For more options make one, and mount `Transport`."""
    return httpx.Client(mounts={MOUNT: Transport(board, services=services)}, timeout=timeout, base_url=base_url)

"""`svc://orders/path` for httpx2, which goes on where httpx stopped: everything said in `callboard.integrations.httpx` holds here too."""

from typing import Final

from callboard.client.aio.board import Board as AsyncBoard
from callboard.client.board import Board
from callboard.integrations.base.calls import Services
from callboard.integrations.base.httpx_calls import DEFAULT_TIMEOUT_S, MOUNT, AsyncBody, AsyncCalls, Body, Calls, Library
from callboard.integrations.base.needs import needs

with needs("httpx2"):
    import httpx2

__all__ = ["AsyncTransport", "DeadlineExceeded", "NoInstance", "Transport", "async_client", "client"]


class NoInstance(httpx2.ConnectError):
    """Nobody could be called: no instance fits, or none is known. The cause says why, instance by instance."""


class DeadlineExceeded(httpx2.TimeoutException):
    """The deadline that the caller works under was over before an attempt began."""


class _Body(Body, httpx2.SyncByteStream):
    pass


class _AsyncBody(AsyncBody, httpx2.AsyncByteStream):
    pass


_HTTPX2: Final = Library(httpx2, NoInstance, DeadlineExceeded, _Body, _AsyncBody)


class AsyncTransport(AsyncCalls[httpx2.Request, httpx2.Response, httpx2.AsyncBaseTransport], httpx2.AsyncBaseTransport):
    """Mount it at `svc://` of an `AsyncClient`. Needs asyncio; the board stays open when it is closed."""

    library = _HTTPX2


class Transport(Calls[httpx2.Request, httpx2.Response, httpx2.BaseTransport], httpx2.BaseTransport):
    """Mount it at `svc://` of a `Client`. The board stays open when it is closed."""

    library = _HTTPX2


def async_client(
    board: AsyncBoard,
    *,
    services: Services | None = None,
    timeout: httpx2.Timeout | float | None = DEFAULT_TIMEOUT_S,
    base_url: str = "",
) -> httpx2.AsyncClient:
    """An `AsyncClient` that knows `svc://`, besides all that it knows otherwise. For more options make one, and mount `AsyncTransport`."""
    return httpx2.AsyncClient(mounts={MOUNT: AsyncTransport(board, services=services)}, timeout=timeout, base_url=base_url)


def client(
    board: Board, *, services: Services | None = None, timeout: httpx2.Timeout | float | None = DEFAULT_TIMEOUT_S, base_url: str = ""
) -> httpx2.Client:
    """A `Client` that knows `svc://`, besides all that it knows otherwise. For more options make one, and mount `Transport`."""
    return httpx2.Client(mounts={MOUNT: Transport(board, services=services)}, timeout=timeout, base_url=base_url)

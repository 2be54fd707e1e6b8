"""`svc://orders/path` for requests: each request goes to one instance of the service, to another when that fails and it may be repeated.

    with callboard.connect() as board, session(board, services={"orders": {"version": "^2"}}) as http:
        answer = http.get("svc://orders/items", params={"page": 2})

Or mount `Adapter(board)` at `svc://` of a session of your own; but requests drops `params` of URLs that do not begin with `http`, so mount
it at `http+svc://` too and write that, or put the query into the URL. See docs/guides/requests.md for timeouts and retries.
"""

import math
import weakref
from collections.abc import Mapping
from typing import Final, Literal, Unpack, cast
from urllib.parse import urlsplit, urlunsplit

from callboard.client.attempts import Attempt
from callboard.client.board import Board
from callboard.client.errors import DeadlineError, NoInstanceError, NoPictureError
from callboard.client.options import ServiceOptions
from callboard.client.service import Service
from callboard.integrations.base.calls import (
    IDEMPOTENT_METHODS,
    SCHEME,
    Handles,
    Services,
    check_board,
    redirect_target,
    retry_after_s,
    shorter,
)
from callboard.integrations.base.needs import needs
from callboard.model.errors import InvalidError

with needs("requests"):
    import requests
    from requests.adapters import HTTPAdapter
    from requests.models import PreparedRequest, Response
    from urllib3.exceptions import MaxRetryError, NewConnectionError
    from urllib3.util import Timeout

__all__ = ["Adapter", "DeadlineExceeded", "NoInstance", "ServiceSession", "session"]

_HTTP_SVC: Final = f"http+{SCHEME}"
POOLS_MAX_COUNT: Final = 100
"""Instances that connections are kept to. (requests keeps them to ten hosts.)"""


class NoInstance(requests.ConnectionError):
    """Nobody could be called: no instance fits, or none is known. The cause says why, instance by instance."""


class DeadlineExceeded(requests.Timeout):
    """The deadline that the caller works under was over before an attempt began."""


class Adapter(HTTPAdapter):
    """Mount it at `svc://` of a `requests.Session`. It may be used by several threads; the board stays open when it is closed."""

    def __init__(
        self,
        board: Board,
        *,
        services: Services | None = None,
        host_header: Literal["service", "instance"] = "service",
        pool_connections: int = POOLS_MAX_COUNT,
        pool_maxsize: int = 10,
        **options: Unpack[ServiceOptions],
    ) -> None:
        """`options` hold for every service, `services` for single ones. The `Host` header is the service's name, or the instance's address.

        Raises `InvalidError`, and `TypeError` for a board of asyncio.
        """
        check_board(board, Board, type(self).__name__, "callboard.integrations.httpx or .aiohttp")
        super().__init__(pool_connections=pool_connections, pool_maxsize=pool_maxsize)
        self._handles: Handles[Service] = Handles(board, services, **options)
        self._host_header: Literal["service", "instance"] = host_header

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002  # as HTTPAdapter
        timeout: float | tuple[float | None, float | None] | Timeout | None = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request, to as many instances as it takes and may be tried. Proxies are for the world outside, not for instances."""
        outgoing = _Outgoing(request, timeout, self._host_header)
        try:
            service = self._handles.of(outgoing.service)
            for attempt in service.attempts(idempotent=outgoing.repeatable, timeout_s=outgoing.timeout_s):
                try:
                    response = super().send(outgoing.addressed(attempt), stream, outgoing.limits(attempt), verify, cert, {})
                    if not stream:
                        response.content  # noqa: B018  # read while another instance may still be asked
                except (requests.RequestException, OSError) as error:
                    outgoing.failed(attempt, error)
                    continue
                except BaseException:
                    attempt.cancelled()
                    raise
                if outgoing.answered(attempt, response, stream=stream):
                    return response
                response.close()
        except (NoInstanceError, NoPictureError) as error:
            raise NoInstance(str(error), request=request) from error
        except DeadlineError as error:
            raise DeadlineExceeded(str(error), request=request) from error
        except InvalidError as error:
            raise requests.exceptions.InvalidURL(str(error), request=request) from error
        raise AssertionError("the last attempt answers or raises")


class _Outgoing:
    """One call of a user, over all its attempts."""

    def __init__(
        self, request: PreparedRequest, timeout: float | tuple[float | None, float | None] | Timeout | None, host_header: str
    ) -> None:
        """Raises `InvalidURL` for a URL that names no service."""
        self._request = request
        self._host_header = host_header
        self._url = urlsplit(request.url or "")
        self.service = self._url.hostname or ""
        if not self.service or self._url.port is not None:
            raise requests.exceptions.InvalidURL(f"{request.url} must be svc://SERVICE/PATH, without a port", request=request)
        self._logical = urlunsplit((SCHEME, *self._url[1:]))
        self.repeatable = request.method in IDEMPOTENT_METHODS and isinstance(request.body, (bytes, str, type(None)))
        self._connect_s, self._read_s = _limits(timeout)
        self.timeout_s = None if timeout is None else max(self._connect_s, self._read_s)
        """For everything up to the answer, over all attempts; None, if nothing was said: as long as the board says."""

    def limits(self, attempt: Attempt) -> tuple[float, float]:
        """For connecting and for reading, at one instance."""
        read_s = attempt.timeout_s if self.repeatable else attempt.remaining_s
        limits = shorter(self._connect_s, attempt.timeout_s), shorter(self._read_s, read_s)
        return cast(tuple[float, float], limits)  # each may be None: none; only the stubs do not know

    def addressed(self, attempt: Attempt) -> PreparedRequest:
        """The request as it goes to the instance."""
        place = attempt.url.partition("://")[2]
        request = self._request.copy()
        request.url = attempt.url + request.path_url
        request.headers.setdefault("Host", place if self._host_header == "instance" else self._url.netloc.rpartition("@")[2])
        request.headers.update(attempt.headers)
        return request

    def failed(self, attempt: Attempt, error: Exception) -> None:
        """Say how an attempt ended without an answer. Returns when there is another one, else raises."""
        if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader)):
            attempt.cancelled()
            raise error
        attempt.failed(error, sent=not _unsent(error))

    def answered(self, attempt: Attempt, response: Response, *, stream: bool) -> bool:
        """Whether the caller gets this answer; it is made what the caller expects of the logical URL."""
        if not attempt.answered(response.status_code, retry_after_s(response.headers.get("Retry-After")), streaming=stream):
            return False
        response.request, response.url = self._request, self._logical
        if "Location" in response.headers:
            place = attempt.url.partition("://")[2]
            response.headers["Location"] = redirect_target(response.headers["Location"], self._logical, place)
        if stream:
            _end_with(response, attempt, self._read_s)
        return True


def _limits(timeout: float | tuple[float | None, float | None] | Timeout | None) -> tuple[float, float]:
    """For connecting and for reading; infinite for none."""
    if isinstance(timeout, Timeout):
        pair: tuple[object, object] = (timeout.connect_timeout, timeout.read_timeout)
    else:
        pair = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    connect_s, read_s = (float(limit) if isinstance(limit, (int, float)) else math.inf for limit in pair)
    return connect_s, read_s


def _unsent(error: Exception) -> bool:
    """Whether no connection was made."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    reason = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    return isinstance(reason, MaxRetryError) and isinstance(reason.reason, NewConnectionError)


def _end_with(response: Response, attempt: Attempt, read_s: float) -> None:
    """The instance is busy with the call until its answer is read or closed, or nobody wants it any more."""
    sock = getattr(getattr(response.raw, "connection", None), "sock", None)
    if sock is not None:
        sock.settimeout(shorter(read_s, math.inf))  # the caller's own limit between two pieces, not the attempt's share
    release = response.raw.release_conn

    def released() -> None:
        release()
        attempt.ended()

    setattr(response.raw, "release_conn", released)  # noqa: B010  # what urllib3 calls when the body is read
    weakref.finalize(response, attempt.ended)


class ServiceSession(requests.Session):
    """A session whose `svc://` URLs take `params`, as others do."""

    def prepare_request(self, request: requests.Request) -> PreparedRequest:
        """As requests, which prepares only what begins with `http`."""
        url = request.url.decode() if isinstance(request.url, bytes) else request.url
        if not url.lower().startswith(f"{SCHEME}://"):
            return super().prepare_request(request)
        request.url = f"http+{url}"
        prepared = super().prepare_request(request)
        request.url, prepared.url = url, cast(str, prepared.url).removeprefix("http+")
        return prepared


def session(board: Board, *, services: Services | None = None) -> ServiceSession:
    """A session that knows `svc://`, besides all that sessions know. For more options mount an `Adapter`."""
    made = ServiceSession()
    adapter = Adapter(board, services=services)
    for scheme in (SCHEME, _HTTP_SVC):
        made.mount(f"{scheme}://", adapter)
    return made

"""The ASGI middleware: counts requests under way, hands the caller's deadline on, answers probes. It lives as long as its application.

Only `http` is counted. A websocket may stay open for days, and a drain would wait for it in vain; its server closes it.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, cast

from callboard.client import deadline
from callboard.integrations.base.serving import Answer, Probes, Serving, expired, time_left

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

STATE_BOARD: Final = "callboard"
"""Where the board stands in the application's state."""
STATE_REGISTERED: Final = "callboard_registered"
"""Where the registration stands in it."""
STATE_SERVICES: Final = "callboard_services"
"""Where the handles on other services stand in it (`callboard.integrations.base.lifespan.Services`)."""
_HEADER: Final = deadline.HEADER.lower().encode()


class CallboardMiddleware:
    """Wraps an ASGI application, whichever framework it was made with.

    `health_path` and `ready_path` are answered here (`callboard.integrations.base.serving.Probes`); left out, they are the
    application's own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        health_path: str = "",
        ready_path: str = "",
        check: Callable[[], bool] | None = None,
        find: Callable[[Scope], Serving | None] | None = None,
    ) -> None:
        """`find` answers the registration a request belongs to; without, it is the one that the lifespan has put into the state."""
        self.app = app
        self._probes = Probes(health_path, ready_path, check)
        self._find = find if find is not None else registered_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, websocket or lifespan."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        http = scope["type"] == "http"
        serving = self._find(scope)
        left = time_left(_deadline_of(scope["headers"]))
        if http:
            answer = self._probes.answer(scope["method"], scope["path"], serving)
            if answer is None and left is not None and left <= 0:
                answer = expired()
            if answer is not None:
                await _send(answer, send)
                return
        with contextlib.ExitStack() as stack:
            scope[STATE_REGISTERED] = serving
            if http and serving is not None:
                stack.enter_context(serving.working())
            if left is not None:
                stack.enter_context(deadline.within(left))
            await self.app(scope, receive, send)


def held(scope: Mapping[str, object], name: str) -> object:
    """What the lifespan has put into the state of the application under `name`, of whichever framework; None when it has not."""
    state = scope.get("state")
    found = state.get(name) if isinstance(state, Mapping) else None
    if found is None and (app := scope.get("litestar_app") or scope.get("app")) is not None:
        found = getattr(getattr(app, "state", None), name, None)
    return found


def registered_of(scope: Mapping[str, object]) -> Serving | None:
    """The registration of the application that a request is for."""
    return cast(Serving | None, held(scope, STATE_REGISTERED))


def _deadline_of(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == _HEADER:
            return value.decode("latin-1")
    return None


async def _send(answer: Answer, send: Send) -> None:
    headers = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})

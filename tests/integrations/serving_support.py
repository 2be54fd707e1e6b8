"""A registration that only counts, and the two server interfaces called by hand."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from callboard.integrations.base.asgi import CallboardMiddleware
from callboard.integrations.base.wsgi import WSGIApp


class Counted:
    """What a middleware needs of a registration."""

    def __init__(self) -> None:
        self.state = "registered"
        self.in_flight = 0
        self.most = 0

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1


class Got(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask_asgi(app: CallboardMiddleware, path: str = "/", *, method: str = "GET", kind: str = "http", deadline: str = "") -> Got:
    """One request."""
    headers = [(b"x-deadline-ms", deadline.encode())] if deadline else []
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": kind, "method": method, "path": path, "headers": headers}, receive, send))
    if not sent:
        return Got(0, {}, b"")
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Got(sent[0]["status"], told, b"".join(message.get("body", b"") for message in sent[1:]))


def ask_wsgi(app: WSGIApp, path: str = "/", *, method: str = "GET", deadline: str = "", between: Callable[[], None] | None = None) -> Got:
    """One request; `between` is called when the application has returned, before its answer is read."""
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path}
    if deadline:
        environ["HTTP_X_DEADLINE_MS"] = deadline
    told: list[Any] = []

    def start_response(*words: Any) -> Callable[[bytes], object]:
        told.append(words)
        return lambda _: None

    answer: Iterable[bytes] = app(environ, start_response)
    try:
        if between is not None:
            between()
        body = b"".join(answer)
    finally:
        if (close := getattr(answer, "close", None)) is not None:
            close()
    return Got(int(told[0][0].split()[0]), {name.lower(): value for name, value in told[0][1]}, body)

"""The WSGI middleware: counts requests under way, hands the caller's deadline on, answers probes. It lives as long as its application.

A WSGI answer that is not a list is under way until its server has closed it, not until the application returned: a generator may just
be beginning. So the count ends in `close`, which every WSGI server calls. Under a deadline the whole of it runs in a copied context, so
that the deadline holds while a body is generated, and never leaks into the next request of the thread.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, ParamSpec, TypeVar

from callboard.client import deadline
from callboard.integrations.base.serving import NO_PROBES, Answer, Probes, Serving, expired, time_left

P = ParamSpec("P")
T = TypeVar("T")

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]
Find = Callable[[Environ], Serving | None]

ENVIRON_REGISTERED: Final = "callboard.registered"
"""Where a request's environ says which registration it belongs to."""
_HEADER: Final = "HTTP_" + deadline.HEADER.upper().replace("-", "_")


class CallboardWSGIMiddleware:
    """Wraps a WSGI application, whichever framework it was made with.

    `find` answers the registration that this process serves under; it is asked at each request. `probes` are answered here.
    """

    def __init__(self, app: WSGIApp, find: Find, probes: Probes = NO_PROBES) -> None:
        self.app = app
        self._find = find
        self._probes = probes

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """One request."""
        serving = self._find(environ)
        left = time_left(environ.get(_HEADER))
        answer = self._probes.answer(environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""), serving)
        if answer is None and left is not None and left <= 0:
            answer = expired()
        if answer is not None:
            return send(answer, start_response)
        if serving is None and left is None:
            return self.app(environ, start_response)
        if serving is not None:
            environ[ENVIRON_REGISTERED] = serving
        return _run(self.app, environ, start_response, _Work(serving, left))


class _Work:
    """A request under way, counted, in a context of its own if there is a deadline. It lives until it is closed."""

    def __init__(self, serving: Serving | None, left: float | None) -> None:
        self._stack = contextlib.ExitStack()
        self._context = contextvars.copy_context() if left is not None else None
        if serving is not None:
            self._stack.enter_context(serving.working())
        if left is not None:
            self.run(self._stack.enter_context, deadline.within(left))

    def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `call` answers, within the deadline."""
        return call(*args, **kwargs) if self._context is None else self._context.run(call, *args, **kwargs)

    def close(self) -> None:
        """It is done."""
        self.run(self._stack.close)


def _run(app: WSGIApp, environ: Environ, start_response: StartResponse, work: _Work) -> Iterable[bytes]:
    try:
        answer = work.run(app, environ, start_response)
        if not isinstance(answer, list | tuple):
            return _Body(answer, work)
    except BaseException:
        work.close()
        raise
    work.close()
    return answer


class _Body:
    """An answer on its way: it ends its work when the server closes it."""

    def __init__(self, answer: Iterable[bytes], work: _Work) -> None:
        self._answer = answer
        self._work = work
        self._pieces = work.run(iter, answer)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._work.run(next, self._pieces)

    def close(self) -> None:
        """Called by the server, whether everything was sent or not."""
        try:
            if (close := getattr(self._answer, "close", None)) is not None:
                self._work.run(close)
        finally:
            self._work.close()


def send(answer: Answer, start_response: StartResponse) -> Iterable[bytes]:
    """A complete answer."""
    headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body)))] if answer.body else []
    start_response(answer.line, headers)
    return [answer.body]

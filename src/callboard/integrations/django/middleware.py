"""The middleware: begins the registration, counts requests under way, hands the caller's deadline on, answers probes.

It is made once for each handler, so only in processes that serve (or test), and lives as long as it. Put it first: what stands before it
is not counted. A streamed answer is under way until Django has closed it.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, ClassVar, Final, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.apps import apps
from django.http import HttpRequest, HttpResponse

from callboard.client import deadline
from callboard.integrations.base.asgi import STATE_REGISTERED
from callboard.integrations.base.lazily import KNOCK_PATH
from callboard.integrations.base.serving import NOTHING, Answer, Serving, expired, time_left
from callboard.integrations.base.wsgi import ENVIRON_REGISTERED
from callboard.integrations.django.held import LABEL, Held

GetResponse = Callable[[HttpRequest], Any]
_HEADER: Final = "HTTP_" + deadline.HEADER.upper().replace("-", "_")


class CallboardMiddleware:
    """Sync or async, as the handler around it is."""

    sync_capable: ClassVar[bool] = True
    async_capable: ClassVar[bool] = True

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response
        self._held = cast(Held, apps.get_app_config(LABEL).held)
        self._async = bool(iscoroutinefunction(get_response))
        if self._async:
            markcoroutinefunction(self)
        if self._held.lazily is not None:
            self._held.lazily.knock()

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        """One request."""
        return self._awaited(request) if self._async else self._called(request)

    def _called(self, request: HttpRequest) -> HttpResponse:
        serving = self._serving(request)
        left = time_left(request.META.get(_HEADER))
        if (answer := self._answer(request, serving, left)) is not None:
            return answer
        work = _Work(serving)
        try:
            with _within(left):
                response = self._get_response(request)
        except BaseException:
            work.close()
            raise
        return work.until_closed(response)

    async def _awaited(self, request: HttpRequest) -> HttpResponse:
        serving = self._serving(request)
        left = time_left(request.META.get(_HEADER))
        if (answer := self._answer(request, serving, left)) is not None:
            return answer
        work = _Work(serving)
        try:
            with _within(left):
                response = await self._get_response(request)
        except BaseException:
            work.close()
            raise
        return work.until_closed(response)

    def _serving(self, request: HttpRequest) -> Serving | None:
        """The registration this request belongs to: the one that gunicorn's hooks have begun, else the project's own, begun now."""
        told = request.META.get(ENVIRON_REGISTERED) or getattr(request, "scope", {}).get(STATE_REGISTERED)
        if told is not None:
            return cast(Serving, told)
        return self._held.lazily.begun() if self._held.lazily is not None else None

    def _answer(self, request: HttpRequest, serving: Serving | None, left: float | None) -> HttpResponse | None:
        if request.path == KNOCK_PATH:
            return _response(NOTHING)
        answer = self._held.probes.answer(request.method, request.path, serving)
        if answer is None and left is not None and left <= 0:
            answer = expired()
        return _response(answer) if answer is not None else None


class _Work:
    """One request under way. It lives until its answer has left."""

    def __init__(self, serving: Serving | None) -> None:
        self._stack = contextlib.ExitStack()
        if serving is not None:
            self._stack.enter_context(serving.working())

    def until_closed(self, response: HttpResponse) -> HttpResponse:
        """The response; a streamed one ends the work when it is closed, any other ends it now."""
        if not response.streaming:
            self.close()
        elif response.is_async:
            response.streaming_content = _AsyncPieces(response.streaming_content, self)
        else:
            response.streaming_content = _Pieces(response.streaming_content, self)
        return response

    def close(self) -> None:
        """It is done. A second call does nothing."""
        self._stack.close()


class _Pieces:
    """A streamed answer, which Django closes however it ends."""

    def __init__(self, pieces: Iterator[bytes], work: _Work) -> None:
        self._pieces = pieces
        self.close = work.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)


class _AsyncPieces:
    """The same, awaited."""

    def __init__(self, pieces: AsyncIterator[bytes], work: _Work) -> None:
        self._pieces = pieces
        self.close = work.close

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)


def _within(left: float | None) -> contextlib.AbstractContextManager[object]:
    return deadline.within(left) if left is not None else contextlib.nullcontext()


def _response(answer: Answer) -> HttpResponse:
    return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type or None)

"""The language between HTTP and the frontends: a request, and the five kinds of reply a handler may give.

Handlers are plain functions, called by the quick door and by Starlette alike, so each endpoint is written once. A handler never waits:
it answers, or says what the answer waits for. Requests and replies live for one exchange; what a `Read` renders is kept and shared.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from callboard.model.rows import Revision
from callboard.model.time import Duration
from callboard.model.topics import Topic
from callboard.wire.url import Query

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
Fields = tuple[tuple[bytes, bytes], ...]
"""Header fields by name."""
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Request(Protocol):
    """What a handler sees. Everything but `method`, `path` and `body` is worked out when it is asked for."""

    method: str
    path: str
    """Decoded path."""
    rest: str
    """What follows the route's prefix in `path`; empty for an exact route."""
    body: bytes

    @property
    def query(self) -> Query:
        """The parameters. Raises `InvalidError`."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields by lower-case name; repeated ones joined by a comma (RFC 9110 section 5.3)."""
        ...

    @property
    def peer(self) -> str:
        """The caller's IP address; empty when the socket has none."""
        ...

    @property
    def local(self) -> str:
        """The address the caller reached us at."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `headers` are further fields, without length, type and date."""

    status: int = 200
    body: bytes = b""
    content_type: bytes = JSON
    headers: Fields = ()


@dataclass(frozen=True, slots=True)
class Content:
    """What a read renders: an answer, and the topic index it stands for."""

    answer: Answer
    index: Revision


@dataclass(frozen=True, slots=True)
class Read:
    """An answer derived from the view: rendered at most once per change of its topics, kept, shared, and waited for.

    `key` names the distinct answer (path and the parameters that shape it, without index and wait). With `after` the caller has already
    seen that index: it is answered when the index is above it and the body is new, or after `wait` with what there is.
    """

    key: str
    topics: tuple[Topic, ...]
    render: Callable[[], Content]
    index_field: bytes = b""
    """Header field that carries the index; empty for none."""
    after: int | None = None
    wait: Duration = Duration(0)
    standing: Callable[[], Fields] | None = None
    """Header fields that tell how the server stands when the answer is sent, and not when it was rendered; looked at once a second.
    Everybody who uses the same `key` must mean the same fields."""
    by_line: bool = True
    """Its request line alone leads to it, without another question to the handler."""
    lasting: Callable[[], bool] | None = None
    """Of a read with `after`: while this says so, its request line means this very read, whoever sends it and whatever the view holds:
    key, topics, rendering, `after` and `wait`. None when something else has a part in it, and the handler must be asked each time."""


class Pending(Protocol[T_co]):
    """Something that will be known: `then` calls back once, at once if it is known already, never from within another thread."""

    def then(self, callback: Callable[[T_co], None]) -> None:
        """Register the one callback."""
        ...


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that waits for an outcome."""

    pending: Pending[Answer]


@dataclass(frozen=True, slots=True)
class After(Generic[T]):
    """A reply that can only be given when something is known: `then` makes it. For writes it is `Later`; this is for reads.

    Make one with `after`, which gives the reply at once where that can be.
    """

    pending: Pending[T]
    then: "Callable[[T], Reply]"


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer without an end that is known (server-sent events). Only on routes that are not quick."""

    chunks: AsyncIterator[bytes]
    content_type: bytes
    headers: Fields = ()


Reply = Answer | Read | Later | After[Any] | Stream
Handler = Callable[[Request], Reply]


class _Told(Generic[T]):
    """What was told of something pending, if anything was."""

    __slots__ = ("_callback", "_told")

    def __init__(self) -> None:
        self._told: list[T] = []
        self._callback: Callable[[T], None] | None = None

    @property
    def told(self) -> list[T]:
        """The value, if it is known."""
        return self._told

    def tell(self, value: T) -> None:
        """It is known."""
        self._told.append(value)
        if self._callback is not None:
            self._callback(value)

    def then(self, callback: Callable[[T], None]) -> None:
        """It was not known at once: call back when it is."""
        self._callback = callback


def after(pending: Pending[T], then: Callable[[T], Reply]) -> Reply:
    """The reply that `then` makes of what is pending: that reply itself when it is known already."""
    told: _Told[T] = _Told()
    pending.then(told.tell)
    return then(told.told[0]) if told.told else After(told, then)


@dataclass(frozen=True, slots=True)
class Brief:
    """The short way of a quick route that is exact, or whose path ends in a name: for what is said all day long, and nearly always in the
    same words.

    It is tried first. Neither function waits. When one answers None the handler is asked as if nothing had been; so until then they do only
    what may as well be done twice.
    """

    who: Callable[[Request], object | None]
    """Who asks, by parameters, header fields and addresses: worked out once as long as a connection sends the same."""
    hear: Callable[[Any, str, bytes], Answer | bytes | Later | None]
    """The answer to whom, to the name at the end of the path and to the body; None when there is more to it. Bytes are the body of an
    answer in JSON with nothing else to say: 200, without further fields, and not compressed. `Later` is for exact routes, which have no
    name at the end."""


@dataclass(frozen=True, slots=True)
class Route:
    """One line of a frontend's table. A `path` that ends in `/` takes everything below it; exact paths win, then the longest prefix.

    `/` alone is a page, not a prefix of everything. The path decides before the method: another method on a known path is refused.
    """

    method: str
    path: str
    handler: Handler
    quick: bool = True
    body_max_bytes: int = 0
    """Of a request, where that is more than everywhere (`HttpSettings.body_max_bytes`)."""
    brief: Brief | None = None


class Errors(Protocol):
    """A protocol's own form for what goes wrong on its paths."""

    def unknown_path(self, request: Request) -> Answer:
        """No route has this path (404)."""
        ...

    def wrong_method(self, request: Request, allowed: tuple[str, ...]) -> Answer:
        """The path is known, the method is not (405). OPTIONS comes here too."""
        ...

    def failure(self, error: Exception) -> Answer:
        """A handler raised. An error outside `CallboardError` is ours: 500 without its text."""
        ...

    def refused(self, status: int, detail: str) -> Answer:
        """HTTP itself refuses: 400 bad request, 413 body too large, 429 too many parked, 503 not ready."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """The part of the URL space a frontend serves: everything below `prefix`."""

    prefix: str
    routes: tuple[Route, ...]
    errors: Errors
    fields: frozenset[str] = frozenset()
    """Header fields, in lower case, that hardly anybody sends and that `judge` must see: who sends one goes the long way, so that no
    answer which is kept for others is given to them unseen."""
    judge: Callable[[Request], None] | None = None
    """Asked about a request with one of `fields` before its handler is. Raises what is wrong with it."""

"""Parameters that all reads share: how long to block, how fresh the answer must be, how it is to look; and the read made of them.

With one member on its own store every answer is the newest there is, so `default`, `stale` and `consistent` differ only in what the answer
says about itself. No jitter is added to a wait.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from callboard.frontend.consul.door import Door
from callboard.frontend.consul.enterprise import PARAMETERS, check_parameters
from callboard.frontend.consul.errors import POLICY, ConsulError, bad_request
from callboard.model.errors import InvalidError
from callboard.model.rows import Revision
from callboard.model.time import MILLISECOND, Duration
from callboard.model.topics import Topic
from callboard.net.http.message import JSON, Answer, Content, Read, Request
from callboard.wire.consul_go import parse_bool, parse_duration, quote
from callboard.wire.consul_json import encode
from callboard.wire.url import Query

INDEX: Final = b"X-Consul-Index"
_INDEX_LIMIT: Final = 2**64
_NOT_BUILT: Final = {
    "filter": "filter expressions are not built yet; use ?tag=, ?node-meta= or ?passing, or select at the client",
    "sg": "sameness groups are not built yet; leave out ?sg=",
    "sameness-group": "sameness groups are not built yet; leave out ?sameness-group=",
}
_SELDOM: Final = frozenset({*PARAMETERS, *_NOT_BUILT})


class Headers(NamedTuple):
    """What an answer says about itself, by consistency."""

    plain: tuple[tuple[bytes, bytes], ...]
    cached: tuple[tuple[bytes, bytes], ...]


def _headers(consistency: bytes) -> Headers:
    plain = (
        *POLICY,
        (b"X-Consul-Effective-Consistency", consistency),
        (b"X-Consul-KnownLeader", b"true"),
        (b"X-Consul-LastContact", b"0"),
        (b"X-Consul-Query-Backend", b"blocking-query"),
    )
    return Headers(plain, (*plain, (b"X-Cache", b"HIT"), (b"Age", b"0")))


_HEADERS: Final = {name: _headers(name.encode()) for name in ("leader", "stale", "consistent")}


class Options(NamedTuple):
    """What a caller said about its read."""

    after: int | None
    wait: Duration
    consistency: str
    cached: bool
    pretty: bool

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The fields of the answer, but for its index."""
        headers = _HEADERS[self.consistency]
        return headers.cached if self.cached else headers.plain

    @property
    def shape(self) -> str:
        """What of these options shapes the answer, as text for its key."""
        return f"{self.consistency} {self.cached:d} {self.pretty:d}"


def check_common(query: Query, datacenter: str) -> None:
    """Raise `ConsulError` for another data centre, a namespace, and what is not built and would change the answer."""
    wanted = query.get("datacenter") or query.get("dc")
    if wanted and wanted != datacenter:
        raise ConsulError(500, "No path to datacenter")
    check_agent(query)


def check_agent(query: Query) -> None:
    """The same for calls of the agent, which has no other data centre."""
    names = {name for name, _ in query.pairs}
    if names.isdisjoint(_SELDOM):
        return
    check_parameters(query)
    for name in names & _NOT_BUILT.keys():
        if query.get(name):
            raise bad_request(_NOT_BUILT[name])


def options_of(door: Door, query: Query) -> Options:
    """Raises `ConsulError` with Consul's words."""
    if not query.pairs:
        return Options(None, Duration(0), "leader", cached=False, pretty=False)
    check_common(query, door.registry.settings.datacenter)
    stale = "stale" in query or _max_stale(query) > 0
    consistent, cached = "consistent" in query, "cached" in query
    if stale and consistent:
        raise bad_request("Cannot specify ?stale with ?consistent, conflicting semantics.")
    if cached and consistent:
        raise bad_request("Cannot specify ?cached with ?consistent, conflicting semantics.")
    consistency = "stale" if stale else "consistent" if consistent else "leader"
    return Options(_index(query), wait_of(door, query), consistency, cached, "pretty" in query)


def _max_stale(query: Query) -> Duration:
    text = query.get("max_stale")
    try:
        return parse_duration(text) if text else Duration(0)
    except InvalidError:
        raise bad_request(f"Invalid max_stale value {quote(text or '')}") from None


def _index(query: Query) -> int | None:
    text = query.get("index")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < _INDEX_LIMIT):
        raise bad_request("Invalid index")
    return int(text) or None


def wait_of(door: Door, query: Query) -> Duration:
    """How long to block: as said, the default when nothing or nothing positive is said, and no longer than the limit."""
    text = query.get("wait")
    try:
        wait = parse_duration(text) if text else Duration(0)
    except InvalidError:
        raise bad_request("Invalid wait time") from None
    if wait <= 0:
        return Duration(door.settings.wait_default_ms * MILLISECOND)
    return Duration(min(wait, door.settings.wait_max_ms * MILLISECOND))


def meta_of(query: Query) -> list[tuple[str, str]]:
    """The pairs that nodes must have."""
    out = []
    for text in query.all("node-meta"):
        key, _, value = text.partition(":")
        out.append((key, value))
    return out


def flag(query: Query, name: str) -> bool:
    """A flag that may carry a truth value; present without one means true."""
    text = query.get(name)
    if text is None:
        return False
    value = parse_bool(text) if text else True
    if value is None:
        raise bad_request(f"Invalid value for ?{name}")
    return value


def reading(
    request: Request,
    options: Options,
    topics: tuple[Topic, ...],
    index: Callable[[], Revision],
    build: Callable[[], object],
    shape: str = "",
) -> Read:
    """A read whose answer is what `build` makes of the view, as JSON. `shape` tells what else but path and options shapes it."""

    def render() -> Content:
        return Content(Answer(200, encode(build(), pretty=options.pretty), JSON, options.headers), index())

    return Read(f"{request.path}\n{options.shape}\n{shape}", topics, render, INDEX, options.after, options.wait)

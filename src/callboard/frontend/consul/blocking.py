"""Parameters that all reads share: how long to block, how fresh the answer must be, how it is to look; and the read made of them.

Every answer is made from this member's view. `default` and `stale` take it as it is, and say how old it may be; `consistent` waits until
it shows everything that was acknowledged before the question (a blocked query that began so stays so: views only go on). A caller that
has seen a later index elsewhere waits until the view has it. No jitter is added to a wait.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from callboard.frontend.consul.door import Door
from callboard.frontend.consul.enterprise import PARAMETERS, check_parameters
from callboard.frontend.consul.errors import POLICY, ConsulError, bad_request, not_ready
from callboard.frontend.consul.filtering import filter_text
from callboard.model.errors import InvalidError
from callboard.model.rows import Refusal, Revision
from callboard.model.time import MILLISECOND, Duration
from callboard.model.topics import Topic
from callboard.net.http.message import JSON, Answer, Content, Fields, Read, Reply, Request, after
from callboard.registry.registry import Registry
from callboard.wire.consul_go import parse_bool, parse_duration, quote
from callboard.wire.consul_json import encode
from callboard.wire.url import Query

INDEX: Final = b"X-Consul-Index"
ABSENT: Final = object()
"""What a read finds that does not exist: 404, with the header fields of a read."""
_INDEX_LIMIT: Final = 2**64
_GROUPS: Final = ("sg", "sameness-group")
_SELDOM: Final = frozenset({*PARAMETERS, *_GROUPS})

_HEADERS: Final = {
    name: (*POLICY, (b"X-Consul-Effective-Consistency", name.encode()), (b"X-Consul-Query-Backend", b"blocking-query"))
    for name in ("leader", "stale", "consistent")
}
_IN_TOUCH: Final = ((b"X-Consul-KnownLeader", b"true"), (b"X-Consul-LastContact", b"0"))
CACHED: Final = ((b"X-Cache", b"HIT"), (b"Age", b"0"))
"""What `?cached` adds to an answer that is new: every one is from memory."""
_IN_TOUCH_CACHED: Final = (*_IN_TOUCH, *CACHED)
_STANDING_MS: Final = 1_000
"""For so long an answer that is kept says the same about its age, which is therefore taken as what it will be then."""


def in_touch(registry: Registry) -> bool:
    """Whether this member may say of its answers that they are new: it hears from the leader, and its view keeps up."""
    contact = registry.contact()
    return contact.known and contact.age_ms <= registry.settings.cut_off_after_ms


def _standing(registry: Registry, *, cached: bool) -> Fields:
    """How old an answer may be, and whether there is a leader."""
    if in_touch(registry):
        return _IN_TOUCH_CACHED if cached else _IN_TOUCH
    contact = registry.contact()
    age_ms = contact.age_ms + _STANDING_MS
    known = ((b"X-Consul-KnownLeader", b"true" if contact.known else b"false"), (b"X-Consul-LastContact", b"%d" % age_ms))
    return (*known, (b"X-Cache", b"HIT"), (b"Age", b"%d" % (age_ms // 1_000))) if cached else known


def fields_now(options: "Options", index: Revision) -> Fields:
    """The header fields of an answer that is made now, and not kept."""
    return (*options.headers, (INDEX, b"%d" % index), *_standing(options.registry, cached=options.cached))


class Options(NamedTuple):
    """What a caller said about its read."""

    registry: Registry
    after: int | None
    wait: Duration
    consistency: str
    max_stale: Duration
    """How old an answer may be; 0 when nothing was said."""
    cached: bool
    pretty: bool

    @property
    def headers(self) -> Fields:
        """The fields of the answer, but for its index and what it says of its age."""
        return _HEADERS[self.consistency]

    @property
    def shape(self) -> str:
        """What of these options shapes the answer, as text for its key."""
        return f"{self.consistency} {self.cached:d} {self.pretty:d}"

    @property
    def by_line(self) -> bool:
        """Whether everybody who asks the same may be answered without looking how old the view is."""
        return self.consistency != "consistent" and not self.max_stale


def check_common(query: Query, datacenter: str) -> None:
    """Raise `ConsulError` for another data centre, a namespace, and a sameness group, which are not here."""
    wanted = query.get("datacenter") or query.get("dc")
    if wanted and wanted != datacenter:
        raise ConsulError(500, "No path to datacenter")
    check_agent(query)


def check_agent(query: Query) -> None:
    """The same for calls of the agent, which has no other data centre."""
    if not query.pairs or _SELDOM.isdisjoint([name for name, _ in query.pairs]):
        return
    check_parameters(query)
    if any(query.get(name) for name in _GROUPS):
        raise ConsulError(500, "sameness groups are not supported in consul CE")


def options_of(door: Door, query: Query, *, of_agent: bool = False) -> Options:
    """Raises `ConsulError` with Consul's words. What is asked `of_agent` has an answer for every data centre."""
    if not query.pairs:
        return Options(door.registry, None, Duration(0), "leader", Duration(0), cached=False, pretty=False)
    if of_agent:
        check_agent(query)
    else:
        check_common(query, door.registry.settings.datacenter)
    max_stale = _max_stale(query)
    stale = "stale" in query or max_stale > 0
    consistent, cached = "consistent" in query, "cached" in query
    if stale and consistent:
        raise bad_request("Cannot specify ?stale with ?consistent, conflicting semantics.")
    if cached and consistent:
        raise bad_request("Cannot specify ?cached with ?consistent, conflicting semantics.")
    consistency = "stale" if stale else "consistent" if consistent else "leader"
    return Options(door.registry, _index(query), wait_of(door, query), consistency, max_stale, cached, "pretty" in query)


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
    *,
    lasting: bool = False,
) -> Reply:
    """A read whose answer is what `build` makes of the view, as JSON. `shape` tells what else but path and options shapes it.

    `lasting` says that nothing but path and parameters has a part in topics, index and `build`, whatever the view holds: then thousands who
    wait for the same answer are not looked at one by one. A filter has, for what it judged of a view counts against its next rendering.
    """
    registry = options.registry
    if options.max_stale and registry.contact().age_ms * MILLISECOND > options.max_stale:
        options = options._replace(consistency="leader")
        fresh = True
    else:
        fresh = options.consistency == "consistent"

    def render() -> Content:
        built = build()
        if built is ABSENT:
            return Content(Answer(404, b"", JSON, options.headers), index())
        return Content(Answer(200, encode(built, pretty=options.pretty), JSON, options.headers), index())

    read = Read(
        f"{request.path}\n{options.shape}\n{shape}", topics, render, INDEX, options.after, options.wait,
        standing=partial(_standing, registry, cached=options.cached), by_line=options.by_line,
        lasting=partial(_lasts, registry, options.after) if lasting and options.after and not filter_text(request.query) else None,
    )  # fmt: skip
    if fresh:
        return after(registry.fresh(), partial(_when_fresh, read))
    if options.after and options.after > registry.revision:
        return after(registry.reached(Revision(options.after)), lambda _: read)
    return read


def _lasts(registry: Registry, seen: int) -> bool:
    """Whether a read of somebody who has seen that index can be answered or parked at once: nothing has to be waited for before."""
    return registry.ready and seen <= registry.revision


def _when_fresh(read: Read, refusal: Refusal | None) -> Reply:
    return read if refusal is None else not_ready()

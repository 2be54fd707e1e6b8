"""`/api/v1/resolve`: where to call a service now, and why there."""

from collections.abc import Sequence
from functools import partial
from typing import Final, Literal

from callboard.balance.selector import Selector
from callboard.balance.versions import parse_range
from callboard.core.catalog.indexes import service_index
from callboard.frontend.native import asking, table
from callboard.frontend.native.answering import json_answer
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.operations import Served
from callboard.frontend.native.translate_resolve import Wanted, resolution
from callboard.model import names
from callboard.model.errors import InvalidError
from callboard.model.topics import service_topic
from callboard.net.http.message import Content, Reply, Request
from callboard.wire import parameters
from callboard.wire.url import Query

_PREFER: Final[dict[str, Literal["any", "latest", "oldest"]]] = {"any": "any", "latest": "latest", "oldest": "oldest"}
_FALLBACKS: Final = frozenset({"none", "any"})
"""What `fallback` may be beside a range."""


class Resolve:
    """Its handler; lives as long as the server."""

    def __init__(self, ask: Asking) -> None:
        self._ask = ask

    def operations(self) -> tuple[Served, ...]:
        """Its line of the table."""
        return (Served(table.RESOLVE, self.resolve),)

    def resolve(self, request: Request) -> Reply:
        """Endpoints by node and id, and every instance with the reason why it is among them or is not."""
        query = request.query
        service = names.name("service", request.rest)
        namespace = asking.namespace_of(query)
        wanted = Wanted(_selector(query), parameters.number(query, "limit", 1) or 0)
        key = repr(("native resolve", namespace, service, wanted))
        return self._ask.read(query, key, (service_topic(namespace, service),), partial(self._render, namespace, service, wanted))

    def _render(self, namespace: str, service: str, wanted: Wanted) -> Content:
        view = self._ask.view
        index = service_index(view, namespace, service)
        return Content(json_answer(resolution(view, namespace, service, wanted, index)), index)


def _selector(query: Query) -> Selector:
    """Equal wishes are equal values, in whatever order they were said. Raises `InvalidError`."""
    prefer = query.get("prefer") or "any"
    if prefer not in _PREFER:
        raise InvalidError("prefer", f"must be one of {', '.join(_PREFER)}")
    version, fallback = query.get("version") or "", query.get("fallback") or "none"
    if version:
        parse_range(version)
    if fallback not in _FALLBACKS:
        parse_range(fallback, "fallback")
    return Selector(
        tags=_tags(query.all("tag")), labels=_labels(query.all("label")), version=version, prefer=_PREFER[prefer],
        fallback=fallback, passing_only=parameters.flag(query, "passing_only"), zone=query.get("zone") or "",
    )  # fmt: skip


def _tags(said: Sequence[str]) -> tuple[str, ...]:
    if any(len(tag) > names.TAG_MAX_CHARS for tag in said):
        raise InvalidError("tag", f"must have at most {names.TAG_MAX_CHARS} characters")
    return tuple(sorted(set(said)))


def _labels(said: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE, several times, ordered by key."""
    labels: dict[str, str] = {}
    for pair in said:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidError("label", "must be KEY=VALUE")
        if labels.setdefault(key, value) != value:
            raise InvalidError("label", f"asks for two values of {key[: names.META_KEY_MAX_CHARS]!r}, and an instance has one")
    return dict(sorted(labels.items()))

"""Events: fired by anybody, shown by every member, the last 256 of them. Their filters are kept and shown; who reads them judges them."""

from functools import partial

import re2

from callboard.core.catalog import beside
from callboard.core.catalog.commands import FireEvent
from callboard.frontend.consul.blocking import check_common, options_of, reading
from callboard.frontend.consul.door import Answering, Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY, ConsulError, bad_request, refusal_answer
from callboard.frontend.consul.translate_servers import event, fired
from callboard.model.event import FILTER_MAX_CHARS, RING_COUNT, SIZE_MAX_BYTES, EventSpec
from callboard.model.rows import Outcome, Revision
from callboard.model.topics import EVENTS
from callboard.net.http.message import JSON, Answer, Later, Reply, Request, Route
from callboard.wire.consul_admin import Event
from callboard.wire.consul_json import encode


class Events:
    """Handlers of `event`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (Route("PUT", "/v1/event/fire/", self.fire), Route("GET", "/v1/event/list", self.list))

    def fire(self, request: Request) -> Reply:
        """Put one into the ring."""
        door, query = self._door, request.query
        check_common(query, door.registry.settings.datacenter)
        check_headers(request.headers)
        if not request.rest:
            raise bad_request("Missing name")
        node, service, tag = (query.get(name) or "" for name in ("node", "service", "tag"))
        if tag and not service:
            raise ConsulError(500, "Cannot provide tag filter without service filter")
        for what, text in (("node", node), ("service", service), ("tag", tag)):
            _check_filter(what, text)
        if len(request.rest.encode()) + len(request.body) > SIZE_MAX_BYTES:
            raise ConsulError(
                413, f"Event payload too large, received {len(request.body)} bytes, max size: {SIZE_MAX_BYTES} bytes with the name. User"
                " events should be kept small.",
            )  # fmt: skip
        spec = EventSpec(name=request.rest, payload=request.body, node_filter=node, service_filter=service, tag_filter=tag)
        nonce = door.registry.entropy.nonce()
        return Later(Answering(door.registry.submit(FireEvent(nonce, spec)), partial(_answer, spec, nonce, "pretty" in query)))

    def list(self, request: Request) -> Reply:
        """Those that are kept, oldest first; with `name` only those of that name."""
        door, name = self._door, request.query.get("name") or ""
        options = options_of(door, request.query, of_agent=True)

        def build() -> list[Event]:
            return [event(kept) for kept in beside.events(door.view, name)]

        def index() -> Revision:
            return beside.events_index(door.view, name, RING_COUNT)

        return reading(request, options, (EVENTS,), index, build, name, lasting=True)


def _check_filter(what: str, text: str) -> None:
    """Raise `ConsulError` for what is no expression; too long ones are refused with the event."""
    if 0 < len(text) <= FILTER_MAX_CHARS:
        options = re2.Options()
        options.log_errors = False
        try:
            re2.compile(text, options)
        except re2.error as error:
            problem = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
            raise ConsulError(500, f"Invalid {what} filter: error parsing regexp: {problem}") from None


def _answer(spec: EventSpec, nonce: str, pretty: bool, outcome: Outcome) -> Answer:  # noqa: FBT001  # bound by name of its place
    if outcome.refusal is not None:
        return refusal_answer(outcome.refusal)
    shown = fired(spec.name, spec.payload, (spec.node_filter, spec.service_filter, spec.tag_filter), nonce, outcome.revision)
    return Answer(200, encode(shown, pretty=pretty), JSON, POLICY)

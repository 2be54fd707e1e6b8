"""Who speaks for a service in the mesh: its proxies, and instances that need none. Gateways are answered as by a Consul that links none."""

from collections.abc import Callable
from typing import NamedTuple

from callboard.core.catalog.connected import connect_index, connected_to
from callboard.core.catalog.indexes import service_index
from callboard.core.catalog.queries import Found
from callboard.core.catalog.view import View
from callboard.frontend.consul import translate_filter as roots
from callboard.frontend.consul.blocking import Options, flag, meta_of, options_of, reading
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.errors import bad_request
from callboard.frontend.consul.filtering import filter_of, health_entries, keeper_of
from callboard.frontend.consul.nearness import Near, near_of
from callboard.frontend.consul.translate_answers import keeps_meta, keeps_tags
from callboard.model.names import PUBLIC
from callboard.model.topics import connect_topic, service_topic
from callboard.net.http.message import Reply, Request, Route
from callboard.wire import consul_json as json


class _Selection(NamedTuple):
    """Whom a caller asks about."""

    name: str
    meta: list[tuple[str, str]]
    tags: list[str]
    imported: bool
    """From a peer, of which there are none."""
    filter: str | None

    def found(self, view: View) -> list[Found]:
        """Those who speak for it."""
        keep_node, keep = keeps_meta(self.meta), keeps_tags(self.tags)
        found = connected_to(view, PUBLIC, self.name) if not self.imported else []
        return [one for one in found if keep(one.instance) and keep_node(one.node)]


class Connected:
    """Handlers of `health/connect`, `health/ingress`, `catalog/connect` and `catalog/gateway-services`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/health/connect/", self.health),
            Route("GET", "/v1/health/ingress/", self.ingress),
            Route("GET", "/v1/catalog/connect/", self.catalog),
            Route("GET", "/v1/catalog/gateway-services/", self.gateway_services),
        )

    def health(self, request: Request) -> Reply:
        """Those that speak for a service, with everything their health is derived from."""
        door, query, wanted = self._door, request.query, _selection(request)
        options, passing, near = options_of(door, query), flag(query, "passing"), near_of(door, request)
        keep_shown = filter_of(door, query, roots.INSTANCES)

        def build() -> list[json.ServiceHealth]:
            found = [one for one in wanted.found(door.view) if not passing or one.passing]
            return health_entries(door.scene, near.ordered(found, lambda one: one.instance.node), keep_shown)

        return self._reading(request, options, wanted, build, near, passing=passing)

    def catalog(self, request: Request) -> Reply:
        """The same without health, each with its node in one flat object."""
        door, query, wanted = self._door, request.query, _selection(request)
        options, near, keep_shown = options_of(door, query), near_of(door, request), keeper_of(door, query, roots.SERVICE_NODES)

        def build() -> list[json.ServiceNode]:
            found = near.ordered(wanted.found(door.view), lambda one: one.instance.node)
            return [shown for shown in map(door.scene.service_node, found) if keep_shown(shown)]

        return self._reading(request, options, wanted, build, near)

    def ingress(self, request: Request) -> Reply:
        """The gateways that let a service in from outside: none, for only config entries tell them to, and there are none."""
        door, query, wanted = self._door, request.query, _selection(request)
        options, passing, near = options_of(door, query), flag(query, "passing"), near_of(door, request)
        filter_of(door, query, roots.INSTANCES)
        return self._reading(request, options, wanted, list, near, passing=passing)

    def gateway_services(self, request: Request) -> Reply:
        """The services that a gateway lets through: none, for the same reason."""
        door, name = self._door, request.rest
        if not name:
            raise bad_request("Missing gateway name")
        options = options_of(door, request.query)
        return reading(request, options, (service_topic(PUBLIC, name),), lambda: service_index(door.view, PUBLIC, name), list, lasting=True)

    def _reading(
        self, request: Request, options: Options, wanted: _Selection, build: Callable[[], object], near: Near, *, passing: bool = False
    ) -> Reply:
        door, name = self._door, wanted.name
        topics = (connect_topic(PUBLIC, name), *near.topics)
        shape = repr((passing, near.source, wanted))
        return reading(request, options, topics, lambda: connect_index(door.view, PUBLIC, name), build, shape, lasting=True)


def _selection(request: Request) -> _Selection:
    if not request.rest:
        raise bad_request("Missing service name")
    query = request.query
    return _Selection(request.rest, meta_of(query), query.all("tag"), bool(query.get("peer")), query.get("filter"))

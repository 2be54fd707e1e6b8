"""Health: the instances of a service with everything their health is derived from, and checks by service, node and state."""

from msgspec import Raw

from callboard.core.catalog import queries
from callboard.core.catalog.indexes import node_index, service_index, table_index
from callboard.frontend.consul import translate_filter as roots
from callboard.frontend.consul.blocking import flag, meta_of, options_of, reading
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.errors import bad_request
from callboard.frontend.consul.filtering import filter_of, filter_text, health_entries, keeper_of
from callboard.frontend.consul.nearness import near_of
from callboard.frontend.consul.translate_answers import check_of, in_state, instance_checks, keeps, keeps_meta
from callboard.model.instance import Phase
from callboard.model.names import PUBLIC
from callboard.model.rows import Revision
from callboard.model.topics import NODES, checks_topic, node_topic, service_topic, services_topic
from callboard.net.http.message import Reply, Request, Route
from callboard.wire import consul_json as json

ANY = "any"


class Health:
    """Handlers of `health`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/health/service/", self.service),
            Route("GET", "/v1/health/checks/", self.checks),
            Route("GET", "/v1/health/node/", self.node),
            Route("GET", "/v1/health/state/", self.state),
        )

    def service(self, request: Request) -> Reply:
        """The instances of a service: the main question of discovery."""
        door, query, name = self._door, request.query, request.rest
        if not name:
            raise bad_request("Missing service name")
        options, passing, meta, tags = options_of(door, query), flag(query, "passing"), meta_of(query), query.all("tag")
        near, keep_shown = near_of(door, request), filter_of(door, query, roots.INSTANCES)
        keep, imported = keeps(tags, meta), bool(query.get("peer"))

        def build() -> list[Raw] | list[json.ServiceHealth]:
            if imported:
                return []  # there are no peers, so nothing comes from one
            shown = door.health_entries.of_service(door.view, PUBLIC, name)
            if passing:
                shown = [one for one in shown if one.passing]
            if keep is not None:
                shown = [one for one in shown if keep(one.found)]
            shown = near.ordered(shown, lambda one: one.placed.instance.node)
            if keep_shown is not None:
                return health_entries(door.scene, [one.found for one in shown], keep_shown)
            return [one.entry for one in shown]

        def index() -> Revision:
            return service_index(door.view, PUBLIC, name)

        shape = repr((passing, meta, tags, imported, near.source, filter_text(query)))
        return reading(request, options, (service_topic(PUBLIC, name), *near.topics), index, build, shape, lasting=True)

    def checks(self, request: Request) -> Reply:
        """The checks of a service's instances, without those of their nodes."""
        door, name = self._door, request.rest
        if not name:
            raise bad_request("Missing service name")
        options, meta, near = options_of(door, request.query), meta_of(request.query), near_of(door, request)
        keep_node, keep_shown = keeps_meta(meta), keeper_of(door, request.query, roots.CHECKS)

        def build() -> list[json.Check]:
            members = door.view.of_service(PUBLIC, name)
            out: list[json.Check] = []
            for place in sorted(members):
                placed, node = members[place], door.view.nodes[place[0]]
                if keep_node(node):
                    out += filter(keep_shown, instance_checks(placed.instance, placed.checks, node.name))
            return near.ordered(out, lambda check: check.node.lower())

        def index() -> Revision:
            return service_index(door.view, PUBLIC, name)

        shape = repr((meta, near.source, filter_text(request.query)))
        return reading(request, options, (service_topic(PUBLIC, name), *near.topics), index, build, shape, lasting=True)

    def node(self, request: Request) -> Reply:
        """The checks of a node and of everything on it."""
        door, name = self._door, request.rest.lower()
        if not name:
            raise bad_request("Missing node name")
        options, keep = options_of(door, request.query), keeper_of(door, request.query, roots.CHECKS)

        def build() -> list[json.Check]:
            return [check for check in self._checks_on(name) if keep(check)] if name in door.view.nodes else []

        shape = filter_text(request.query)
        return reading(request, options, (node_topic(name),), lambda: node_index(door.view, name), build, shape, lasting=True)

    def state(self, request: Request) -> Reply:
        """Every check, or every one in a state."""
        door, state = self._door, request.rest.lower()
        if not state:
            raise bad_request("Missing check state")
        options, meta, near = options_of(door, request.query), meta_of(request.query), near_of(door, request)
        keep_node, keep_shown = keeps_meta(meta), keeper_of(door, request.query, roots.CHECKS)
        # Checks show name and tags of their service and hide it while it drains, so a change of a service may change the answer.
        topics = (checks_topic(PUBLIC), services_topic(PUBLIC), *((NODES,) if meta else ()))

        def build() -> list[json.Check]:
            nodes = door.view.nodes
            checks = (check for name in sorted(nodes) if keep_node(nodes[name]) for check in self._checks_on(name, state))
            return near.ordered([check for check in checks if keep_shown(check)], lambda check: check.node.lower())

        def index() -> Revision:
            return max(table_index(door.view, topic) for topic in topics)

        shape = repr((meta, near.source, filter_text(request.query)))
        return reading(request, options, (*topics, *near.topics), index, build, shape, lasting=True)

    def _checks_on(self, name: str, state: str = ANY) -> list[json.Check]:
        """The checks of a node and of everything on it, those in a state: mostly none, so that is looked at first."""
        view, every = self._door.view, state == ANY
        node = view.nodes[name].name
        out = [check_of(check, node, None) for check in queries.checks_of_node(view, name) if every or in_state(check, state)]
        for placed in queries.instances_on(view, PUBLIC, name):
            checks = placed.checks if every else [check for check in placed.checks if in_state(check, state)]
            if checks or placed.instance.phase is not Phase.SERVING:
                out += instance_checks(placed.instance, checks, node)
        return out if every else [check for check in out if check.status == state]

"""Network coordinates of nodes, as somebody has measured them; nothing here measures any."""

from callboard.core.catalog.commands import SetCoordinate
from callboard.core.catalog.indexes import table_index
from callboard.frontend.consul.blocking import ABSENT, check_common, meta_of, options_of, reading
from callboard.frontend.consul.door import DONE, Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY, ConsulError, bad_request, refusal_answer
from callboard.frontend.consul.servers import servers
from callboard.frontend.consul.translate_answers import keeps_meta
from callboard.frontend.consul.translate_servers import DEFAULT_PLACE, coord, coordinate, place_of
from callboard.model.rows import Refusal, Revision
from callboard.model.topics import COORDINATES, NODES
from callboard.net.http.message import JSON, Answer, Reply, Request, Route
from callboard.wire import consul_admin as admin
from callboard.wire.consul_json import encode


class Coordinates:
    """Handlers of `coordinate`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/coordinate/datacenters", self.datacenters),
            Route("GET", "/v1/coordinate/nodes", self.nodes),
            Route("GET", "/v1/coordinate/node/", self.node),
            Route("PUT", "/v1/coordinate/update", self.update),
        )

    def datacenters(self, request: Request) -> Reply:
        """The servers of this data centre, where their node is."""
        door, options = self._door, options_of(self._door, request.query)
        datacenter = door.registry.settings.datacenter
        there = door.view.coordinates.get(door.home)
        place = coord(there.place if there is not None else DEFAULT_PLACE)
        area = admin.Area(
            datacenter=datacenter, coordinates=[admin.Coordinate(server.name, "", place) for server in servers(door)]
        )  # fmt: skip
        return Answer(200, encode([area], pretty=options.pretty), JSON, POLICY)

    def nodes(self, request: Request) -> Reply:
        """Every node that has one, by name."""
        door, query = self._door, request.query
        options, meta, segment = options_of(door, query), meta_of(query), query.get("segment")
        keep = keeps_meta(meta)
        topics = (COORDINATES, NODES) if meta else (COORDINATES,)

        def build() -> list[admin.Coordinate]:
            nodes = door.view.nodes
            return [
                coordinate(nodes[name].name, there)
                for name, there in sorted(door.view.coordinates.items())
                if name in nodes and keep(nodes[name]) and segment in {None, there.segment}
            ]

        def index() -> Revision:
            return max(table_index(door.view, topic) for topic in topics)

        return reading(request, options, topics, index, build, repr((meta, segment)), lasting=True)

    def node(self, request: Request) -> Reply:
        """That of one node; 404 when there is none."""
        door, query, name = self._door, request.query, request.rest.lower()
        if not name:
            raise bad_request("Missing node name")
        options, segment = options_of(door, query), query.get("segment")

        def build() -> object:
            node, there = door.view.nodes.get(name), door.view.coordinates.get(name)
            if node is None or there is None or segment not in {None, there.segment}:
                return ABSENT
            return [coordinate(node.name, there)]

        topics = (COORDINATES,)
        return reading(request, options, topics, lambda: table_index(door.view, COORDINATES), build, repr(segment), lasting=True)

    def update(self, request: Request) -> Reply:
        """Write down where a node is. One that is not there is passed over, as Consul does."""
        door = self._door
        check_common(request.query, door.registry.settings.datacenter)
        check_headers(request.headers)
        body = admin.COORDINATE.decode(request.body)
        if body.datacenter not in {"", door.registry.settings.datacenter}:
            raise ConsulError(500, "No path to datacenter")
        if body.partition not in {"", "default"}:
            raise bad_request("Partitions are a Consul Enterprise feature")
        if body.coord is None or not body.node:
            raise bad_request("Missing node name" if not body.node else "invalid coordinate")
        return door.submit(SetCoordinate(body.node, place_of(body.coord), body.segment), refused=_gone_is_fine)


def _gone_is_fine(refusal: Refusal) -> Answer:
    return DONE if refusal.reason == "unknown_node" else refusal_answer(refusal)

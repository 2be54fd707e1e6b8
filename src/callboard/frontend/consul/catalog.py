"""The catalog: nodes and services as the cluster knows them, and registrations on behalf of any node."""

from collections.abc import Callable, Iterable
from functools import partial

from msgspec import Raw

from callboard.core.catalog import queries
from callboard.core.catalog.commands import Attached, Command, DeregisterCheck, DeregisterInstance, DeregisterNode, Register, Target
from callboard.core.catalog.indexes import node_index, service_index, table_index
from callboard.core.catalog.queries import Found
from callboard.frontend.consul import translate_filter as roots
from callboard.frontend.consul.blocking import CACHED, check_common, meta_of, options_of, reading
from callboard.frontend.consul.door import TRUE, Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY, ConsulError, bad_request, refusal_answer, text_answer
from callboard.frontend.consul.filtering import filter_of, filter_text, keeper_of
from callboard.frontend.consul.finding import find_node, may_be_node_id
from callboard.frontend.consul.nearness import near_of
from callboard.frontend.consul.translate import catalog_checks, catalog_node, refuse_namespace, refuse_peer
from callboard.frontend.consul.translate_answers import keeps, keeps_meta, listed, service
from callboard.frontend.consul.translate_services import catalog_instance
from callboard.model.names import PUBLIC
from callboard.model.rows import Refusal, Revision
from callboard.model.topics import NODES, node_topic, service_topic, services_topic
from callboard.net.http.message import JSON, After, Answer, Reply, Request, Route
from callboard.wire import consul_json as json
from callboard.wire.consul_body import DEREGISTER, REGISTER, DeregisterBody

_ALREADY_GONE = frozenset({"unknown_instance", "unknown_check", "unknown_node"})


class Catalog:
    """Handlers of `catalog`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/catalog/datacenters", self.datacenters),
            Route("GET", "/v1/catalog/nodes", self.nodes),
            Route("GET", "/v1/catalog/services", self.services),
            Route("GET", "/v1/catalog/service/", self.service),
            Route("GET", "/v1/catalog/node/", self.node),
            Route("GET", "/v1/catalog/node-services/", self.node_services),
            Route("PUT", "/v1/catalog/register", self.register),
            Route("PUT", "/v1/catalog/deregister", self.deregister),
        )

    # -- reads

    def datacenters(self, request: Request) -> Reply:
        """This one, whichever the caller names: clients name theirs with every question."""
        options = options_of(self._door, request.query, of_agent=True)
        headers = (*POLICY, *CACHED) if options.cached else POLICY
        return Answer(200, json.encode([self._door.registry.settings.datacenter], pretty=options.pretty), JSON, headers)

    def nodes(self, request: Request) -> Reply:
        """Every node, by name."""
        door, query = self._door, request.query
        options, meta, near = options_of(door, query), meta_of(query), near_of(door, request)
        keep, keep_shown = keeps_meta(meta), keeper_of(door, query, roots.NODES)

        def build() -> list[json.Node]:
            nodes = door.view.nodes
            shown = [door.scene.node(nodes[name]) for name in sorted(nodes) if keep(nodes[name])]
            return near.ordered([node for node in shown if keep_shown(node)], lambda node: node.node.lower())

        shape = repr((meta, near.source, filter_text(query)))
        return reading(request, options, (NODES, *near.topics), lambda: table_index(door.view, NODES), build, shape, lasting=True)

    def services(self, request: Request) -> Reply:
        """Names of services, each with the tags of all its instances."""
        door, query = self._door, request.query
        options, meta = options_of(door, query), meta_of(query)
        keep_shown, keep_node = filter_of(door, query, roots.SERVICE_NODES), keeps_meta(meta)
        some = bool(meta) or keep_shown is not None
        topics = (services_topic(PUBLIC), NODES) if some else (services_topic(PUBLIC),)

        def keep(found: Found) -> bool:
            return keep_node(found.node) and (keep_shown is None or keep_shown(door.scene.service_node(found)))

        def build() -> dict[str, list[str]] | Raw:
            return _services_of(door, keep) if some else listed(door.services.of(door.view, PUBLIC).values())

        def index() -> Revision:
            return max(table_index(door.view, topic) for topic in topics)

        def read() -> Reply:
            return reading(request, options, topics, index, build, repr((meta, filter_text(query))), lasting=True)

        return read() if some or not door.services.much(door.view, PUBLIC) else After(door.listing.done(PUBLIC), lambda _: read())

    def service(self, request: Request) -> Reply:
        """The instances of a service, each with its node."""
        door, query, name = self._door, request.query, request.rest
        if not name:
            raise bad_request("Missing service name")
        options, meta, tags, near = options_of(door, query), meta_of(query), query.all("tag"), near_of(door, request)
        keep, imported, keep_shown = keeps(tags, meta), bool(query.get("peer")), filter_of(door, query, roots.SERVICE_NODES)

        def build() -> list[Raw]:
            if imported:
                return []  # there are no peers, so nothing comes from one
            shown = door.catalog_entries.of_service(door.view, PUBLIC, name)
            if keep is not None:
                shown = [one for one in shown if keep(one.found)]
            shown = near.ordered(shown, lambda one: one.placed.instance.node)
            return [one.entry for one in shown if keep_shown is None or keep_shown(door.scene.service_node(one.found))]

        def index() -> Revision:
            return service_index(door.view, PUBLIC, name)

        shape = repr((meta, tags, imported, near.source, filter_text(query)))
        return reading(request, options, (service_topic(PUBLIC, name), *near.topics), index, build, shape, lasting=True)

    def node(self, request: Request) -> Reply:
        """A node and its services by id; null when there is no such node."""
        door, keep = self._door, keeper_of(self._door, request.query, roots.SERVICES)

        def build(name: str) -> json.NodeServices | None:
            node = door.view.nodes.get(name)
            services = (service(placed.instance) for placed in queries.instances_on(door.view, PUBLIC, name))
            kept = {shown.id: shown for shown in services if keep(shown)}
            return json.NodeServices(door.scene.node(node), kept) if node is not None else None

        return self._node_reading(request, build)

    def node_services(self, request: Request) -> Reply:
        """A node and its services in order; both null when there is no such node."""
        door, keep = self._door, keeper_of(self._door, request.query, roots.SERVICES)

        def build(name: str) -> json.NodeServiceList:
            node = door.view.nodes.get(name)
            if node is None:
                return json.NodeServiceList(None, None)
            services = (service(placed.instance) for placed in queries.instances_on(door.view, PUBLIC, name))
            return json.NodeServiceList(door.scene.node(node), [shown for shown in services if keep(shown)])

        return self._node_reading(request, build)

    def _node_reading(self, request: Request, build: Callable[[str], object]) -> Reply:
        door, name = self._door, request.rest.lower()
        if not name:
            raise bad_request("Missing node name")
        options, text = options_of(door, request.query), filter_text(request.query)
        only_a_name = not may_be_node_id(name)
        if only_a_name or name in door.view.nodes:
            return reading(
                request, options, (node_topic(name),), lambda: node_index(door.view, name), lambda: build(name), text, lasting=only_a_name
            )
        # Which node it is may become another one, so what is on any of them may change the answer.
        topics = (NODES, services_topic(PUBLIC))

        def index() -> Revision:
            return max(table_index(door.view, topic) for topic in topics)

        return reading(request, options, topics, index, lambda: build(find_node(door.view, door.scene, name)), f"by id {text}")

    # -- writes

    def register(self, request: Request) -> Reply:
        """Make or replace a node with a service and checks on it, as the caller says, status included."""
        door = self._door
        self._check_write(request)
        body = REGISTER.decode(request.body)
        self._check_datacenter(body.datacenter)
        refuse_namespace(body.namespace, body.partition)
        refuse_peer(body.peer_name)
        key = body.node.lower()
        known = door.view.nodes.get(key)
        node = catalog_node(body, known.address if known is not None else "")
        instance = catalog_instance(body.service, body.node) if body.service is not None else None
        checks = catalog_checks(body, lambda check: door.view.check(PUBLIC, key, check))
        door.refuse_own(key, instance.id if instance is not None else "", *(attached.check.id for attached in checks))
        command = Register(
            nonce=door.registry.entropy.nonce(), node=node, instance=instance, checks=checks, set_status=True,
            update_node=not body.skip_node_update, of_catalog=True,
        )  # fmt: skip
        return door.submit(command, TRUE, partial(_register_refused, checks))

    def deregister(self, request: Request) -> Reply:
        """Remove a service, a check, or the whole node; what is gone already is no error."""
        door = self._door
        self._check_write(request)
        body = DEREGISTER.decode(request.body)
        self._check_datacenter(body.datacenter)
        refuse_namespace(body.namespace, body.partition)
        refuse_peer(body.peer_name)
        if not body.node:
            raise bad_request("Must provide node")
        key = body.node.lower()
        if key == door.home and not body.service_id and not body.check_id:
            raise bad_request(f"node {body.node!r} is the server's own; name a ServiceID or CheckID on it")
        door.refuse_own(key, body.service_id, body.check_id)
        return door.submit(_deregistration(body), TRUE, _deregister_refused)

    def _check_write(self, request: Request) -> None:
        check_common(request.query, self._door.registry.settings.datacenter)
        check_headers(request.headers)

    def _check_datacenter(self, datacenter: str) -> None:
        if datacenter not in {"", self._door.registry.settings.datacenter}:
            raise ConsulError(500, "No path to datacenter")


def _services_of(door: Door, keep: Callable[[Found], bool]) -> dict[str, list[str]]:
    nodes = door.view.nodes
    return queries.tags_by_name(
        placed for placed in queries.placed_in(door.view, PUBLIC) if keep(Found(nodes[placed.instance.node], placed.instance, ()))
    )


def _deregistration(body: DeregisterBody) -> Command:
    if body.service_id:
        return DeregisterInstance(Target(body.node, body.service_id))
    if body.check_id:
        return DeregisterCheck(Target(body.node, body.check_id))
    return DeregisterNode(body.node)


def _register_refused(checks: Iterable[Attached], refusal: Refusal) -> Answer:
    if refusal.reason != "unknown_instance":
        return refusal_answer(refusal)
    check = next((attached.check.id for attached in checks if attached.instance == refusal.subject), "")
    return text_answer(500, f"Unknown service ID '{refusal.subject}' for check ID '{check}'")


def _deregister_refused(refusal: Refusal) -> Answer:
    return TRUE if refusal.reason in _ALREADY_GONE else refusal_answer(refusal)

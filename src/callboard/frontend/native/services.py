"""`/api/v1/services`, `/api/v1/nodes`: what there is."""

from functools import partial

from callboard.core.catalog.fragments import Fragments
from callboard.core.catalog.indexes import service_index, table_index
from callboard.core.catalog.listing import Listing
from callboard.core.catalog.view import View
from callboard.frontend.native import asking, table, translate
from callboard.frontend.native.answering import encode, json_answer
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.operations import Served
from callboard.model import names
from callboard.model.names import PUBLIC
from callboard.model.rows import Revision
from callboard.model.topics import NODES, Topic, checks_topic, service_topic, services_topic
from callboard.net.gradual import Gradually
from callboard.net.http.message import After, Content, Reply, Request
from callboard.wire import native


class Services:
    """Its handlers; lives as long as the server."""

    def __init__(self, ask: Asking) -> None:
        self._ask = ask
        self._summaries = Listing(partial(translate.service_summary, own=ask.own), with_health=True)
        self._instances = Fragments(lambda found: encode(translate.instance_state(found)), ask.settings.fragments_max_bytes)
        self._listing = Gradually(lambda namespace: self._summaries.step(ask.view, namespace))
        ask.registry.subscribe(lambda changes: self._summaries.apply(ask.view, changes))

    def operations(self) -> tuple[Served, ...]:
        """Its lines of the table."""
        return (Served(table.SERVICES, self.services), Served(table.SERVICE, self.instances), Served(table.NODES, self.nodes))

    def services(self, request: Request) -> Reply:
        """Every service of a namespace."""
        namespace = asking.namespace_of(request.query)
        topics = tuple(dict.fromkeys((services_topic(namespace), checks_topic(namespace), checks_topic(PUBLIC))))
        render = partial(self._render_services, namespace, topics)
        read = partial(self._ask.read, request.query, repr(("native services", namespace)), topics, render)
        return After(self._listing.done(namespace), lambda _: read()) if self._summaries.much(self._ask.view, namespace) else read()

    def _render_services(self, namespace: str, topics: tuple[Topic, ...]) -> Content:
        view = self._ask.view
        index = _highest(view, topics)
        shown = tuple(each for each in self._summaries.of(view, namespace).values() if each is not None)
        return Content(json_answer(native.ServiceList(shown, index)), index)

    def instances(self, request: Request) -> Reply:
        """Every instance of a service."""
        service = names.name("service", request.rest)
        namespace = asking.namespace_of(request.query)
        key = repr(("native service", namespace, service))
        return self._ask.read(request.query, key, (service_topic(namespace, service),), partial(self._render_instances, namespace, service))

    def _render_instances(self, namespace: str, service: str) -> Content:
        view = self._ask.view
        index = service_index(view, namespace, service)
        instances = [one.entry for one in self._instances.of_service(view, namespace, service)]
        body = native.EncodedInstances(service=service, namespace=namespace, revision=index, instances=instances)
        return Content(json_answer(body), index)

    def nodes(self, request: Request) -> Reply:
        """Every node, with the number of instances of a namespace on it."""
        namespace = asking.namespace_of(request.query)
        topics = (NODES, services_topic(namespace))
        return self._ask.read(request.query, repr(("native nodes", namespace)), topics, partial(self._render_nodes, namespace, topics))

    def _render_nodes(self, namespace: str, topics: tuple[Topic, ...]) -> Content:
        index = _highest(self._ask.view, topics)
        return Content(json_answer(native.NodeList(translate.nodes(self._ask.view, namespace, self._ask.own), index)), index)


def _highest(view: View, topics: tuple[Topic, ...]) -> Revision:
    return max(table_index(view, topic) for topic in topics)

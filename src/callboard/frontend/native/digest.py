"""`/api/v1/digest`: what a watcher should know by now, in one short text. A watch that died in silence is found out by it."""

from functools import partial

from callboard.core.catalog.indexes import service_index, table_index
from callboard.frontend.native import asking, table
from callboard.frontend.native.answering import json_answer
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.operations import Served
from callboard.frontend.native.translate import instance_state
from callboard.frontend.native.translate_watch import Scope
from callboard.model import names
from callboard.model.names import PUBLIC
from callboard.model.topics import NODES, Topic, checks_topic, service_topic, services_topic
from callboard.net.http.message import Content, Reply, Request
from callboard.wire import native
from callboard.wire.native_digest import digest_of


class Digests:
    """Its handler; lives as long as the server."""

    def __init__(self, ask: Asking) -> None:
        self._ask = ask

    def operations(self) -> tuple[Served, ...]:
        """Its line of the table."""
        return (Served(table.DIGEST, self.digest),)

    def digest(self, request: Request) -> Reply:
        """Of the instances that a watch with the same parameters tells about."""
        query = request.query
        namespace = asking.namespace_of(query)
        scope = Scope(namespace, frozenset(names.name("service", service).lower() for service in query.all("service")), self._ask.own)
        services = sorted(scope.services)
        topics = tuple(service_topic(namespace, service) for service in services) or _topics_of_all(namespace)
        return self._ask.read(query, repr(("native digest", namespace, services)), topics, partial(self._render, scope, topics))

    def _render(self, scope: Scope, topics: tuple[Topic, ...]) -> Content:
        view = self._ask.view
        found = scope.found(view)
        if scope.services:
            index = max(service_index(view, scope.namespace, service) for service in scope.services)
        else:
            index = max(table_index(view, topic) for topic in topics)
        return Content(json_answer(native.Digest(index, len(found), digest_of(map(instance_state, found)))), index)


def _topics_of_all(namespace: str) -> tuple[Topic, ...]:
    """Registrations of the namespace, its checks, those of nodes, and how nodes are spelled."""
    return tuple(dict.fromkeys((services_topic(namespace), checks_topic(namespace), checks_topic(PUBLIC), NODES)))

"""`/api/v1/resolve`: where to call a service now, and why there."""

from functools import partial
from typing import Final

from callboard.core.catalog.indexes import service_index
from callboard.frontend.native import asking, translate
from callboard.frontend.native.answering import INDEX, json_answer
from callboard.frontend.native.asking import Asking
from callboard.frontend.native.translate import Wanted
from callboard.model import names
from callboard.model.topics import service_topic
from callboard.net.http.message import Content, Read, Reply, Request, Route
from callboard.wire import parameters

_PARAMETERS: Final = asking.READ_PARAMETERS | {"tag", "passing_only", "limit"}


class Resolve:
    """Its handler; lives as long as the server."""

    def __init__(self, ask: Asking) -> None:
        self._ask = ask

    def routes(self) -> tuple[Route, ...]:
        """Its line of the table."""
        return (Route("GET", "/api/v1/resolve/", self.resolve),)

    def resolve(self, request: Request) -> Reply:
        """Endpoints by node and id, and every instance with the reason why it is among them or is not."""
        query = request.query
        parameters.known_parameters(query, _PARAMETERS)
        service = names.name("service", request.rest)
        namespace = asking.namespace_of(query)
        tags = tuple(sorted(set(query.all("tag"))))
        wanted = Wanted(tags, parameters.flag(query, "passing_only"), parameters.number(query, "limit", 1) or 0)
        after, wait = self._ask.waiting(query)
        key = repr(("native resolve", namespace, service, wanted))
        return Read(key, (service_topic(namespace, service),), partial(self._render, namespace, service, wanted), INDEX, after, wait)

    def _render(self, namespace: str, service: str, wanted: Wanted) -> Content:
        view = self._ask.view
        index = service_index(view, namespace, service)
        return Content(json_answer(translate.resolution(view, namespace, service, wanted, index)), index)

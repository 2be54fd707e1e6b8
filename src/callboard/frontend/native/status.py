"""`/api/v1/status`, `/health`, `/ready`: how the server itself is. The only answers that do not wait for the catalog."""

import msgspec

from callboard import __version__
from callboard.core.catalog.view import View
from callboard.frontend.native.answering import INDEX
from callboard.model.names import PUBLIC
from callboard.net.http.message import Answer, Reply, Request, Route
from callboard.registry.itself import SERVICE
from callboard.registry.registry import Registry
from callboard.wire import native, parameters

_HEALTHY = Answer(200, b'{"status":"passing"}')
_READY = Answer(200, b'{"ready":true}')
_NOT_READY = Answer(503, b'{"ready":false}', headers=((b"retry-after", b"1"),))


class Status:
    """Its handlers; lives as long as the server."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def routes(self) -> tuple[Route, ...]:
        """Its line of the table below `/api`."""
        return (Route("GET", "/api/v1/status", self.status),)

    def status(self, request: Request) -> Reply:
        """Who this server is, and how much it knows."""
        parameters.known_parameters(request.query, frozenset())
        registry, view = self._registry, self._registry.view
        own = view.placed(PUBLIC, registry.home.node.lower(), SERVICE) is not None
        body = native.ServerStatus(
            member=registry.settings.member, node=registry.settings.node, datacenter=registry.settings.datacenter, version=__version__,
            ready=registry.ready, leader=view.term.member, revision=view.revision, nodes=len(view.nodes), checks=_checks(view),
            services=sum(len(space.by_service) for space in view.spaces.values()) - own,
            instances=sum(len(there) for space in view.spaces.values() for there in space.by_node.values()) - own,
        )  # fmt: skip
        return Answer(200, msgspec.json.encode(body), headers=((INDEX, b"%d" % view.revision),))

    def health(self, _request: Request) -> Reply:
        """The process answers."""
        return _HEALTHY

    def ready(self, _request: Request) -> Reply:
        """Whether the catalog is loaded and commands are taken."""
        return _READY if self._registry.ready else _NOT_READY


def _checks(view: View) -> int:
    return sum(len(holders) for space in view.spaces.values() for holders in space.holders.values())

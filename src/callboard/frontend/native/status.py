"""`/api/v1/status`, `/api/v1/members`, `/health`, `/ready`: how the servers are. The only answers that do not wait for the catalog."""

from typing import Final

import msgspec

from callboard import __version__
from callboard.frontend.native import table
from callboard.frontend.native.answering import INDEX, age_of
from callboard.frontend.native.operations import Served
from callboard.model.names import PUBLIC
from callboard.net.http.message import Answer, Reply, Request
from callboard.registry.itself import SERVICE
from callboard.registry.registry import Registry
from callboard.wire import native_server

_HEALTHY: Final = Answer(200, msgspec.json.encode(native_server.Health("passing")))
_READY: Final = Answer(200, msgspec.json.encode(native_server.Ready(ready=True)))
_NOT_READY: Final = Answer(503, msgspec.json.encode(native_server.Ready(ready=False)), headers=((b"retry-after", b"1"),))


class Status:
    """Its handlers; lives as long as the server."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def operations(self) -> tuple[Served, ...]:
        """Its lines of the table."""
        return (
            Served(table.STATUS, self.status),
            Served(table.MEMBERS, self.members),
            Served(table.HEALTH, self.health),
            Served(table.READY, self.ready),
        )

    def status(self, _request: Request) -> Reply:
        """Who this server is, how much it knows, and how far it can be trusted."""
        registry, view = self._registry, self._registry.view
        own = view.placed(PUBLIC, registry.home.node.lower(), SERVICE) is not None
        body = native_server.ServerStatus(
            member=registry.settings.member, node=registry.settings.node, datacenter=registry.settings.datacenter, version=__version__,
            ready=registry.ready, leader=self._leader(), revision=view.revision, nodes=len(view.nodes), checks=view.checks_count,
            services=sum(len(space.by_service) for space in view.spaces.values()) - own,
            instances=view.instances_count - own,
            leading=registry.leading, members=len(registry.members), age_ms=age_of(registry), store=self._store(),
        )  # fmt: skip
        return Answer(200, msgspec.json.encode(body), headers=((INDEX, b"%d" % view.revision),))

    def members(self, _request: Request) -> Reply:
        """The servers that are present."""
        leader = self._leader()
        members = tuple(
            native_server.MemberState(
                name=card.name, url=card.url, level=card.level, program=card.program, started_ms=card.started, leading=card.name == leader
            )
            for card in self._registry.members
        )
        return Answer(200, msgspec.json.encode(native_server.MemberList(members=members, leader=leader)))

    def _leader(self) -> str:
        contact = self._registry.contact()
        return contact.leader if contact.known else ""

    def _store(self) -> native_server.StoreState:
        health = self._registry.health()
        return native_server.StoreState(
            reachable=health.reachable, detail=health.detail, version=health.version, size_bytes=health.size_bytes,
            size_max_bytes=health.size_max_bytes,
        )  # fmt: skip

    def health(self, _request: Request) -> Reply:
        """The process answers."""
        return _HEALTHY

    def ready(self, _request: Request) -> Reply:
        """Whether the catalog is loaded and commands are taken."""
        return _READY if self._registry.ready else _NOT_READY

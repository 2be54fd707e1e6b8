"""Who leads: the first question of nearly every client, and of every script that waits for a server to come up."""

from callboard.frontend.consul.blocking import check_common
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.errors import POLICY
from callboard.frontend.consul.servers import leader_address, servers
from callboard.net.http.message import JSON, Answer, Reply, Request, Route
from callboard.wire.consul_json import encode


class Status:
    """Handlers of `status`. They answer also while the registry is not ready: then nobody leads."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (Route("GET", "/v1/status/leader", self.leader), Route("GET", "/v1/status/peers", self.peers))

    def leader(self, request: Request) -> Reply:
        """The address of the leader; empty while there is none, or this server is not in touch with it."""
        return self._answer(request, leader_address(self._door))

    def peers(self, request: Request) -> Reply:
        """The addresses of the servers that are present, by their names."""
        registry = self._door.registry
        return self._answer(request, [server.address for server in servers(self._door)] if registry.ready else [])

    def _answer(self, request: Request, value: object) -> Answer:
        check_common(request.query, self._door.registry.settings.datacenter)
        return Answer(200, encode(value, pretty="pretty" in request.query), JSON, POLICY)

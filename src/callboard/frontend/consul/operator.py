"""What operators ask about the servers as a group: who votes, who leads, how much there is. There is no Raft and no gossip to configure."""

from typing import Final

from callboard.core.catalog.queries import placed_in
from callboard.frontend.consul.blocking import check_common, fields_now, in_touch, options_of
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY, ConsulError, bad_request
from callboard.frontend.consul.servers import servers
from callboard.model.instance import Instance
from callboard.model.names import PUBLIC
from callboard.net.http.message import JSON, Answer, Reply, Request, Route, after
from callboard.registry.handing_over import NOBODY
from callboard.wire import consul_admin as admin
from callboard.wire.consul_go import quote
from callboard.wire.consul_json import encode

_KINDS: Final = ("connect-native", "connect-proxy", "api-gateway", "ingress-gateway", "mesh-gateway", "terminating-gateway")
_TRANSFERRED: Final = Answer(200, encode(admin.Transferred(success=True)), JSON, POLICY)


class Operator:
    """Handlers of `operator/{raft,keyring,usage}`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/operator/raft/configuration", self.configuration),
            Route("DELETE", "/v1/operator/raft/peer", self.remove_peer),
            Route("POST", "/v1/operator/raft/transfer-leader", self.transfer),
            Route("PUT", "/v1/operator/raft/transfer-leader", self.transfer),
            Route("GET", "/v1/operator/keyring", self.keyring),
            Route("POST", "/v1/operator/keyring", self.no_keyring),
            Route("PUT", "/v1/operator/keyring", self.no_keyring),
            Route("DELETE", "/v1/operator/keyring", self.no_keyring),
            Route("GET", "/v1/operator/usage", self.usage),
        )

    def configuration(self, request: Request) -> Reply:
        """The members that are present, as voters."""
        door, options = self._door, options_of(self._door, request.query)
        shown = [
            admin.RaftServer(
                id=server.id, node=server.name, address=server.address, leader=server.leader, last_index=door.registry.revision
            )
            for server in servers(door)
        ]  # fmt: skip
        return Answer(200, encode(admin.RaftConfiguration(shown), pretty=options.pretty), JSON, POLICY)

    def remove_peer(self, request: Request) -> Reply:
        """A member that is present cannot be removed, and one that is gone is no member."""
        self._check(request)
        query = request.query
        address, identity = query.get("address"), query.get("id")
        if address is None and identity is None:
            raise bad_request("Must specify either ?id with the server's ID or ?address with IP:port of peer to remove")
        if address is not None and identity is not None:
            raise bad_request("Must specify only one of ?id or ?address")
        what, value = ("address", address) if address is not None else ("id", identity)
        if any(value == (server.address if address is not None else server.id) for server in servers(self._door)):
            raise ConsulError(500, f"{what} {quote(value or '')} is of a member that is present; stop it, and it is no peer any more")
        raise ConsulError(500, f"{what} {quote(value or '')} was not found in the Raft configuration")

    def transfer(self, request: Request) -> Reply:
        """Let another member lead. Which one is settled among those that want to; `id` can name the only other one."""
        self._check(request)
        others = [server for server in servers(self._door) if not server.leader]
        wanted = request.query.get("id")
        if wanted is not None and wanted not in {server.id for server in others}:
            raise ConsulError(500, f"{NOBODY}: no member that does not lead has the id {quote(wanted)}")
        if wanted is not None and len(others) > 1:
            raise ConsulError(500, "which of several members leads next cannot be chosen; leave out ?id")
        return after(self._door.registry.handing_over.begin(), _transferred)

    def keyring(self, request: Request) -> Reply:
        """Two pools without keys: there is no gossip that would be encrypted with them."""
        options = options_of(self._door, request.query)
        datacenter, count = self._door.registry.settings.datacenter, len(servers(self._door))
        shown = [admin.Keyring(wan=wan, datacenter=datacenter, num_nodes=count) for wan in (True, False)]
        return Answer(200, encode(shown, pretty=options.pretty), JSON, POLICY)

    def no_keyring(self, request: Request) -> Reply:
        """Keys cannot be added, used or removed."""
        self._check(request)
        raise ConsulError(500, "no keyring: members speak through their store and signed messages, there is no gossip to encrypt")

    def usage(self, request: Request) -> Reply:
        """How much there is."""
        door, options = self._door, options_of(self._door, request.query)
        instances = [placed.instance for placed in placed_in(door.view, PUBLIC)]
        space = door.view.spaces.get(PUBLIC)
        usage = admin.ServiceUsage(
            services=len(space.by_service) if space is not None else 0, service_instances=len(instances),
            connect_service_instances=_by_kind(instances), billable_service_instances=sum(map(self._counts, instances)),
            nodes=len(door.view.nodes),
        )  # fmt: skip
        answer = admin.Usage(
            usage={door.registry.settings.datacenter: usage}, index=door.registry.revision, known_leader=in_touch(door.registry),
            consistency_level=options.consistency,
        )  # fmt: skip
        return Answer(200, encode(answer, pretty=options.pretty), JSON, fields_now(options, door.registry.revision))

    def _counts(self, instance: Instance) -> bool:
        """Whether it is a service of somebody's, and neither the servers' own nor a proxy."""
        return not instance.kind and not self._door.is_own_service(instance.node, instance.id)

    def _check(self, request: Request) -> None:
        check_common(request.query, self._door.registry.settings.datacenter)
        check_headers(request.headers)


def _by_kind(instances: list[Instance]) -> dict[str, int]:
    out = dict.fromkeys(_KINDS, 0)
    for instance in instances:
        if instance.kind in out:
            out[instance.kind] += 1
        elif instance.connect_native:
            out["connect-native"] += 1
    return out


def _transferred(refusal: str) -> Answer:
    if refusal:
        raise ConsulError(500, refusal)
    return _TRANSFERRED

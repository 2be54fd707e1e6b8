"""What "the agent" says about itself: the server, its version, its members. Clients look here first to see whom they talk to."""

import os
import platform
from typing import Final

from callboard import __version__
from callboard.core.catalog.queries import placed_in
from callboard.frontend.consul.blocking import check_agent
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY, ConsulError, bad_request
from callboard.frontend.consul.filtering import keeper_of
from callboard.frontend.consul.servers import VERSION, Server, leader_address, own, servers
from callboard.frontend.consul.translate_answers import node_id
from callboard.frontend.consul.translate_filter import MEMBERS
from callboard.frontend.consul.translate_servers import coord
from callboard.model.check import TtlCheck
from callboard.model.names import PUBLIC
from callboard.net.http.message import JSON, Answer, Reply, Request, Route
from callboard.registry.itself import SERVER_PORT
from callboard.wire import consul_admin as admin
from callboard.wire.consul_json import Member, encode

SERF_PORT: Final = 8301
BUILD_DATE: Final = "1970-01-01T00:00:00Z"
_ALL_SEGMENTS: Final = "_all"


class AgentSelf:
    """Handlers of `agent/self`, `agent/version` and `agent/members`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (
            Route("GET", "/v1/agent/self", self.about),
            Route("GET", "/v1/agent/version", self.version),
            Route("GET", "/v1/agent/members", self.members),
        )

    def about(self, request: Request) -> Reply:
        """The caller's node, and the server that answers for it."""
        check_agent(request.query)
        door = self._door
        caller = door.caller(request)
        settings, row = door.registry.settings, door.view.nodes.get(caller.key)
        name, identity = (row.name, node_id(row)) if row is not None else (caller.node.name, "")
        config = admin.AgentConfig(
            datacenter=settings.datacenter, primary_datacenter=settings.datacenter, node_name=name, node_id=identity, version=VERSION,
            build_date=BUILD_DATE, bind_addr=door.registry.home.address,
        )  # fmt: skip
        there = door.view.coordinates.get(caller.key)
        answer = admin.AgentSelf(
            config=config,
            debug_config={"Datacenter": settings.datacenter, "NodeName": name, "NodeID": identity, "ServerMode": True},
            coord=coord(there.place) if there is not None else None,
            member=self._member(own(door), wan=False),
            stats=self._stats(caller.key),
            meta=dict(row.meta) if row is not None else {},
        )
        return _answer(request, answer)

    def _stats(self, node: str) -> dict[str, dict[str, str]]:
        door, registry = self._door, self._door.registry
        present = servers(door)
        there = [placed for name, placed in door.view.on_node(PUBLIC, node).items() if not door.is_own_service(node, name)]
        checks = [check for placed in there for check in placed.checks]
        leads = registry.leading
        revision, term = str(registry.revision), str(door.view.term.number)
        return {
            "agent": {
                "check_monitors": str(sum(not isinstance(check.definition, TtlCheck) for check in checks)),
                "check_ttls": str(sum(isinstance(check.definition, TtlCheck) for check in checks)),
                "checks": str(len(checks)), "services": str(len(there)),
            },
            "build": {"prerelease": "", "revision": "", "version": VERSION, "version_metadata": "", "callboard": __version__},
            "consul": {
                "acl": "disabled", "bootstrap": str(len(present) == 1).lower(), "known_datacenters": "1", "leader": str(leads).lower(),
                "leader_addr": leader_address(door), "server": "true", "instances": str(sum(1 for _ in placed_in(door.view, PUBLIC))),
            },
            "raft": {
                "applied_index": revision, "commit_index": revision, "last_contact": f"{registry.contact().age_ms}ms",
                "last_log_index": revision, "last_log_term": term, "num_peers": str(len(present) - 1), "protocol_version": "3",
                "state": "Leader" if leads else "Follower", "term": term,
            },
            "runtime": {
                "arch": platform.machine(), "cpu_count": str(os.cpu_count() or 1), "os": platform.system().lower(),
                "version": f"python{platform.python_version()}",
            },
            "serf_lan": {"failed": "0", "left": "0", "members": str(len(present))},
            "serf_wan": {"failed": "0", "left": "0", "members": str(len(present))},
        }  # fmt: skip

    def version(self, request: Request) -> Reply:
        """The Consul whose API this is."""
        check_agent(request.query)
        return _answer(request, admin.Version(sha="", build_date=BUILD_DATE, human_version=VERSION))

    def members(self, request: Request) -> Reply:
        """The servers. With `wan` their names carry the data centre."""
        query = request.query
        check_agent(query)
        check_headers(request.headers)
        wan, segment = bool(query.get("wan")), query.get("segment") or ""
        if segment not in {"", _ALL_SEGMENTS}:
            if wan:
                raise bad_request("Cannot provide a segment with wan=true")
            raise ConsulError(500, "Network segments are not supported in this version of Consul")
        keep = keeper_of(self._door, query, MEMBERS)
        return _answer(request, [member for server in servers(self._door) if keep(member := self._member(server, wan=wan))])

    def _member(self, server: Server, *, wan: bool) -> Member:
        datacenter = self._door.registry.settings.datacenter
        return Member(
            name=f"{server.name}.{datacenter}" if wan else server.name, addr=server.host, port=SERF_PORT + wan,
            tags={
                "build": VERSION + ":", "callboard": server.card.program, "callboard_member": server.card.name, "dc": datacenter,
                "id": server.id, "port": str(SERVER_PORT), "role": "consul", "segment": "", "vsn": "2",
            },
        )  # fmt: skip


def _answer(request: Request, value: object) -> Answer:
    return Answer(200, encode(value, pretty="pretty" in request.query), JSON, POLICY)

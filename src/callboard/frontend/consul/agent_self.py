"""What "the agent" says about itself: the server, its version, its members. Clients look here first to see whom they talk to."""

from typing import Final
from urllib.parse import urlsplit

from callboard import __version__
from callboard.frontend.consul.blocking import check_agent
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.errors import POLICY
from callboard.frontend.consul.translate_answers import node_id
from callboard.model.members import Card
from callboard.net.dial import host_port
from callboard.net.http.message import JSON, Answer, Reply, Request, Route
from callboard.registry.itself import SERVER_PORT
from callboard.wire import consul_json as json

VERSION: Final = "1.22.0"
"""The Consul whose API this is."""
SERF_PORT: Final = 8301


def server_address(door: Door, card: Card) -> str:
    """Where a member is, as Consul names leaders and peers: the host at which the others reach it, with Consul's port."""
    return host_port(urlsplit(card.url).hostname or door.registry.home.address, SERVER_PORT)


def leader_address(door: Door) -> str:
    """The same of the leader; empty while this member knows of none."""
    registry = door.registry
    contact = registry.contact()
    leader = next((card for card in registry.members if card.name == contact.leader), None) if contact.known else None
    return server_address(door, leader) if leader is not None and registry.ready else ""


class AgentSelf:
    """Handlers of `agent/self` and `agent/members`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def routes(self) -> tuple[Route, ...]:
        """This subject's part of the table."""
        return (Route("GET", "/v1/agent/self", self.about), Route("GET", "/v1/agent/members", self.members))

    def about(self, request: Request) -> Reply:
        """The caller's node, and the server that answers for it."""
        check_agent(request.query)
        caller = self._door.caller(request)
        settings, view = self._door.registry.settings, self._door.view
        row = view.nodes.get(caller.key)
        leads = self._door.registry.leading
        name, identity = (row.name, node_id(row)) if row is not None else (caller.node.name, "")
        config = json.AgentConfig(
            datacenter=settings.datacenter, primary_datacenter=settings.datacenter, node_name=name, node_id=identity, version=VERSION
        )
        answer = json.AgentSelf(
            config=config,
            debug_config={"Datacenter": settings.datacenter, "NodeName": name, "NodeID": identity, "ServerMode": True},
            member=self._member(wan=False),
            stats={
                "build": {"version": VERSION, "callboard": __version__},
                "consul": {
                    "known_datacenters": "1", "leader": "true" if leads else "false", "leader_addr": leader_address(self._door),
                    "server": "true",
                },
            },
            meta=dict(row.meta) if row is not None else {},
        )  # fmt: skip
        return _answer(request, answer)

    def members(self, request: Request) -> Reply:
        """The servers. With `wan` their names carry the data centre."""
        check_agent(request.query)
        return _answer(request, [self._member(wan=bool(request.query.get("wan")))])

    def _member(self, *, wan: bool) -> json.Member:
        door = self._door
        home, settings = door.registry.home, door.registry.settings
        row = door.view.nodes.get(door.home)
        return json.Member(
            name=f"{home.node}.{settings.datacenter}" if wan else home.node, addr=home.address, port=SERF_PORT + wan,
            tags={
                "build": VERSION + ":", "callboard_member": settings.member, "dc": settings.datacenter,
                "id": node_id(row) if row is not None else "", "port": str(SERVER_PORT), "role": "consul", "segment": "", "vsn": "2",
            },
        )  # fmt: skip


def _answer(request: Request, value: object) -> Answer:
    return Answer(200, json.encode(value, pretty="pretty" in request.query), JSON, POLICY)

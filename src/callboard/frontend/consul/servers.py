"""The servers as Consul's clients know them: members with an id, a name, and an address with Consul's port.

A server that is alone goes by the name and the id of the servers' node, as a single Consul server does; several go by their own.
"""

from hashlib import blake2b
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from callboard.frontend.consul.door import Door
from callboard.frontend.consul.translate_answers import node_id
from callboard.model.members import Card
from callboard.net.dial import host_port
from callboard.registry.itself import SERVER_PORT

VERSION: Final = "1.22.0"
"""The Consul whose API this is."""


class Server(NamedTuple):
    """One member."""

    id: str
    name: str
    host: str
    leader: bool
    card: Card

    @property
    def address(self) -> str:
        """As Consul names leaders and peers."""
        return host_port(self.host, SERVER_PORT)


def servers(door: Door) -> list[Server]:
    """Everyone who is present, by name."""
    registry = door.registry
    contact = registry.contact()
    leader = contact.leader if contact.known and registry.ready else ""
    cards = registry.members or (registry.card,)
    alone = len(cards) == 1
    return [
        Server(
            id=_home_id(door) if alone else _uuid(card.name), name=registry.home.node if alone else card.name, host=host_of(door, card),
            leader=card.name == leader, card=card,
        )
        for card in cards
    ]  # fmt: skip


def own(door: Door) -> Server:
    """This member."""
    there = servers(door)
    return next((server for server in there if server.card.nonce == door.registry.card.nonce), there[0])


def host_of(door: Door, card: Card) -> str:
    """The host at which the others reach a member."""
    return urlsplit(card.url).hostname or door.registry.home.address


def leader_address(door: Door) -> str:
    """Where the leader is; empty while this member knows of none, or is not in touch with it."""
    return next((server.address for server in servers(door) if server.leader), "")


def _home_id(door: Door) -> str:
    row = door.view.nodes.get(door.home)
    return node_id(row) if row is not None else _uuid(door.registry.settings.member)


def _uuid(text: str) -> str:
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:]}"

"""The server's own entry in the catalog: its node, with the check and the service by which Consul clients know a server is there."""

from typing import Final

from callboard import __version__
from callboard.core.catalog.commands import Attached, OpenTerm, Register
from callboard.model.check import CheckSpec, ManualCheck, Status
from callboard.model.instance import InstanceSpec, NodeSpec
from callboard.model.members import Card
from callboard.model.time import Timestamp
from callboard.registry.settings import RegistrySettings

SERVICE: Final = "consul"
"""Name and id of the service that stands for the servers, as Consul has it."""
CHECK: Final = "serfHealth"
SERVER_PORT: Final = 8300


def card_of(settings: RegistrySettings, nonce: str, started: Timestamp) -> Card:
    """What this process says of itself to the others. A worker goes by its server's name and its own number."""
    name, of = (f"{settings.member}/{settings.worker}", settings.member) if settings.worker else (settings.member, "")
    return Card(name=name, nonce=nonce, level=settings.level, program=__version__, started=started, worker_of=of)


def registration_of_itself(settings: RegistrySettings, nonce: str) -> OpenTerm:
    """The opening command of a leader."""
    check = CheckSpec(
        id=CHECK, name="Serf Health Status", definition=ManualCheck(), status=Status.PASSING, output="Agent alive and reachable"
    )  # fmt: skip
    return OpenTerm(
        nonce=nonce,
        member=settings.member,
        level=settings.level,
        itself=Register(
            nonce=nonce,
            node=NodeSpec(name=settings.node, address=settings.address),
            instance=InstanceSpec(service=SERVICE, id=SERVICE, port=SERVER_PORT),
            checks=(Attached("", check),),
            set_status=True,
        ),
    )

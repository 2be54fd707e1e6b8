"""Nodes and instances: who is there, and where.

An `Instance` and a `Node` are what their rows tell and live as long as those; a `...Spec` is what a caller asks for, for one command.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from callboard.model import names, service
from callboard.model.check import Check
from callboard.model.errors import InvalidError
from callboard.model.rows import ZERO, Revision
from callboard.model.service import NOWHERE, Kind, Locality, NamedPort

WEIGHT_MAX: Final = 65535
ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104  # named in order to be refused
"""Where a server may listen, and nobody can call."""


class Phase(StrEnum):
    """Where an instance is in its life, apart from its health. `draining` is hidden from new picks."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Weights(Struct, frozen=True, gc=False):
    """Share of traffic while passing and while warning, relative to the other instances."""

    passing: int = 1
    warning: int = 1


class TaggedAddress(Struct, frozen=True, gc=False):
    """A further address under a name of the caller's choice (`lan_ipv4`, `wan`, ...)."""

    address: str
    port: int = 0


DEFAULT_WEIGHTS: Final = Weights()


class Node(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A host that instances run on. `name` as it was first spelled; its identity is the name in lower case."""

    name: str
    address: str
    nonce: str
    id: str = ""
    """A UUID of the caller's (Consul's node ID); empty when none was given."""
    meta: dict[str, str] = {}
    tagged: dict[str, str] = {}
    implicit: bool = False
    """Made by the first call from its address; goes with its last instance and check."""
    created: Revision = ZERO
    modified: Revision = ZERO


class Instance(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One running copy of a service. `node` is in lower case; an empty `address` means the node's."""

    namespace: str
    service: str
    node: str
    id: str
    nonce: str
    address: str = ""
    port: int = 0
    tags: tuple[str, ...] = ()
    meta: dict[str, str] = {}
    tagged: dict[str, TaggedAddress] = {}
    weights: Weights = DEFAULT_WEIGHTS
    enable_tag_override: bool = False
    kind: str = ""
    """Empty for an ordinary service, else one of `service.Kind`."""
    phase: Phase = Phase.SERVING
    ports: tuple[NamedPort, ...] = ()
    """Named ports; `port` is the default one of them."""
    socket_path: str = ""
    """A Unix socket it listens on."""
    proxy: str = ""
    """What a proxy or gateway is told to do: canonical JSON in Consul's words, which nobody here looks into."""
    destination: str = ""
    """The service that a proxy (`connect-proxy`) speaks for."""
    connect_native: bool = False
    """It speaks for itself in the mesh, without a proxy."""
    locality: Locality = NOWHERE
    sidecar: str = ""
    """The id of the instance on the same node that it was registered with, as its sidecar, and goes with."""
    foreign_tags: bool = False
    """Its tags are those that somebody else gave it through the catalog (`enable_tag_override`); its own say changes them no more."""
    created: Revision = ZERO
    modified: Revision = ZERO

    @property
    def connects(self) -> str:
        """The service that it speaks for in the mesh: that of a proxy, or its own when it needs none; empty when it is not in the mesh."""
        return self.destination or (self.service if self.connect_native else "")


class Placed(Struct, frozen=True, gc=False):
    """An instance with its own checks (those of its node not included), ordered by id: one entry of the view."""

    instance: Instance
    checks: tuple[Check, ...] = ()


class NodeSpec(Struct, frozen=True, gc=False, kw_only=True):
    """What a caller says about a node. An implicit one never changes a node that is there already."""

    name: str
    address: str
    id: str = ""
    meta: dict[str, str] = {}
    tagged: dict[str, str] = {}
    implicit: bool = False

    def __post_init__(self) -> None:
        names.name("node", self.name)
        names.name("node address", self.address)
        names.text("node id", self.id, names.NAME_MAX_CHARS)
        names.meta("node meta", self.meta)


class InstanceSpec(Struct, frozen=True, gc=False, kw_only=True):
    """What a caller says about an instance."""

    service: str
    id: str
    namespace: str = names.PUBLIC
    address: str = ""
    port: int = 0
    tags: tuple[str, ...] = ()
    meta: dict[str, str] = {}
    tagged: dict[str, TaggedAddress] = {}
    weights: Weights = DEFAULT_WEIGHTS
    enable_tag_override: bool = False
    kind: str = ""
    phase: Phase | None = None
    """None keeps the phase of an instance that is there; a new one serves."""
    ports: tuple[NamedPort, ...] = ()
    """With them, `port` is left out or the default one of them."""
    socket_path: str = ""
    proxy: str = ""
    destination: str = ""
    connect_native: bool = False
    locality: Locality = NOWHERE

    def __post_init__(self) -> None:
        names.name("service", self.service)
        names.name("service id", self.id)
        if self.namespace != names.PUBLIC:
            names.name("namespace", self.namespace)
        names.port("port", self.port)
        if self.tags:
            names.tags("tags", self.tags)
        if self.meta:
            names.meta("meta", self.meta)
        if address := self.address:
            names.name("address", address)
        if address in ANY_ADDRESS:
            raise InvalidError("address", f"{address} is no address that others could call; name one, or leave it out for the caller's")
        if self.tagged:
            self._check_tagged()
        if self.says_more:
            self._check_mesh()
        weights = self.weights
        if weights is not DEFAULT_WEIGHTS and (not 1 <= weights.passing <= WEIGHT_MAX or not 0 <= weights.warning <= WEIGHT_MAX):
            raise InvalidError("weights", f"Passing must be 1 to {WEIGHT_MAX}, Warning 0 to {WEIGHT_MAX}")

    def _check_tagged(self) -> None:
        for label, tagged in self.tagged.items():
            names.name("tagged address", label)
            names.port(f"port of tagged address {label}", tagged.port)

    def _check_mesh(self) -> None:
        default = service.ports(self.ports)
        if default and self.port not in {0, default}:
            raise InvalidError("port", f"must be that of the default one of ports, {default}, or be left out")
        names.text("socket_path", self.socket_path, service.SOCKET_PATH_MAX_CHARS)
        names.text("proxy", self.proxy, service.PROXY_MAX_CHARS)
        service.kind(self.kind)
        service.locality(self.locality)
        if (self.kind == Kind.CONNECT_PROXY) is not bool(self.destination):
            raise InvalidError("destination", "is what a connect-proxy needs, and nothing else has")
        if self.destination:
            names.name("destination", self.destination)

    @property
    def says_more(self) -> bool:
        """Whether it says anything of several ports, of a socket, of the mesh or of where it stands, as few do."""
        return bool(
            self.kind or self.ports or self.socket_path or self.proxy or self.destination or self.connect_native
            or self.locality != NOWHERE
        )  # fmt: skip

    @property
    def main_port(self) -> int:
        """The port of a caller that names none."""
        return self.port or service.ports(self.ports)

"""Nodes and instances: who is there, and where.

An `Instance` and a `Node` are what their rows tell and live as long as those; a `...Spec` is what a caller asks for, for one command.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from callboard.model import names
from callboard.model.check import Check
from callboard.model.errors import InvalidError
from callboard.model.rows import ZERO, Revision

WEIGHT_MAX: Final = 65535
_ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104  # named in order to be refused


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
    phase: Phase = Phase.SERVING
    created: Revision = ZERO
    modified: Revision = ZERO


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

    def __post_init__(self) -> None:
        names.name("service", self.service)
        names.name("service id", self.id)
        names.name("namespace", self.namespace)
        names.port("port", self.port)
        names.tags("tags", self.tags)
        names.meta("meta", self.meta)
        if self.address:
            names.name("address", self.address)
        if self.address in _ANY_ADDRESS:
            raise InvalidError(
                "address", f"{self.address} is no address that others could call; name one, or leave it out for the caller's"
            )
        for label, tagged in self.tagged.items():
            names.name("tagged address", label)
            names.port(f"port of tagged address {label}", tagged.port)
        if not 1 <= self.weights.passing <= WEIGHT_MAX or not 0 <= self.weights.warning <= WEIGHT_MAX:
            raise InvalidError("weights", f"Passing must be 1 to {WEIGHT_MAX}, Warning 0 to {WEIGHT_MAX}")

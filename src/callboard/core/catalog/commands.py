"""Every write there is, as a value. A command carries all its randomness, so planning it twice gives the same rows. Its tag names it
when it travels from the member it entered to the one that leads.

A command lives from the door that made it to its outcome.
"""

from msgspec import Struct

from callboard.model import names
from callboard.model.autopilot import Autopilot
from callboard.model.check import CheckSpec, Status
from callboard.model.coordinate import SEGMENT_MAX_CHARS, Place
from callboard.model.errors import InvalidError
from callboard.model.event import EventSpec
from callboard.model.instance import InstanceSpec, NodeSpec, Phase
from callboard.model.names import PUBLIC
from callboard.model.rows import Revision
from callboard.model.time import Timestamp


class Target(Struct, frozen=True, gc=False):
    """An instance or check by its id: on `node` first; with `anywhere`, else on the only node that has it."""

    node: str
    id: str
    namespace: str = PUBLIC
    anywhere: bool = False


class Attached(Struct, frozen=True, gc=False):
    """A check and the id of the instance on the same node that it belongs to; empty for a check of the node."""

    instance: str
    check: CheckSpec


class Sidecar(Struct, frozen=True, gc=False, kw_only=True):
    """A proxy to be registered with an instance and removed with it. Without a port it gets a free one, and its checks follow from that:
    that it listens at `listens_at` (dialled at `connect`, if that is said), and that its parent is healthy."""

    instance: InstanceSpec
    checks: tuple[CheckSpec, ...] = ()
    listens_at: str
    connect: str = ""


class Register(Struct, tag=True, frozen=True, gc=False, kw_only=True):
    """Make or replace a node, an instance on it, and checks, together.

    Identical parts are left alone. A check that is there keeps its status, unless `set_status`. With `replace_checks` the checks of the
    instance that are not named go. `update_node` False leaves a node that is there as it is. `namespace` is that of the instance, and of
    an instance that is only named by a check. A registration that brings no `sidecar` ends the one there was, unless it is `of_catalog`:
    then somebody else speaks than the instance itself, and the tags it gives stay (`enable_tag_override`).
    """

    nonce: str
    node: NodeSpec
    instance: InstanceSpec | None = None
    checks: tuple[Attached, ...] = ()
    namespace: str = PUBLIC
    set_status: bool = False
    replace_checks: bool = False
    update_node: bool = True
    sidecar: Sidecar | None = None
    of_catalog: bool = False

    def __post_init__(self) -> None:
        if self.instance is not None and self.instance.namespace != self.namespace:
            raise InvalidError("namespace", f"{self.namespace!r} is not that of the instance, {self.instance.namespace!r}")


class RegisterCheck(Struct, tag=True, frozen=True, gc=False, kw_only=True):
    """Make or replace a check of an instance that is found by `instance`, or, without it, of `node`."""

    nonce: str
    node: NodeSpec
    check: CheckSpec
    instance: Target | None = None


class DeregisterInstance(Struct, tag=True, frozen=True, gc=False):
    """Remove an instance and its checks; an implicit node goes with its last instance and check."""

    target: Target


class DeregisterCheck(Struct, tag=True, frozen=True, gc=False):
    """Remove a check."""

    target: Target


class DeregisterNode(Struct, tag=True, frozen=True, gc=False):
    """Remove a node with everything on it."""

    node: str


class ReportCheck(Struct, tag=True, frozen=True, gc=False, kw_only=True):
    """A check's new answer. Without `nonce` it is pushed by a client and only for TTL checks; with it, it is a probe's result and
    counts only for that incarnation of the check."""

    target: Target
    status: Status
    output: str | None = None
    """None keeps the last output."""
    nonce: str = ""


class ExpireTtl(Struct, tag=True, frozen=True, gc=False):
    """The time limit of this incarnation of a TTL check ran out."""

    target: Target
    nonce: str


class Reap(Struct, tag=True, frozen=True, gc=False):
    """This incarnation of a check has been critical since `turned`, for so long that its instance is to go."""

    target: Target
    nonce: str
    turned: Timestamp


class SetMaintenance(Struct, tag=True, frozen=True, gc=False, kw_only=True):
    """Take an instance, or with `instance` None the whole node, out of service or back."""

    nonce: str
    node: NodeSpec
    enable: bool
    instance: Target | None = None
    reason: str = ""


class SetPhase(Struct, tag=True, frozen=True, gc=False):
    """Move an instance through its life: starting, serving, draining."""

    target: Target
    phase: Phase


class OpenTerm(Struct, tag=True, frozen=True, gc=False, kw_only=True):
    """A new leader's first command: its term, and the server's own entry in the catalog."""

    nonce: str
    member: str
    itself: Register
    level: int = 1
    """Of a store that is new; programs that speak less do not join it."""


class RaiseLevel(Struct, tag=True, frozen=True, gc=False):
    """From now on rows and rules are those of `level`, which every present member speaks; it never falls."""

    level: int


class FireEvent(Struct, tag=True, frozen=True, gc=False):
    """Put an event into the ring, in the place of the oldest."""

    nonce: str
    event: EventSpec


class SetCoordinate(Struct, tag=True, frozen=True, gc=False):
    """Write down where a node is."""

    node: str
    place: Place
    segment: str = ""

    def __post_init__(self) -> None:
        if self.segment:
            names.name("segment", self.segment, SEGMENT_MAX_CHARS)


class SetAutopilot(Struct, tag=True, frozen=True, gc=False):
    """Set what operators of Consul say about the care of servers; with `expected` only while that is its revision (0: never set)."""

    autopilot: Autopilot
    expected: Revision | None = None


class Restore(Struct, tag=True, frozen=True, gc=False):
    """Make the catalog what a snapshot says (`core.catalog.restoring.pack`). The servers' own entry stays: the address of `home`, their
    node, and there `own_instance` and `own_check`, where they are named."""

    packed: bytes
    home: str
    own_instance: str = ""
    own_check: str = ""


class SweepFloors(Struct, tag=True, frozen=True, gc=False):
    """Fold the oldest floors into the global one until at most `keep` are left."""

    keep: int


Command = (
    Register | RegisterCheck | DeregisterInstance | DeregisterCheck | DeregisterNode
    | ReportCheck | ExpireTtl | Reap | SetMaintenance | SetPhase | OpenTerm | RaiseLevel | SweepFloors
    | FireEvent | SetCoordinate | SetAutopilot | Restore
)  # fmt: skip

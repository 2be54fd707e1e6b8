"""What a durable group changed: facts for whoever waits, for liveness and for watchers. They live in the bounded history of watches."""

from dataclasses import dataclass, field

from msgspec import Struct

from callboard.model.check import Check
from callboard.model.instance import Instance, Node
from callboard.model.rows import Revision
from callboard.model.topics import Topic


class NodeChange(Struct, frozen=True, gc=False):
    """A node before and after; None for not there."""

    before: Node | None
    after: Node | None


class InstanceChange(Struct, frozen=True, gc=False):
    """An instance before and after; None for not there."""

    before: Instance | None
    after: Instance | None


class CheckChange(Struct, frozen=True, gc=False):
    """A check before and after; None for not there."""

    before: Check | None
    after: Check | None


@dataclass(slots=True)
class Changes:
    """Everything one group changed, and the topics it touched."""

    revision: Revision
    nodes: list[NodeChange] = field(default_factory=list)
    instances: list[InstanceChange] = field(default_factory=list)
    checks: list[CheckChange] = field(default_factory=list)
    topics: set[Topic] = field(default_factory=set)

    @property
    def weight(self) -> int:
        """How much it is to keep: its changes, and one for itself."""
        return 1 + len(self.nodes) + len(self.instances) + len(self.checks)

"""One service as it is known at one moment. A snapshot never changes; the next change makes another."""

from msgspec import Struct
from msgspec.structs import replace

from callboard.wire.native import InstanceState

Instances = tuple[InstanceState, ...]


class Snapshot(Struct, frozen=True, kw_only=True):
    """The instances of a service, and how they came to be so."""

    namespace: str
    service: str
    revision: int
    """Of the registry; grows with every change, and begins anew when the registry lost its memory."""
    instances: Instances
    """All of them, whatever their health, in a fixed order."""
    stale: bool = False
    """It is from the disk, or the registry was not heard for long: the truth may be another."""
    held: int = 0
    """So many of them were not mentioned any more by a registry that forgot too much at once; they go when they do not come back."""
    added: Instances = ()
    """Against the snapshot before, as are the next two."""
    removed: Instances = ()
    changed: Instances = ()
    """As they are now."""

    def since(self, before: "Snapshot | None") -> "Snapshot":
        """The same, with the differences to another one."""
        old = {} if before is None else {(state.node, state.id): state for state in before.instances}
        added, changed = [], []
        for state in self.instances:
            was = old.pop((state.node, state.id), None)
            if was is None:
                added.append(state)
            elif was is not state and was != state:
                changed.append(state)
        return replace(self, added=tuple(added), removed=tuple(old.values()), changed=tuple(changed))

    def same(self, other: "Snapshot") -> bool:
        """Whether both tell the same, at whatever revision."""
        return (self.stale, self.held, self.instances) == (other.stale, other.held, other.instances)

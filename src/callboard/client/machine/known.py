"""What is known of one service: changes of a feed in, the instances to go by out.

An instance leaves at once when the registry says that it is gone. One that a new picture only does not mention (*missing*) may be gone, or
the registry may have lost its memory: when too many of a service are missing at once, they are *held* for a while, and dropped only if
they do not come back. What comes from the disk, or is left over from another feed, is *unconfirmed* until a feed says it, and missing
when its picture is complete without it.

It lives as long as the service is followed, over all feeds. `now` is nanoseconds of a forward-only clock.
"""

from collections.abc import Iterable

from callboard.client.machine.picture import Change
from callboard.model.time import MILLISECOND, Instant
from callboard.wire.native import InstanceState

Seat = tuple[str, str]
"""Node and id: what tells instances of one service apart."""


class Known:
    """Folds the changes of one service."""

    def __init__(self, shrink_share: float, shrink_hold_ms: int) -> None:
        self._share = shrink_share
        self._hold = shrink_hold_ms * MILLISECOND
        self._instances: dict[Seat, InstanceState] = {}
        self._doubtful: set[Seat] = set()
        """Unconfirmed, or missing and not judged yet."""
        self._held: dict[Seat, Instant] = {}
        self.revision = 0
        """Of the registry, at the last change or the last complete picture."""
        self.complete = False
        """A feed has told everything there is."""

    @property
    def instances(self) -> tuple[InstanceState, ...]:
        """What to go by, in a fixed order: also what is held or not confirmed yet."""
        return tuple(self._instances[seat] for seat in sorted(self._instances))

    @property
    def held(self) -> int:
        """How many instances are kept although the last picture did not mention them."""
        return len(self._held)

    def confirmed(self) -> list[InstanceState]:
        """What the feed itself told and did not take back."""
        return [state for seat, state in self._instances.items() if seat not in self._held and seat not in self._doubtful]

    def seed(self, instances: Iterable[InstanceState], revision: int) -> None:
        """What was known in another life. Nothing of it replaces what was heard already."""
        for state in instances:
            seat = (state.node, state.id)
            if seat not in self._instances:
                self._instances[seat] = state
                self._doubtful.add(seat)
        self.revision = self.revision or revision

    def begin(self) -> None:
        """Another feed takes over, which knows nothing of what the one before told."""
        self._doubtful.update(seat for seat in self._instances if seat not in self._held)
        self.complete = False

    def apply(self, change: Change) -> None:
        """One change of an instance of this service."""
        state = change.instance
        if state is None:
            return
        seat = (state.node, state.id)
        self.revision = change.revision
        if change.kind == "removed" and change.inferred:
            if seat in self._instances:
                self._doubtful.add(seat)
            return
        self._doubtful.discard(seat)
        self._held.pop(seat, None)
        if change.kind == "removed":
            self._instances.pop(seat, None)
        else:
            self._instances[seat] = state

    def ready(self, revision: int, now: Instant) -> None:
        """The feed has told everything there is: what it did not tell is missing."""
        self.revision = revision
        self.complete = True
        missing = self._doubtful
        self._doubtful = set()
        there = len(self._instances)
        gone = len(missing) + len(self._held)
        if missing and self._hold and (gone == there or gone > self._share * there):
            self._held.update(dict.fromkeys(missing, Instant(now + self._hold)))
            return
        for seat in missing:
            del self._instances[seat]

    def deadline(self) -> Instant | None:
        """When the next held instance is dropped."""
        return min(self._held.values(), default=None)

    def elapsed(self, now: Instant) -> bool:
        """Drop what was held long enough. True when there was any."""
        due = [seat for seat, until in self._held.items() if until <= now]
        for seat in due:
            del self._held[seat], self._instances[seat]
        return bool(due)

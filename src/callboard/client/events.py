"""What a board tells of itself, for logs, metrics and traces. An observer lives as long as it is wanted.

It is called in any thread. An event is a value; an observer gets all of them and picks out those it knows (`match`). What it raises is
logged, and stops nobody.
"""

import logging
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

_log: Final = logging.getLogger("callboard.client")


class Registering(NamedTuple):
    """A registration went over to another state: `starting` (waits for its port), `registered`, `waiting` (another process of this host
    keeps it), `lost` (heartbeats are not heard), `renewed` (signed in again), `refused`, `draining`, `ended`."""

    service: str
    instance_id: str
    state: Literal["starting", "registered", "waiting", "lost", "renewed", "refused", "draining", "ended"]
    reason: str = ""


class LoopBlocked(NamedTuple):
    """The event loop that a registration watches stopped turning, or turns again."""

    service: str
    instance_id: str
    blocked: bool


class SnapshotChanged(NamedTuple):
    """A service is known differently from now on."""

    namespace: str
    service: str
    revision: int
    instances: int
    held: int
    stale: bool


class FeedLost(NamedTuple):
    """The registry could not be followed; it goes on from what is known."""

    namespace: str
    reason: str


class AttemptEnded(NamedTuple):
    """One try of one call ended. `outcome` is a status code as text, `unreached` (surely not sent), `broken`, `timeout`, or
    `cancelled` (by the caller)."""

    service: str
    instance: str
    outcome: str
    ok: bool
    number: int
    elapsed_ns: int
    address: str = ""
    port: int = 0


class Ejected(NamedTuple):
    """An instance is left out for a while because its calls fail, or is taken back."""

    service: str
    instance: str
    out: bool


Event = Registering | LoopBlocked | SnapshotChanged | FeedLost | AttemptEnded | Ejected
Observer = Callable[[Event], None]


class Observers:
    """Whom a board tells. Adding and leaving are one step each, for any thread may do so at any moment."""

    def __init__(self) -> None:
        self._told: dict[object, Observer] = {}

    def add(self, observer: Observer) -> Callable[[], None]:
        """Tell it from now on; call the answer to stop."""
        place = object()
        self._told[place] = observer

        def remove() -> None:
            self._told.pop(place, None)

        return remove

    @property
    def any(self) -> bool:
        """Whether anybody listens: an event on the way of every call is only made then."""
        return bool(self._told)

    def tell(self, event: Event) -> None:
        """To each of them."""
        for observer in list(self._told.values()):
            try:
                observer(event)
            except Exception:  # noqa: BLE001  # it is not ours, and must not end a thread of ours
                _log.exception("an observer failed with %s", type(event).__name__)

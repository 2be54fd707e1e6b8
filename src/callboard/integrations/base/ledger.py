"""What a board has told so far, added up for gauges. It lives as long as an instrument, and is written by whatever thread tells."""

from collections.abc import Callable
from typing import Protocol, Unpack

from callboard.client.events import Ejected, Event, LoopBlocked, Observer, Registering, SnapshotChanged
from callboard.client.options import ServiceOptions
from callboard.model.errors import CallboardError


class Aged(Protocol):
    """A handle on a service, of either board."""

    @property
    def age_s(self) -> float:
        """Seconds since the registry was last heard."""
        ...


class Observed(Protocol):
    """A board of either kind."""

    def service(self, name: str, **options: Unpack[ServiceOptions]) -> Aged:
        """A handle."""
        ...

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Tell the observer from now on."""
        ...


class Ledger:
    """The present state of services and registrations, as far as it was told since the instrument was there."""

    def __init__(self, board: Observed) -> None:
        self._board = board
        self._handles: dict[tuple[str, str], Aged] = {}
        self._known: dict[tuple[str, str], SnapshotChanged] = {}
        self._states: dict[tuple[str, str], str] = {}
        self._blocked: dict[tuple[str, str], bool] = {}
        self._out: dict[tuple[str, str], bool] = {}

    def note(self, event: Event) -> None:
        """Add one event."""
        match event:
            case SnapshotChanged(namespace=namespace, service=service):
                self._known[namespace, service] = event
            case Registering(service=service, instance_id=instance, state=state):
                self._states.pop((service, ""), None)  # its id is not known from the beginning
                if state == "ended":
                    self._states.pop((service, instance), None)
                    self._blocked.pop((service, instance), None)
                else:
                    self._states[service, instance] = "registered" if state == "renewed" else state
            case LoopBlocked(service=service, instance_id=instance, blocked=blocked):
                self._blocked[service, instance] = blocked
            case Ejected(service=service, instance=instance, out=True):
                self._out[service, instance] = True
            case Ejected(service=service, instance=instance):
                self._out.pop((service, instance), None)

    def snapshots(self) -> list[SnapshotChanged]:
        """The newest of each service that is followed."""
        return list(self._known.values())

    def age_s(self, namespace: str, service: str) -> float | None:
        """Seconds since the registry was last heard of a service; None when the board was closed before anybody asked."""
        handle = self._handles.get((namespace, service))
        if handle is None:
            try:
                handle = self._handles[namespace, service] = self._board.service(service, namespace=namespace)
            except CallboardError:
                return None
        return handle.age_s

    def registrations(self) -> dict[tuple[str, str], int]:
        """How many registrations are in each state: by service and state."""
        return _counted(list(self._states.items()))

    def blocked(self) -> dict[str, int]:
        """How many registrations of each service have a loop that does not turn."""
        counts = {service: 0 for service, _ in list(self._blocked)}
        for (service, _), blocked in list(self._blocked.items()):
            counts[service] += blocked
        return counts

    def ejected(self) -> dict[str, int]:
        """How many instances of each service are left out now."""
        counts = {snapshot.service: 0 for snapshot in self.snapshots()}
        for service, _ in list(self._out):
            counts[service] = counts.get(service, 0) + 1
        return counts


def _counted(states: list[tuple[tuple[str, str], str]]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for (service, _), state in states:
        counts[service, state] = counts.get((service, state), 0) + 1
    return counts

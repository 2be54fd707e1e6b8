"""What is known of one service, and who wants to hear of it. It lives from the first handle on the service to the end of the board."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from callboard.client.board_settings import BoardSettings
from callboard.client.errors import NoPictureError
from callboard.client.events import Observers, SnapshotChanged
from callboard.client.listeners import Listeners
from callboard.client.machine.known import Known
from callboard.client.machine.saved import Saved
from callboard.client.snapshot import Snapshot
from callboard.client.tally import Tally
from callboard.model.time import MILLISECOND


class Source(Protocol):
    """Whoever keeps it fresh."""

    def ensure(self) -> None:
        """See to it that the registry is followed: a forked child has no thread that does."""
        ...

    @property
    def reason(self) -> str:
        """Why nothing was heard so far."""
        ...

    def age_s(self) -> float:
        """Seconds since the registry was last heard; 0 while it is."""
        ...


class Followed:
    """Made by `Follower.follow`. Snapshots are shown by the follower's threads, one at a time; the rest may be called by any thread."""

    def __init__(self, source: Source, namespace: str, service: str, settings: BoardSettings, observers: Observers) -> None:
        self.namespace = namespace
        self.service = service
        self.tally = Tally(service, settings, observers)
        self.known = Known(settings.shrink_share, settings.shrink_hold_ms)
        """Belongs to the follower, which has a lock for it."""
        self.since = time.monotonic_ns()
        self.heard = False
        """The registry has said everything about it at least once."""
        self.asked_disk = False
        self.closed = False
        self._source = source
        self._observers = observers
        self.latest: Snapshot | None = None
        """The newest, for whom it need not be kept fresh."""
        self._listeners = Listeners()
        self._saved_ms = 0
        self._first_wait_ms = settings.first_wait_ms
        self._patient_until: int | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest; None while nothing is known."""
        self._source.ensure()
        return self.latest

    def ensure(self) -> None:
        """See to it that it is kept fresh, also in a forked child."""
        self._source.ensure()

    @property
    def age_s(self) -> float:
        """How old the truth is that is told here: seconds since the registry was last heard, 0 while it is followed."""
        if not self.heard and self._saved_ms:
            return max(0.0, time.time() - self._saved_ms / 1000)
        return self._source.age_s()

    @property
    def reason(self) -> str:
        """Why nothing is known."""
        return "the board was closed" if self.closed else self._source.reason

    def patience_ms(self) -> int:
        """How long a call may wait for the first picture: `first_wait_ms` since the first that waited; later ones fail at once."""
        now = time.monotonic_ns()
        if self._patient_until is None:
            self._patient_until = now + self._first_wait_ms * MILLISECOND
        return max(0, self._patient_until - now) // MILLISECOND

    def wait(self, timeout_ms: int, *, fresh: bool = False) -> Snapshot:
        """The snapshot, as soon as there is one; a `fresh` one was heard from the registry. Raises `NoPictureError` after `timeout_ms`."""
        done = threading.Event()
        remove = self.listen(done.set)
        deadline = time.monotonic() + timeout_ms / 1000
        try:
            while True:
                done.clear()
                found = self.snapshot
                if found is not None and (self.heard or not fresh):
                    return found
                if self.closed or not done.wait(max(0.0, deadline - time.monotonic())):
                    raise self.nothing()
        finally:
            remove()

    def nothing(self) -> NoPictureError:
        """What is raised when there is no snapshot."""
        return NoPictureError(self.service, self.reason, closed=self.closed)

    def subscribe(self, callback: Callable[[Snapshot], None]) -> Callable[[], None]:
        """Call `callback` with each later snapshot, in the thread that follows; call the answer to stop."""

        def told() -> None:
            if (snapshot := self.latest) is not None and not self.closed:
                callback(snapshot)

        return self.listen(told)

    def listen(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` when there is another snapshot, and when the board was closed; call the answer to stop."""
        return self._listeners.add(told)

    # -- for the follower

    def seed(self, saved: Saved) -> None:
        """Go by what the disk says until the registry is heard."""
        self._saved_ms = saved.saved_ms
        self.known.seed(saved.instances, saved.revision)

    def show(self, *, stale: bool) -> bool:
        """Make the next snapshot of what is known. True when it tells something else than the one before."""
        known, before = self.known, self.latest
        if not self.heard and not self._saved_ms:
            return False
        fresh = Snapshot(
            namespace=self.namespace,
            service=self.service,
            revision=known.revision,
            instances=known.instances,
            stale=stale or not self.heard,
            held=known.held,
        )
        if before is not None and fresh.same(before):
            return False
        self.tally.known(f"{state.node}/{state.id}" for state in fresh.instances)
        self.latest = fresh.since(before)
        self.wake()
        count = len(fresh.instances)
        self._observers.tell(SnapshotChanged(self.namespace, self.service, fresh.revision, count, fresh.held, fresh.stale))
        return True

    def wake(self) -> None:
        """Tell whoever listens."""
        self._listeners.tell()

    def forked(self) -> None:
        """This is a forked child: what is known is kept, locks are not."""
        self._patient_until = None
        self.tally.forked()
        self.known.begin()

"""How the calls of a service went: shared by all handles of a board on it, so that what one learns helps the others.

It keeps the judges of `balance.outlier` and of the retry budget under one lock, for they are asked at the end of calls by any thread.
It lives as long as the service is followed.
"""

import threading
from collections.abc import Callable, Iterable

from callboard.balance.outlier import Outliers
from callboard.client.board_settings import BoardSettings
from callboard.client.events import Ejected, Observers
from callboard.client.listeners import Listeners
from callboard.client.machine.budget import Budget
from callboard.model.time import Instant


class Tally:
    """Failures, ejections, retries."""

    def __init__(self, service: str, settings: BoardSettings, observers: Observers) -> None:
        self._service = service
        self._observers = observers
        self._outliers = Outliers()
        self._budget = Budget(settings.retry_share, settings.retry_floor_per_s)
        self._lock = threading.Lock()
        self._listeners = Listeners()

    @property
    def ejected(self) -> frozenset[str]:
        """Keys of the endpoints that are left out now."""
        return self._outliers.ejected

    @property
    def due(self) -> Instant | None:
        """When to `sweep` next."""
        return self._outliers.deadline()

    def listen(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` when `ejected` or `due` changed, in the thread that found out; call the answer to stop."""
        return self._listeners.add(told)

    def known(self, keys: Iterable[str]) -> None:
        """These endpoints are there; others are forgotten."""
        with self._lock:
            before = self._outliers.ejected
            self._outliers.forget(frozenset(keys))
        self._tell(before)

    def ended(self, key: str, now: int, *, ok: bool) -> None:
        """A call to an endpoint went well, or told that something is wrong there."""
        with self._lock:
            before, due = self._outliers.ejected, self._outliers.deadline()
            self._outliers.report(key, now, ok=ok)
            timed = self._outliers.deadline() != due
        self._tell(before, timed=timed)

    def sweep(self, now: int) -> None:
        """Take back those whose time is over, and put out those that fail too often. Cheap when nothing is due."""
        with self._lock:
            before, due = self._outliers.ejected, self._outliers.deadline()
            self._outliers.sweep(now)
            timed = self._outliers.deadline() != due
        self._tell(before, timed=timed)

    def called(self, now: int) -> None:
        """A call begins: it adds to what may be retried."""
        with self._lock:
            self._budget.called(now)

    def retry(self, now: int) -> bool:
        """Whether one more attempt may be made; if so it is counted."""
        with self._lock:
            return self._budget.retry(now)

    def forked(self) -> None:
        """This is a forked child: the lock may be held by a thread that is not here."""
        self._lock = threading.Lock()

    def _tell(self, before: frozenset[str], *, timed: bool = False) -> None:
        after = self._outliers.ejected
        if after is before and not timed:
            return
        if after != before or timed:
            self._listeners.tell()
        for out, keys in ((True, after - before), (False, before - after)):
            for key in sorted(keys):
                self._observers.tell(Ejected(self._service, key, out))

"""Following the services of one name space: what the feed tells goes into snapshots, whatever becomes of the registry.

A follower has two threads. One reads the feed and does nothing else. The other, the upkeep, does what time asks for: it drops what was held
long enough, says when the truth has grown old, writes snapshots to the disk, reads them when the registry is late, and compares the picture
with the registry's. Both start with the first service, and anew in a forked child when it asks for something. No failure of the registry
leaves them: it is logged once when it begins and once when it is over, told to observers, and waited out.
"""

import logging
import threading
import time
from collections.abc import Iterator
from itertools import chain
from typing import Final

from callboard.client.backend import Backend, Feed
from callboard.client.board_settings import BoardSettings
from callboard.client.errors import ClientError
from callboard.client.events import FeedLost, Observers
from callboard.client.followed import Followed
from callboard.client.machine.agreement import Agreement
from callboard.client.machine.asking import portions
from callboard.client.machine.hearing import Hearing
from callboard.client.machine.picture import Change
from callboard.client.machine.saving import Saving
from callboard.client.snapshots import Snapshots
from callboard.client.watch import WatchLostError
from callboard.model.time import MILLISECOND, SECOND, Instant
from callboard.net import threads
from callboard.wire.native import Digest
from callboard.wire.native_digest import digest_of

__all__ = ["Followed", "Follower"]

_log: Final = logging.getLogger("callboard.client")
_LATE: Final = SECOND
"""The first picture is waited for so long before the disk is asked."""
_REFUSED_WAIT_S: Final = 15.0
"""A refusal that no waiting can mend is asked about again after this: somebody may mend it."""
_JOIN_MAX_S: Final = 2.0
_STALE_SILENCES: Final = 2
_SHOW_PAUSES: Final = 4
"""Making new snapshots and pickers is followed by a pause so many times as long: a service of ten thousand that changes all the time takes
a fifth of a core at most."""
_SHOW_QUICK: Final = 5 * MILLISECOND
"""Without a pause, when it took less. Both count this thread's work, not what it waited for."""
_SHOW_PAUSE_MAX: Final = 250 * MILLISECOND
_DIFFERS: Final = "what was told differs from what the registry knows; everything is asked for anew"


class Follower:
    """One feed, and what it adds up to."""

    def __init__(self, namespace: str, backend: Backend, settings: BoardSettings, observers: Observers) -> None:
        self._namespace = namespace
        self._backend = backend
        self._settings = settings
        self._observers = observers
        self._disk = Snapshots(settings, namespace)
        self._saving = Saving()
        self._hearing = Hearing(_now(), _STALE_SILENCES * settings.client.silence_max_ms * MILLISECOND)
        self._followed: dict[str, Followed] = {}
        self._touched: set[str] = set()
        """Services of which something is known that was not shown yet."""
        self._show_due = Instant(0)
        """Before this, changes are only gathered."""
        self._stale = False
        self._revision = 0
        self._reason = "the registry has not answered yet"
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """What a forked child makes anew."""
        self._lock = threading.RLock()
        self._ring = threading.Event()
        self._end = threading.Event()
        self._feed: Feed | None = None
        self._threads: list[threading.Thread] = []
        self._agreement = Agreement(_now(), self._settings.digest_ms)

    def follow(self, service: str) -> Followed:
        """What is known of a service, kept fresh from now on."""
        with self._lock:
            name = service.lower()
            found = self._followed.get(name)
            if found is None:
                found = Followed(self, self._namespace, service, self._settings, self._observers)
                found.closed = self._closed
                if self._feed is not None:
                    self._feed.include(service)
                self._followed[name] = found
            self._ring.set()
        self.ensure()
        return found

    def ensure(self) -> None:
        """Start the threads, unless they run."""
        if self._feed is None and not self._closed:
            with self._lock:
                self._start()

    def _start(self) -> None:
        if self._feed is not None or self._closed:
            return
        feed = self._feed = self._backend.follow(self._namespace, tuple(each.service for each in self._followed.values()), self._lost)
        try:
            self._threads = [
                threads.start(lambda: self._read(feed), name=f"callboard-feed-{self._namespace}"),
                threads.start(self._keep_up, name=f"callboard-upkeep-{self._namespace}"),
            ]
        except RuntimeError:  # there is no thread to be had now: the next one who asks tries again
            self._feed = None
            feed.close()
            raise

    @property
    def reason(self) -> str:
        """Why nothing was heard."""
        return self._reason

    def age_s(self) -> float:
        """Seconds since the registry was last heard; 0 while it is."""
        return self._hearing.age(_now()) / SECOND

    def forked(self) -> None:
        """This is a forked child: it goes on from what is known, with threads of its own when it asks for something."""
        self._begin()
        self._hearing.forked(_now())
        for followed in self._followed.values():
            followed.forked()

    def close(self) -> None:
        """Stop following, and write what is not written yet."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            feed, running = self._feed, self._threads
        self._end.set()
        self._ring.set()
        if feed is not None:
            feed.close()
        for thread in running:
            if thread is not threading.current_thread():
                thread.join(_JOIN_MAX_S)
        self._save(self._saving.last(followed=self._hearing.now))
        for followed in list(self._followed.values()):
            followed.closed = True
            followed.wake()

    # -- the thread of the feed

    def _read(self, feed: Feed) -> None:
        while feed is self._feed and not self._end.is_set():
            try:
                for change in feed:
                    self._take(feed, change)
            except ClientError as error:
                self._lost(error)
            except Exception as error:  # noqa: BLE001  # a mistake of ours must not end the thread that everybody relies on
                _log.exception("following name space %s failed", self._namespace)
                self._lost(ClientError(str(error) or type(error).__name__))
            self._end.wait(_REFUSED_WAIT_S)

    def _take(self, feed: Feed, change: Change) -> None:
        with self._lock:
            if feed is not self._feed or self._closed:
                return
            if self._hearing.heard():
                _log.warning("the registry is followed again")
            if change.kind == "ready":
                self._complete(change)
            elif change.instance is not None:
                self._revision = max(self._revision, change.revision)
                name = change.instance.service.lower()
                if (followed := self._followed.get(name)) is not None:
                    followed.known.apply(change)
                    self._touched.add(name)
            if not change.more:
                if _now() >= self._show_due:
                    self._show()
                else:
                    self._ring.set()

    def _complete(self, ready: Change) -> None:
        self._revision = ready.revision
        covered = {service.lower() for service in ready.services}
        for name, followed in self._followed.items():
            if covered and name not in covered:
                continue
            held = followed.known.held
            followed.known.ready(ready.revision, _now())
            followed.heard = True
            self._touched.add(name)
            if followed.known.held > held:
                _log.warning("%s: the registry no longer mentions %d instances; they are kept for now", name, followed.known.held)
                self._ring.set()

    def _show(self) -> None:
        """With the lock held: snapshots of whatever is different now."""
        now, begun = _now(), time.thread_time_ns()
        stale = self._hearing.stale(now)
        names = list(self._followed) if stale != self._stale else list(self._touched)
        self._stale = stale
        self._touched.clear()
        for name in names:
            followed = self._followed[name]
            if followed.show(stale=stale) and followed.heard and not stale:
                self._saving.changed(name, now)
                self._ring.set()
        took = time.thread_time_ns() - begun
        self._show_due = Instant(_now() + min(_SHOW_PAUSES * took, _SHOW_PAUSE_MAX) if took > _SHOW_QUICK else 0)

    def _lost(self, error: ClientError) -> None:
        with self._lock:
            if self._closed:
                return
            now = _now()
            self._reason = str(error)
            silent_s = error.silent_s if isinstance(error, WatchLostError) else 0.0
            if self._hearing.lost(now, round(silent_s * SECOND)):
                _log.warning("the registry is not heard (%s); what is known of its services is kept", error)
            self._ask_disk(now)
            self._ring.set()
        self._observers.tell(FeedLost(self._namespace, str(error)))

    def _ask_disk(self, now: Instant, *, show: bool = True) -> None:
        """With the lock held: where the registry lets us wait and nothing is known, go by the disk."""
        for name, followed in self._followed.items():
            if followed.asked_disk or (now < followed.since + _LATE and not self._hearing.said):
                continue
            followed.asked_disk = True
            if not followed.heard and (saved := self._disk.load(followed.service)) is not None:
                followed.seed(saved)
                self._touched.add(name)
        if show:
            self._show()

    # -- the thread of the upkeep

    def _keep_up(self) -> None:
        end, ring = self._end, self._ring
        while not end.is_set():
            try:
                wait_s = self._upkeep()
            except Exception:  # noqa: BLE001  # as above
                _log.exception("upkeep of name space %s failed", self._namespace)
                wait_s = 1.0
            ring.wait(wait_s)
            ring.clear()

    def _upkeep(self) -> float | None:
        """What is due now; answers how long there is nothing to do."""
        with self._lock:
            now = _now()
            for name, followed in self._followed.items():
                if followed.known.elapsed(now):
                    _log.warning("%s: instances that the registry no longer mentions are dropped", name)
                    self._touched.add(name)
            self._ask_disk(now, show=now >= self._show_due)
            due = self._saving.due(now, followed=self._hearing.now)
        self._save(due)
        if self._agreement.due is not None and now >= self._agreement.due:
            self._compare()
        with self._lock:
            next_at = min(self._deadlines(), default=None)
        return None if next_at is None else max(0.0, (next_at - _now()) / SECOND)

    def _deadlines(self) -> Iterator[int]:
        times: list[int | None] = [self._saving.deadline(followed=self._hearing.now), self._hearing.deadline(_now()), self._agreement.due]
        if self._touched:
            times.append(self._show_due)
        for followed in self._followed.values():
            times.append(followed.known.deadline())
            if not followed.asked_disk:
                times.append(followed.since + _LATE)
        return (at for at in times if at is not None)

    def _save(self, names: list[str]) -> None:
        for name in names:
            with self._lock:
                self._saving.written(name, _now())
                snapshot = self._followed[name].latest
            if snapshot is not None:
                self._disk.save(snapshot)

    def _compare(self) -> None:
        """Ask the registry whether it knows what we know."""
        with self._lock:
            ready = self._hearing.now and all(followed.known.complete for followed in self._followed.values())
            services, before = tuple(followed.service for followed in self._followed.values()), self._revision
        self._agreement.later(_now())
        if not ready:
            return
        said = self._ask_digests(services)
        with self._lock:
            feed, told = self._feed, (before, self._revision)
            equal = all(digest.digest == self._digest(portion) for portion, digest in said.items())
        if not said or feed is None:
            return
        asked_revision = max(digest.revision for digest in said.values())
        if self._agreement.judge(_now(), told, asked_revision, equal=equal) == "differs":
            _log.warning("%s", _DIFFERS)
            self._observers.tell(FeedLost(self._namespace, _DIFFERS))
            feed.restart()

    def _ask_digests(self, services: tuple[str, ...]) -> dict[tuple[str, ...], Digest]:
        """What the registry says of them, in portions; nothing when it could not be asked."""
        said: dict[tuple[str, ...], Digest] = {}
        for portion in portions(services):
            try:
                digest = self._backend.digest(self._namespace, portion)
            except ClientError:
                return {}  # the feed finds out by itself whether the registry is gone
            if digest is None:
                self._agreement.never()
                return {}
            said[portion] = digest
        return said

    def _digest(self, services: tuple[str, ...]) -> str:
        return digest_of(chain.from_iterable(self._followed[service.lower()].known.confirmed() for service in services))


def _now() -> Instant:
    return Instant(time.monotonic_ns())

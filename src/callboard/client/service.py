"""The handle on a service for programs with threads. Its twin for asyncio, with the same names, is `callboard.client.aio.service`."""

import threading
from collections.abc import Iterator
from types import TracebackType

from callboard.balance.endpoint import Endpoint
from callboard.balance.picked import Picked
from callboard.balance.selector import Judged
from callboard.client.attempts import Attempts, Call
from callboard.client.deadline import bounded
from callboard.client.service_base import NOT_TWICE, WATCH_LOOK_S, ServiceBase
from callboard.client.snapshot import Snapshot

__all__ = ["Service"]


class Service(ServiceBase):
    """Whom to call. It may be used by several threads; make one and keep it, for it learns from the calls that go through it."""

    @property
    def snapshot(self) -> Snapshot:
        """All that is known. The first time it waits, at most `first_wait_ms`. Raises `NoPictureError`."""
        followed = self._finder.followed
        return followed.snapshot or followed.wait(followed.patience_ms())

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Whom a call may go to now; it waits as `snapshot` does."""
        self._ready()
        return self._finder.endpoints

    def wait(self, timeout_s: float | None = None) -> Snapshot:
        """Until something is known; None: `first_wait_ms`. Raises `NoPictureError`, which says why nothing is."""
        return self._wait(timeout_s)

    def fresh(self, timeout_s: float | None = None) -> Snapshot:
        """Until the registry itself was heard, not only the disk. Raises `NoPictureError`."""
        return self._wait(timeout_s, fresh=True)

    def considered(self) -> tuple[Judged, ...]:
        """Every instance, whether it is called, and why. It waits as `snapshot` does."""
        self._ready()
        self._finder.followed.ensure()
        return self._finder.selection().considered

    def pick(self) -> "Picking":
        """`with users.pick() as endpoint`: one call to one instance. An exception inside counts as a failure of the instance.

        Raises `NoInstanceError` when nobody can be called, and waits as `snapshot` does.
        """
        return Picking(self)

    def attempts(self, *, idempotent: bool = True, timeout_s: float | None = None) -> Attempts:
        """`for attempt in users.attempts()`: one call, tried at up to `attempts_max_count` instances (`callboard.client.attempts`).

        `timeout_s` is for all of them together; a surrounding `deadline.within` shortens it. A call that is not idempotent is tried
        again only when it surely was not sent. Raises `DeadlineError`, `NoPictureError` and `NoInstanceError` when it begins.
        """
        return Attempts(Call(self._finder, idempotent=idempotent, timeout_s=timeout_s))

    def watch(self) -> Iterator[Snapshot]:
        """What is known, as soon as it is, and then every change until the board is closed.

        Who is slow misses what lies between: `added`, `removed` and `changed` are always the differences to what was told before.
        """
        followed = self._finder.followed
        news = threading.Event()
        remove = followed.listen(news.set)
        before: Snapshot | None = None
        try:
            while not followed.closed:
                news.clear()
                newest = followed.snapshot
                if newest is not None and (before is None or not newest.same(before)):
                    before, told = newest, newest.since(before)
                    yield told
                else:
                    news.wait(WATCH_LOOK_S)
        finally:
            remove()

    def _wait(self, timeout_s: float | None, *, fresh: bool = False) -> Snapshot:
        timeout_ms = self._first_wait_ms if timeout_s is None else round(bounded(timeout_s) * 1000)
        return self._finder.followed.wait(timeout_ms, fresh=fresh)

    def _ready(self) -> None:
        followed = self._finder.followed
        if followed.latest is None:
            followed.wait(followed.patience_ms())

    def choose(self) -> Picked:
        """For `pick`: the instance of one call."""
        self._ready()
        return self._finder.picked()


class Picking:
    """What `pick` answers: an instance as long as it is called. It may be entered again, but not twice at once."""

    __slots__ = ("_picked", "_service")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._picked: Picked | None = None

    def __enter__(self) -> Endpoint:
        if self._picked is not None:
            raise RuntimeError(NOT_TWICE)
        self._picked = self._service.choose()
        return self._picked.endpoint

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._picked is not None:
            self._service.finder.done(self._picked, error)
            self._picked = None

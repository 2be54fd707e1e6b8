"""How new this member's answers are, and how they become newer: consistent reads, and readers who have seen more elsewhere.

A member that follows asks the store where its head is and waits until the view is there; one question serves everybody who asked before
it began. It lives as long as the registry.
"""

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from callboard.model.errors import StoreError
from callboard.model.rows import Refusal, Revision
from callboard.model.time import MILLISECOND
from callboard.registry.beating import Beating
from callboard.registry.door import Door
from callboard.registry.following import Following
from callboard.registry.means import Means
from callboard.registry.pending import Promise

_log = logging.getLogger(__name__)
_OUT_OF_TOUCH: Final = "this member has not heard from a leader for a while; try again in a second, or another member"
_NOT_PRESENT: Final = "the store has let go of this member, and the others do not count it; try again in a second, or another member"
_BEHIND_STORE: Final = "this member does not keep up with the store; try again in a second, or another member"
_SILENT: Final = Refusal("unavailable", "", "the store does not answer, so this read cannot be consistent; try again, or read stale")
_BEHIND: Final = Refusal("unavailable", "", "this member is behind the store; try again, or another member")


class Contact(NamedTuple):
    """How far an answer of this member can be trusted to be new."""

    leader: str
    """Name of the member that leads, as far as this one knows; empty when it knows of none."""
    known: bool
    """Whether there is a leader that this member is in touch with."""
    age_ms: int
    """The view showed everything that was acknowledged so long ago."""


class Freshness:
    """The age of the view, and questions to the store's head, shared."""

    def __init__(self, means: Means, following: Following, door: Door, beating: Beating, present: Callable[[], bool]) -> None:
        """`present` tells whether the others count this member."""
        self._clock = means.clock
        self._door = door
        self._beating = beating
        self._present = present
        self._begun = means.clock.now()
        self._store = means.store
        self._settings = means.settings
        self._following = following
        self._tasks = means.tasks
        self._waiting: list[Promise[Revision | None]] = []
        self._asking = False

    def begin(self) -> None:
        """The view was loaded just now."""
        self._begun = self._clock.now()

    def contact(self) -> Contact:
        """How new answers are at this moment."""
        term, member = self._door.term, self._settings.member
        if not self._store.caps.shared:
            return Contact(member if term is not None else "", term is not None, 0)
        now = self._clock.now()
        if term is not None:
            confirmed = term.confirmed()
            return Contact(member, confirmed, 0 if confirmed else (now - term.confirmed_at) // MILLISECOND)
        fresh, touched = self._beating.fresh_at, self._beating.touched_at
        age_ms = (now - (fresh if fresh is not None else self._begun)) // MILLISECOND
        known = touched is not None and now - touched < self._settings.cut_off_after_ms * MILLISECOND and not self.behind
        return Contact(self._following.view.term.member if known else "", known, age_ms)

    @property
    def out_of_touch(self) -> bool:
        """Whether this member has not heard from a leader for so long that whoever waits for one has waited enough."""
        if self._door.term is not None or not self._store.caps.shared:
            return False
        touched = self._beating.touched_at
        return self._clock.now() - (touched if touched is not None else self._begun) > self._settings.leader_wait_ms * MILLISECOND

    def no_writes(self) -> str:
        """Why this member, when it does not lead, takes nothing now; empty when it does."""
        if self.out_of_touch:
            return _OUT_OF_TOUCH
        if not self._present():
            return _NOT_PRESENT
        return _BEHIND_STORE if self.behind else ""

    @property
    def behind(self) -> bool:
        """Whether a caller was told of a revision that this member's view does not show."""
        return self._door.behind > self._following.view.revision

    def head(self) -> Promise[Revision | None]:
        """A revision at or after everything acknowledged before this call; None when the store does not say."""
        promise: Promise[Revision | None] = Promise()
        self._waiting.append(promise)
        if not self._asking:
            self._asking = True
            self._tasks.spawn(self._ask(), name="head")
        return promise

    async def _ask(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                revision: Revision | None = None
                try:
                    revision = (await self._store.head()).revision
                except StoreError as error:
                    _log.debug("the store does not say where its head is: %s", error)
                finally:
                    for promise in waiting:
                        promise.tell(revision)
        finally:
            self._asking = False

    def fresh(self) -> Promise[Refusal | None]:
        """None once the view shows everything acknowledged before this call."""
        if self._newest():
            return Promise.of(None)
        promise: Promise[Refusal | None] = Promise()

        def asked(revision: Revision | None) -> None:
            if revision is None:
                promise.tell(_SILENT)
                return
            self._following.reached(revision, self._settings.catch_up_ms).then(shown)

        def shown(arrived: bool) -> None:  # noqa: FBT001  # the shape of a callback
            promise.tell(None if arrived else _BEHIND)

        self.head().then(asked)
        return promise

    def reached(self, revision: Revision) -> Promise[bool]:
        """Whether the view comes to show `revision`: at once False when the store has not come so far."""
        if revision <= self._following.view.revision:
            return Promise.of(True)
        if self._newest():
            return Promise.of(False)
        promise: Promise[bool] = Promise()

        def asked(head: Revision | None) -> None:
            if head is None or head < revision:
                promise.tell(False)
            else:
                self._following.reached(revision, self._settings.catch_up_ms).then(promise.tell)

        self.head().then(asked)
        return promise

    def _newest(self) -> bool:
        """Whether nobody can have seen more than this member: it leads, and nothing is at the store."""
        term = self._door.term
        return term is not None and term.settled

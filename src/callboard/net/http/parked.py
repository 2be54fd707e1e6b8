"""Blocked queries: small objects that wait for an answer to change, without a task, a future or a timer each.

A waiter is parked from its request until a newer body, the end of its wait, or the end of its connection. A change renders each answer
once, wakes nobody when the body is the same, and renders and writes in slices, since ten thousand writes or a hundred large answers in one
go would stop the loop for a tenth of a second, or for seconds. Changes that follow closely on a wake-up are merged into the next one.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final, Literal, NamedTuple

from callboard.model.time import MICROSECOND, MILLISECOND, SECOND, Instant
from callboard.model.topics import Topic
from callboard.net.http.answers import Answers, Kept, Waiter
from callboard.net.http.message import Errors, Read
from callboard.net.http.packing import Told
from callboard.net.http.settings import HttpSettings, HttpStats

Verdict = Literal["answer", "parked", "refused"]
ANSWER: Final[Verdict] = "answer"
PARKED: Final[Verdict] = "parked"
REFUSED: Final[Verdict] = "refused"
WAKE_SLICE: Final = 5 * MILLISECOND
"""So long answers that somebody waits for are rendered in one turn of the loop, or one at least: then others have theirs."""

COSTLY: Final = 2 * MILLISECOND
"""An answer that takes so long to render is not rendered for every change, or one large service that flaps takes the whole loop."""
WAKE_PAUSE_MAX: Final = 5 * SECOND
"""A rendering during which the machine stood still says nothing of the next one."""


class Turn(NamedTuple):
    """How work is put off, to the loop's next turn or by seconds, and the present time."""

    soon: Callable[[Callable[[], None]], object]
    later: Callable[[float, Callable[[], None]], object]
    now: Callable[[], Instant]


class Parked:
    """Everybody who waits, by the answer they wait for."""

    def __init__(self, answers: Answers, revision: Callable[[], int], turn: Turn, settings: HttpSettings, stats: HttpStats) -> None:
        """`revision` tells the revision of the view that answers are rendered from."""
        self._answers = answers
        self._revision = revision
        self._turn = turn
        self._settings = settings
        self._stats = stats
        self._count = 0
        self._due: deque[Kept] = deque()
        """What is to be rendered for those who wait."""
        self._ready: deque[tuple[set[Waiter], Kept, bool]] = deque()

    def read(self, who: Waiter, read: Read, errors: Errors) -> tuple[Verdict, Kept]:
        """Find the answer to a read, and park `who` if it has seen all there is and wants to wait; else it is to be answered, or refused.

        An index above the view's revision is from another life of the store: it is answered at once.
        """
        after = read.after
        if not after or read.wait <= 0:
            return ANSWER, self._answers.get(read, errors)
        kept = self._answers.find(read)
        if kept is None or not kept.paused:
            kept = self._answers.get(read, errors)
        if kept.failed or after < kept.index or after > max(kept.newest, self._revision()):
            return ANSWER, kept
        if not kept.live or self._count >= self._settings.parked_max_count:
            return REFUSED, kept
        self._count += 1
        self._stats.parked_now = self._count
        who.kept, who.after = kept, after
        kept.waiters.add(who)
        if not kept.paused:
            kept.told = kept.index
        return PARKED, kept

    def release(self, who: Waiter) -> Kept | None:
        """`who` waits no longer. Answers what it waited for, None if it did not wait."""
        kept = who.kept
        if kept is not None:
            self._count -= 1
            self._stats.parked_now = self._count
            kept.waiters.discard(who)
            who.kept = None
        return kept

    def expire(self, who: Waiter) -> None:
        """The wait of `who` is over: it is answered with what there is."""
        kept = self.release(who)
        if kept is not None:
            self._stats.timeouts += 1
            who.answered(kept)

    def changed(self, topics: Collection[Topic]) -> None:
        """These topics have changed: whoever waits for an answer that is now another one is woken."""
        self._wake_soon(self._answers.changed(topics))

    def _wake_soon(self, waited: Iterable[Kept]) -> None:
        """These are stale, and somebody waits for them."""
        idle = not self._due
        for kept in waited:
            if kept.paused:
                continue
            kept.paused = True
            pause = kept.quiet_until - self._turn.now()
            if pause > 0:
                self._turn.later(pause / SECOND, partial(self._wake, kept))
                continue
            self._due.append(kept)
        if idle and self._due:
            self._wake_due()

    def release_all(self) -> None:
        """Answer everybody with what there is."""
        for kept in self._answers.waited():
            self._put_ready(kept, whatever=True)

    def _wake_due(self) -> None:
        end = self._turn.now() + WAKE_SLICE
        try:
            while self._due:
                self._wake(self._due.popleft())
                if self._turn.now() >= end:
                    break
        finally:
            if self._due:  # also when one could not be handed out
                self._turn.soon(self._wake_due)

    def _wake(self, kept: Kept) -> None:
        kept.paused = False
        if not kept.waiters:
            return  # all have left: it is rendered when somebody asks
        begin = self._turn.now()
        self._answers.refresh(kept)
        now = self._turn.now()
        pause = 0
        if now - begin >= COSTLY:  # whether or not it is another answer
            pause = (now - begin) * self._settings.wake_pause_renderings_count
        if kept.failed or kept.index != kept.told:
            kept.told = kept.index
            pause = max(pause, len(kept.waiters) * self._settings.wake_pause_us_per_waiter * MICROSECOND)
            packing = self._answers.packing(kept) if kept.wants_gzip and not kept.failed else None
            kept.wants_gzip = False  # until the next of them asks
            if packing is None:
                self._put_ready(kept, whatever=kept.failed)
            else:
                kept.paused = True
                packing.then(partial(self._wake_packed, kept))
        kept.quiet_until = now + min(pause, WAKE_PAUSE_MAX)

    def _wake_packed(self, kept: Kept, _packed: Told) -> None:
        """It is compressed: whoever waits for it is told of it, or of what it has become meanwhile."""
        kept.paused = False
        self._put_ready(kept, whatever=False)

    def _put_ready(self, kept: Kept, *, whatever: bool) -> None:
        self._ready.append((kept.waiters, kept, whatever))
        kept.waiters = set()
        if len(self._ready) == 1:
            self._turn.soon(self._hand_out)

    def _hand_out(self) -> None:
        try:
            self._hand_out_slice(self._settings.hand_out_slice_count)
        finally:
            if self._ready:  # also when one answer failed: the others are still owed theirs
                self._turn.soon(self._hand_out)

    def _hand_out_slice(self, budget: int) -> None:
        while self._ready and budget > 0:
            waiters, kept, whatever = self._ready[0]
            while waiters and budget > 0:
                who = waiters.pop()
                budget -= 1
                if who.kept is not kept:
                    continue  # gone, answered when its time was over, or parked elsewhere since
                if whatever or who.after < kept.index or not kept.live:
                    self.release(who)
                    self._stats.woken += 1
                    who.answered(kept)
                else:
                    kept.waiters.add(who)  # has seen this, or parked again since
                    if not kept.fresh:
                        self._wake_soon((kept,))  # changed while nobody seemed to wait for it
            if not waiters:
                self._ready.popleft()

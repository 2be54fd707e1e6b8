"""What the leader keeps: the view, the overlay, and the groups that wait for the store. Sequential and synchronous; the committer awaits.

Commands are planned the moment they are submitted, each on what all earlier ones leave, and share groups. Outcomes wait in their group:
they are released only when its mark is durable, whether their command changed something, nothing, or was refused.
"""

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from callboard.core.catalog.changes import Changes
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.fold import fold
from callboard.core.catalog.overlay import Overlay
from callboard.core.catalog.planning import plan
from callboard.core.catalog.view import View
from callboard.model.errors import TooLargeError
from callboard.model.rows import ZERO, Group, Key, Outcome, Position, Refusal, RefusalReason, Revision, Row
from callboard.model.time import Timestamp
from callboard.registry.submission import Submission
from callboard.store.contract import Caps, judge_limits

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Batch:
    """Commands that will share a group, their outcomes in order, and their rows, the last one per key."""

    first: Revision
    last: Revision
    rows: dict[Key, Row | None] = field(default_factory=dict)
    size_bytes: int = 0
    submissions: list[Submission] = field(default_factory=list)
    removing: list[bool] = field(default_factory=list)
    """Of each: does it remove rows."""
    outcomes: list[Outcome] = field(default_factory=list)

    def group(self, after: Position, mark: bytes) -> Group:
        """The group to commit right after `after`."""
        if not self.rows:
            return Group(after, after.revision, after.revision, mark, {}, tuple(self.outcomes))
        return Group(after, self.first, self.last, mark, self.rows, tuple(self.outcomes))

    def release(self) -> None:
        """Tell every outcome."""
        for submission, outcome in zip(self.submissions, self.outcomes, strict=True):
            _tell(submission, outcome)

    def refuse(self, reason: RefusalReason, detail: str) -> None:
        """Refuse every command."""
        for submission in self.submissions:
            _refuse(submission, reason, detail)


class GivenUp(NamedTuple):
    """Commands without an outcome when the lead ended."""

    doubtful: list[Submission]
    """They were at the store."""
    unsent: list[Submission]
    """They surely did not count."""

    def refuse(self) -> None:
        """Where nobody else can lead after this process: say what is known."""
        for submission in self.doubtful:
            _refuse(submission, "unknown_outcome", "this server gave up the lead meanwhile; whether the command counted is not known")
        for submission in self.unsent:
            _refuse(submission, "deposed", "this server gave up the lead before the command was written; it did not count")


class Leader:
    """Plans, groups, folds. Only one group is at the store at a time, and none is begun before that one is settled.

    Whoever is told an outcome may submit again at once: outcomes are told last, when everything here is in order.
    """

    def __init__(self, view: View, caps: Caps, group_commands_max_count: int, floor: Revision = ZERO) -> None:
        """Numbers begin above the view and above `floor`, the highest that any member has shown: a store that was set back must not give
        one number two meanings."""
        self.view = view
        self._caps = caps
        self._small_bytes = min(caps.value_bytes, caps.bytes_limit)
        """A command whose rows have no more together is too large in no way."""
        self._group_commands_max_count = group_commands_max_count
        self._overlay = Overlay()
        self._floor = floor
        self._next = Revision(max(view.revision, floor) + 1)
        self._waiting: deque[Batch] = deque()
        self.pending_count = 0
        """Commands without an outcome yet."""
        self.lost = False
        """Whether the lead is over; no command may be taken any more."""

    @property
    def busy(self) -> bool:
        """Whether anything waits to be committed."""
        return bool(self._waiting)

    @property
    def planning(self) -> bool:
        """Whether any row is to change by a command that is not durable yet."""
        return bool(self._overlay.entries)

    def planned(self, key: Key) -> bool:
        """Whether this row is."""
        return key in self._overlay.entries

    def take(self, submission: Submission, now: Timestamp) -> Outcome:
        """Plan a command into the last waiting batch that has room. The outcome is for the leader's eyes until it is released."""
        draft = Draft(self.view, self._overlay, self._next)
        decision = plan(draft, submission.command, now)
        rows = draft.rows
        size_bytes, removes = 0, False
        for key, row in rows.items():
            if row is None:
                size_bytes += len(key)
                removes = True
            else:
                size_bytes += len(key) + len(row.value)
        refusal = decision.refusal
        if refusal is None and (size_bytes > self._small_bytes or len(rows) > self._caps.group_rows):
            refusal = self._too_large(rows)
        if refusal is None and rows:
            revision = self._next
            outcome = Outcome(submission.id, revision, True, decision.node)  # noqa: FBT003  # by name it takes twice as long
            draft.accept()
            self._next = Revision(revision + 1)
            batch = self._batch(len(rows), size_bytes)
            if not batch.rows:
                batch.first = revision
            batch.last = revision
            batch.rows.update(rows)
            batch.size_bytes += size_bytes
        else:
            outcome = Outcome(submission.id, Revision(self._next - 1), changed=False, node=decision.node, refusal=refusal)
            batch = self._batch(0, 0)
            removes = False
        batch.submissions.append(submission)
        batch.removing.append(removes)
        batch.outcomes.append(outcome)
        self.pending_count += 1
        return outcome

    def _too_large(self, rows: dict[Key, Row | None]) -> Refusal | None:
        try:
            judge_limits(rows, self._caps)
        except TooLargeError as error:
            return Refusal("too_large", "", f"the command is {error}")
        return None

    def _batch(self, rows: int, size_bytes: int) -> Batch:
        if self._waiting:
            last = self._waiting[-1]
            if (
                len(last.submissions) < self._group_commands_max_count
                and len(last.rows) + rows <= self._caps.group_rows
                and last.size_bytes + size_bytes <= self._caps.group_bytes
            ):
                return last
        batch = Batch(self._next, self._next)
        self._waiting.append(batch)
        return batch

    def next_batch(self) -> Batch:
        """The batch to commit now; it is settled by `durable` or `failed`."""
        return self._waiting.popleft()

    def durable(self, batch: Batch, group: Group, position: Position) -> Changes | None:
        """The batch's mark is durable: fold it. The caller tells the changes to whoever waits, then releases the batch."""
        self.pending_count -= len(batch.submissions)
        if not group.rows:
            return None
        changes = fold(self.view, group, position, self._overlay.entries)
        self._overlay.folded(group)
        return changes

    def full(self, batch: Batch, detail: str, now: Timestamp) -> None:
        """There was no room for the batch. Its commands that remove something are planned again, together: that may pass."""
        removing = [submission for submission, removes in zip(batch.submissions, batch.removing, strict=True) if removes]
        if len(removing) == len(batch.submissions):
            self.failed(batch, "full", detail, now)
            return
        later = [submission for waiting in self._waiting for submission in waiting.submissions]
        self._begin_again()
        for submission in removing:
            self.take(submission, now)
        if removing and later:
            self._waiting.append(Batch(self._next, self._next))
        for submission in later:
            self.take(submission, now)
        kept = {submission.id for submission in removing}
        for submission in batch.submissions:
            if submission.id not in kept:
                _refuse(submission, "full", detail)

    def _begin_again(self) -> None:
        """Nothing is planned any more."""
        self._waiting.clear()
        self._overlay.clear()
        self._next = Revision(max(self.view.revision, self._floor) + 1)
        self.pending_count = 0

    def failed(self, batch: Batch, reason: RefusalReason, detail: str, now: Timestamp) -> None:
        """The batch did not land: its commands are refused, and all later ones, which were planned on top of it, are planned again."""
        later = [submission for waiting in self._waiting for submission in waiting.submissions]
        self._begin_again()
        for submission in later:
            self.take(submission, now)
        batch.refuse(reason, detail)

    def give_up(self, batch: Batch | None) -> GivenUp:
        """The lead is over. What became of a batch that was at the store only the feed can tell; the commands behind it were never sent."""
        unsent = [submission for waiting in self._waiting for submission in waiting.submissions]
        self._waiting.clear()
        self._overlay.clear()
        self.pending_count = 0
        self.lost = True
        return GivenUp(batch.submissions if batch is not None else [], unsent)


def _tell(submission: Submission, outcome: Outcome) -> None:
    try:
        submission.release(outcome)
    except Exception:  # noqa: BLE001  # a door that fails on its own answer must not keep the other commands of the group from theirs
        _log.exception("telling the outcome of command %s failed", submission.id)


def _refuse(submission: Submission, reason: RefusalReason, detail: str) -> None:
    _tell(submission, refusal_outcome(submission, reason, detail))


def refusal_outcome(submission: Submission, reason: RefusalReason, detail: str) -> Outcome:
    """The outcome of a command that was not even planned."""
    return Outcome(submission.id, Revision(0), refusal=Refusal(reason, "", detail))

"""This member's door: every command that entered here, on its way to the leader, whoever that is, until its outcome is told.

A command is queued (it surely did not count), under way to another member, or doubtful: the term it was sent in ended without a word.
The feed settles a doubtful one: its outcome comes with its group, or a new leader's opening group comes first, and then it never counted
and is queued again. Only when time runs out is the caller told that nobody knows. The door lives as long as the registry.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from callboard.core.catalog.commands import Command
from callboard.model.rows import CommandId, Group, Outcome, RefusalReason, Revision
from callboard.model.time import MILLISECOND, Instant
from callboard.registry import messages as msg
from callboard.registry.following import Following
from callboard.registry.leader import GivenUp, refusal_outcome
from callboard.registry.line import Leading, Line
from callboard.registry.means import Means
from callboard.registry.peers import UnreachableError
from callboard.registry.submission import Submission
from callboard.registry.term import Term

_log = logging.getLogger(__name__)
_NO_LEADER: Final = "no leader took the command in time; it did not count: try again in a second"
_UNKNOWN: Final = "the leader went away meanwhile; whether the command counted is not known"


class _Doubt(NamedTuple):
    """A command that a leader of this term may have taken, or may not."""

    submission: Submission
    term: int


class Door:
    """Commands in, outcomes out. Synchronous but for the loop that carries batches to another member."""

    def __init__(self, means: Means, nonce: str, line: Line, following: Following) -> None:
        self.nonce = nonce
        self.term: Term | None = None
        """The term of this member, while it leads."""
        self._settings = means.settings
        self._clock = means.clock
        self._stats = means.stats
        self._line = line
        self._following = following
        self._count = 0
        self._batch = 0
        self._queue: deque[Submission] = deque()
        self._sent: dict[int, Submission] = {}
        self._doubts: dict[int, _Doubt] = {}
        self._since: dict[int, Instant] = {}
        """When those that wait entered."""
        self._missed: set[int] = set()
        """Of those under way: the feed skipped groups that may have told their outcomes."""
        self.behind = Revision(0)
        """A caller was told of this revision although the view does not show it yet."""
        self._something = asyncio.Event()
        self._sweeping = False

    # -- in

    def submit(self, command: Command) -> Submission:
        """Hand it to the leader, at once where that is this member."""
        submission = self.named(command)
        term = self.term
        if term is not None and term.open:
            if term.pending_count >= self._settings.commands_pending_max_count:
                self._overloaded(submission, term.pending_count)
            else:
                term.take(submission)
            return submission
        waiting = self.waiting_count
        if waiting >= self._settings.commands_pending_max_count:
            self._overloaded(submission, waiting)
        else:
            self._stats.commands += 1
            self._enqueue(submission)
        return submission

    def named(self, command: Command) -> Submission:
        """With an id of this door."""
        self._count += 1
        return Submission(CommandId(self.nonce, self._count), command)

    def refused(self, command: Command, reason: RefusalReason, detail: str) -> Submission:
        """Not even tried."""
        submission = self.named(command)
        self._refuse(submission, reason, detail)
        return submission

    def _overloaded(self, submission: Submission, waiting: int) -> None:
        detail = f"{waiting} commands wait for the store (commands_pending_max_count); try again in a second"
        self._refuse(submission, "overloaded", detail)

    def _refuse(self, submission: Submission, reason: RefusalReason, detail: str) -> None:
        self._stats.commands_refused += 1
        submission.release(refusal_outcome(submission, reason, detail))

    def _enqueue(self, submission: Submission) -> None:
        """It surely did not count so far: whoever leads is to plan it."""
        if self.term is not None and self.term.open:
            self._since.pop(submission.id.number, None)
            self.term.take(submission)
            return
        self._since.setdefault(submission.id.number, self._clock.now())
        self._queue.append(submission)
        self._something.set()
        self._sweep_later()

    @property
    def waiting_count(self) -> int:
        """Commands without an outcome that this member does not plan itself."""
        return len(self._queue) + len(self._sent) + len(self._doubts)

    # -- the lead comes and goes

    def lead(self, term: Term) -> None:
        """This member leads from now on: what waits is planned here."""
        self.term = term
        self.opened(term.number)
        queue, self._queue = self._queue, deque()
        for submission in queue:
            self._since.pop(submission.id.number, None)
            term.take(submission)

    def given_up(self, left: GivenUp, term: int) -> None:
        """The lead of this member ended: those of its own commands that have no outcome wait for the next leader, or for the feed."""
        self.term = None
        for submission in left.doubtful:
            self._doubt(submission, term)
        for submission in left.unsent:
            if submission.id.door == self.nonce:
                self._enqueue(submission)

    def _doubt(self, submission: Submission, term: int) -> None:
        if submission.id.door != self.nonce:
            return
        self._stats.doubtful += 1
        self._since.setdefault(submission.id.number, self._clock.now())
        self._doubts[submission.id.number] = _Doubt(submission, term)
        self._sweep_later()

    # -- what the feed tells

    def folded(self, group: Group) -> None:
        """A group of another leader is in the view: it tells the outcomes of commands that were in it."""
        for outcome in group.outcomes:
            if outcome.command.door == self.nonce:
                number = outcome.command.number
                submission = self._waiting(number)
                if submission is not None:
                    self._since.pop(number, None)
                    submission.release(outcome)

    def _waiting(self, number: int) -> Submission | None:
        """Take out the command of that number, wherever it waits."""
        if number not in self._since:
            return None
        doubt = self._doubts.pop(number, None)
        if doubt is not None:
            return doubt.submission
        submission = self._sent.pop(number, None)
        if submission is None:
            submission = next((queued for queued in self._queue if queued.id.number == number), None)
            if submission is not None:
                self._queue.remove(submission)
        return submission

    def opened(self, term: int) -> None:
        """A leader has opened this term: what was sent in an earlier one, and was not told by now, never counted."""
        void = [number for number, doubt in self._doubts.items() if doubt.term < term]
        for number in void:
            self._enqueue(self._doubts.pop(number).submission)

    def lost_track(self) -> None:
        """The feed skipped groups: what they said of doubtful commands nobody will tell."""
        self._missed |= self._sent.keys()
        doubts, self._doubts = self._doubts, {}
        for doubt in doubts.values():
            self._unknown(doubt.submission)

    def _unknown(self, submission: Submission) -> None:
        self._since.pop(submission.id.number, None)
        self._stats.doubtful_unknown += 1
        self._refuse(submission, "unknown_outcome", _UNKNOWN)

    # -- to another member

    async def carry(self) -> None:
        """Bring batches to the leader as long as that is another member."""
        while True:
            await self._something.wait()
            self._something.clear()
            await asyncio.sleep(self._settings.gather_ms / 1_000)
            while self._queue and self.term is None:
                leading = self._line.leading()
                if leading is None or not await self._bring(leading):
                    await asyncio.sleep(self._settings.exchange_retry_wait_ms / 1_000)

    async def _bring(self, leading: Leading) -> bool:
        """One batch, until it is settled or doubtful; False when the leader did not take it."""
        self._batch += 1
        taken = self._take()
        self._sent = {submission.id.number: submission for submission in taken}
        message = msg.Commands(
            self.nonce, leading.term, self._batch, tuple(msg.Numbered(submission.id.number, submission.command) for submission in taken)
        )  # fmt: skip
        try:
            reply = await self._exchange(leading, message)
        finally:
            sent, self._sent = self._sent, {}
            missed, self._missed = self._missed, set()
        if isinstance(reply, msg.Settled):
            self._settle(sent, reply.outcomes)
        elif isinstance(reply, msg.NotLeading):
            for submission in sent.values():
                self._enqueue(submission)
            return False
        else:
            for submission in sent.values():
                if submission.id.number in missed or self._following.hidden:
                    self._unknown(submission)
                else:
                    self._doubt(submission, leading.term)
            self.opened(self._line.term)  # it may have been opened while the batch was under way
        return True

    def _take(self) -> list[Submission]:
        """As many of the queue as one message may carry, and one at least."""
        settings, size = self._settings, 0
        taken: list[Submission] = []
        while self._queue and len(taken) < settings.batch_commands_max_count:
            size += msg.size_bytes(self._queue[0].command)
            if taken and size > settings.batch_max_bytes:
                break
            taken.append(self._queue.popleft())
        return taken

    async def _exchange(self, leading: Leading, message: msg.Commands) -> msg.Reply | None:
        """Send the batch until there is an answer, for as long as its term may last. None: nobody knows what became of it."""
        certain = True
        while self._line.term == message.term and any(number in self._sent for number, _ in message.commands):
            try:
                self._stats.batches_sent += 1
                reply = await self._line.ask(leading, message)
            except UnreachableError as error:
                certain = certain and not error.sent
                if certain:
                    return msg.NotLeading()
                _log.debug("batch %d is sent again: %s", message.batch, error)
                await asyncio.sleep(self._settings.exchange_retry_wait_ms / 1_000)
                continue
            if isinstance(reply, msg.NotLeading) and not certain:
                return None
            return reply
        return None

    def _settle(self, sent: dict[int, Submission], outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            submission = sent.get(outcome.command.number)
            if submission is not None:
                self._when_shown(submission, outcome)

    def _when_shown(self, submission: Submission, outcome: Outcome) -> None:
        """Release it when this member's view shows it, so that the caller reads what it wrote; at most so late."""
        self._since.pop(submission.id.number, None)
        if outcome.refusal is not None:
            submission.release(outcome)
            return

        def release(shown: bool) -> None:  # noqa: FBT001  # the shape of a callback
            if not shown:
                self.behind = max(self.behind, outcome.revision)
            submission.release(outcome)

        self._following.reached(outcome.revision, self._settings.catch_up_ms).then(release)

    # -- time

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(0.25, self._sweep)

    def _sweep(self) -> None:
        """Tell those who waited too long."""
        self._sweeping = False
        now = self._clock.now()
        held = now - self._settings.leader_wait_ms * MILLISECOND
        doubted = now - self._settings.command_wait_ms * MILLISECOND
        late = [submission for submission in self._queue if self._since[submission.id.number] <= held]
        if late:
            gone = {submission.id.number for submission in late}
            self._queue = deque(submission for submission in self._queue if submission.id.number not in gone)
            for submission in late:
                del self._since[submission.id.number]
                self._refuse(submission, "unavailable", _NO_LEADER)
        for number in [number for number, doubt in self._doubts.items() if self._since[number] <= doubted]:
            self._unknown(self._doubts.pop(number).submission)
        for number in [number for number in self._sent if self._since[number] <= doubted]:
            self._unknown(self._sent.pop(number))
        if self.waiting_count:
            self._sweep_later()

    def close(self) -> None:
        """Tell everybody who still waits."""
        for submission in self._queue:
            self._refuse(submission, "unavailable", "this server is stopping; the command did not count")
        for submission in [*self._sent.values(), *(doubt.submission for doubt in self._doubts.values())]:
            self._refuse(submission, "unknown_outcome", "this server stopped meanwhile; whether the command counted is not known")
        self._queue.clear()
        self._sent.clear()
        self._doubts.clear()

"""The leader's side of the other members' doors: their batches of commands and heartbeats, each taken once. It lives for one term.

The last batch of a door is kept to the end of the term, also when the door has left: it may only seem so, and may send that batch again.
"""

import logging
from collections.abc import Sequence

from callboard.core.catalog.commands import ReportCheck
from callboard.core.doors import UNKNOWN
from callboard.model.rows import CommandId, Outcome
from callboard.model.time import MILLISECOND, Instant
from callboard.registry import messages as msg
from callboard.registry.leader import refusal_outcome
from callboard.registry.pending import Promise
from callboard.registry.stats import RegistryStats
from callboard.registry.submission import Submission
from callboard.registry.term import Term

_log = logging.getLogger(__name__)


class _Batch:
    """One batch of commands, and everybody who waits for its outcomes: a batch may be sent again when its answer was lost."""

    def __init__(self, number: int, size: int) -> None:
        self.number = number
        self._left = size
        self._outcomes: list[Outcome] = []
        self._waiting: list[Promise[msg.Reply]] = []
        self._reply: msg.Reply | None = None

    def take(self, outcome: Outcome) -> None:
        """One of its commands is settled."""
        self._outcomes.append(outcome)
        self._left -= 1
        if self._left == 0:
            self.tell(msg.Settled(tuple(self._outcomes)))

    def tell(self, reply: msg.Reply) -> None:
        """Answer everybody."""
        if self._reply is None:
            self._reply = reply
            waiting, self._waiting = self._waiting, []
            for promise in waiting:
                promise.tell(reply)

    def reply(self) -> Promise[msg.Reply]:
        """What is said of it, once that is known."""
        if self._reply is not None:
            return Promise.of(self._reply)
        promise: Promise[msg.Reply] = Promise()
        self._waiting.append(promise)
        return promise


class Reception:
    """Takes what other members hand in while the term is open."""

    def __init__(self, term: Term, stats: RegistryStats, commands_pending_max_count: int) -> None:
        self._term = term
        self._stats = stats
        self._pending_max_count = commands_pending_max_count
        self._batches: dict[str, _Batch] = {}
        self._beats: dict[str, int] = {}
        """The last batch of heartbeats of each door. One that comes late or again tells nothing about now."""

    def commands(self, message: msg.Commands) -> Promise[msg.Reply]:
        """Plan each; the reply tells all outcomes. A batch that came before gets the same reply."""
        term = self._term
        last = self._batches.get(message.door)
        if last is not None and message.batch <= last.number:
            return last.reply() if message.batch == last.number else Promise.of(msg.Ended())
        if not term.open or message.term != term.number or term.pending_count >= self._pending_max_count:
            return Promise.of(msg.NotLeading())
        self._stats.batches_heard += 1
        batch = self._batches[message.door] = _Batch(message.batch, len(message.commands))
        if not message.commands:
            batch.tell(msg.Settled(()))
        door = term.doors.number(message.door)
        for number, command in message.commands:
            submission = Submission(CommandId(message.door, number), command)
            submission.then(batch.take)
            if door is None and isinstance(command, ReportCheck) and command.nonce:
                detail = "the store has let go of the member that probed; the check is another's"
                submission.release(refusal_outcome(submission, "superseded", detail))
                continue
            try:
                term.take(submission, UNKNOWN if door is None else door)
            except Exception:  # noqa: BLE001  # a bug about one command must not keep the others of the batch from their outcomes
                _log.exception("planning command %s failed", submission.id)
                submission.release(refusal_outcome(submission, "unknown_outcome", "the leader failed on this command; its log says how"))
        return batch.reply()

    def beats(self, message: msg.Beats, now: Instant) -> msg.Reply:
        """Note each; acknowledged only if the lead is confirmed after that."""
        term = self._term
        if not term.open or message.term != term.number:
            return msg.NotLeading()
        if message.batch <= self._beats.get(message.door, 0):
            return msg.BeatsTaken(confirmed=False, revision=term.revision)
        self._beats[message.door] = message.batch
        self._stats.batches_heard += 1
        number = term.doors.number(message.door)
        door = UNKNOWN if number is None else number
        more = self._note(message.beats, now, door)
        term.doors.delivered(message.door, message.after, now)
        term.doors.answered(message.door, message.batch, now)
        if term.opinions is not None:
            term.opinions.probes(message.door, message.probing_count)
        if term.liveness.overdue_count:
            term.tick(now)  # what ran out may have waited for just this batch
        return msg.BeatsTaken(term.confirmed(), term.revision, more)

    def _note(self, beats: Sequence[msg.Heard], now: Instant, door: int) -> tuple[int, ...]:
        beat = self._term.beat
        return tuple(
            place for place, (key, age_ms) in enumerate(beats) if not beat(key, Instant(now - age_ms * MILLISECOND), door)
        )  # fmt: skip

    def end(self) -> None:
        """The term is over: what has no outcome yet gets none from here."""
        for batch in self._batches.values():
            batch.tell(msg.Ended())
        self._batches.clear()

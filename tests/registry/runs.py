"""A leader under test, without a loop: commands are submitted, groups land or fail, and an oracle follows what has landed."""

from collections.abc import Callable
from dataclasses import dataclass, field

from callboard.core.catalog.commands import Command
from callboard.model.rows import CommandId, Group, Key, Outcome, Row
from callboard.model.time import Timestamp
from callboard.registry.leader import Batch, Leader
from callboard.registry.submission import Submission
from callboard.store.contract import Caps
from callboard.testing.digest import digest
from callboard.testing.oracle import Oracle
from tests.core.histories import Maker
from tests.core.world import answers, differences, indexes, land, opened

CAPS = Caps(value_bytes=10_000, group_rows=1_000, group_bytes=1_000_000, durable=False)
LOST = {"unavailable", "unknown_outcome", "deposed"}


@dataclass
class Sent:
    """A command, when it was last planned, and what was told of it."""

    submission: Submission
    planned: Timestamp
    told: list[Outcome] = field(default_factory=list)
    then: Callable[[], object] | None = None
    """What its door does when it is told."""

    def hear(self, outcome: Outcome) -> None:
        """Be told."""
        self.told.append(outcome)
        if self.then is not None:
            self.then()


class Run:
    """One leader over rows in a dictionary. Everything that must hold is asserted as it happens."""

    def __init__(self, group_commands_max_count: int = 4, caps: Caps = CAPS) -> None:
        self.rows: dict[Key, Row] = {}
        self.view = opened(self.rows)
        self.leader = Leader(self.view, caps, group_commands_max_count)
        self.oracle = Oracle()
        self.now = Timestamp(1_000)
        self.sent: dict[CommandId, Sent] = {}
        self.waiting: list[Sent] = []
        self._count = 0
        self._marks = 0

    def submit(self, maker: Maker) -> Sent:
        """Plan one more command; nobody may see or hear anything of it yet."""
        self._count += 1
        self.now = Timestamp(self.now + self._count % 3)
        return self.submit_command(maker(self.oracle, self._count))

    def submit_command(self, command: Command) -> Sent:
        """The same with a command that is ready."""
        before, position = digest(self.view), self.view.position
        sent = Sent(Submission(CommandId("door", len(self.sent)), command), self.now)
        sent.submission.then(sent.hear)
        self.sent[sent.submission.id] = sent
        self.waiting.append(sent)
        self.leader.take(sent.submission, self.now)
        assert not sent.told, f"released before anything is durable: {command}"
        assert (digest(self.view), self.view.position) == (before, position), f"seen before it is durable: {command}"
        return sent

    def commit(self) -> None:
        """The next group lands."""
        if self.leader.busy:
            batch = self.leader.next_batch()
            self._land(batch, batch.group(self.view.position, self._mark()))

    def fail(self) -> None:
        """The next group does not land."""
        if not self.leader.busy:
            return
        batch, before = self.leader.next_batch(), digest(self.view)
        dropped = self._take_off(batch)
        self.now = Timestamp(self.now + 1)
        for sent in self.waiting:
            sent.planned = self.now
        self.leader.failed(batch, "unavailable", "away", self.now)
        assert digest(self.view) == before
        for sent in dropped:
            assert [outcome.refusal and outcome.refusal.reason for outcome in sent.told] == ["unavailable"]
        assert not any(sent.told for sent in self.waiting)

    def finish(self) -> None:
        """Let everything land."""
        while self.leader.busy:
            self.commit()
        assert self.leader.pending_count == 0
        assert not self.waiting

    def _mark(self) -> bytes:
        self._marks += 1
        return f"mark {self._marks}".encode()

    def _take_off(self, batch: Batch) -> list[Sent]:
        taken = [self.sent[submission.id] for submission in batch.submissions]
        assert taken == self.waiting[: len(taken)], "commands leave in the order they came"
        del self.waiting[: len(taken)]
        return taken

    def _land(self, batch: Batch, group: Group) -> None:
        taken = self._take_off(batch)
        self._judge_numbers(group)
        content, index = answers(self.view), indexes(self.view)
        land(self.rows, group.rows)
        verdicts = [self.oracle.apply(sent.submission.command, sent.planned) for sent in taken]
        changes = self.leader.durable(batch, group, group.position)
        assert not any(sent.told for sent in taken), "released before the view has it"
        batch.release()
        for sent, verdict in zip(taken, verdicts, strict=True):
            [outcome] = sent.told
            assert (outcome.refusal and outcome.refusal.reason) == verdict.refusal, sent
            assert outcome.revision <= self.view.revision, "told a revision that the view does not have"
        wrong = differences(self.view, self.oracle)
        assert not wrong, "\n".join(wrong)
        for topic, before in index.items():
            now = indexes(self.view)[topic]
            assert now >= before, f"the index of {topic} fell from {before} to {now}"
            if answers(self.view)[topic] != content[topic]:
                assert changes is not None
                assert now > before, f"the index of {topic} did not rise"
                assert topic in changes.topics, f"nobody who waits for {topic} is woken"

    def _judge_numbers(self, group: Group) -> None:
        assert group.after == self.view.position
        if group.rows:
            assert group.after.revision < group.first <= group.last
        revisions = [outcome.revision for outcome in group.outcomes if outcome.changed]
        assert revisions == sorted(set(revisions)), "a number was given twice"
        assert all(group.first <= revision <= group.last for revision in revisions)
        assert {row.revision for row in group.rows.values() if row is not None} <= set(revisions)

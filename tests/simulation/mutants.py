# ruff: noqa: SLF001  # a mutant breaks what is inside, on purpose
"""The program with one rule broken at a time. The simulation must notice each, and is told where trouble of that kind is likeliest."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import planning
from callboard.core.catalog.changes import Changes
from callboard.core.catalog.fold import fold
from callboard.core.catalog.registering import Decision
from callboard.core.doors import Doors
from callboard.core.liveness import Liveness
from callboard.model.errors import DeposedError, IndeterminateError, UnavailableError
from callboard.model.rows import Group, Outcome, Position, RefusalReason, Revision
from callboard.model.time import Timestamp
from callboard.registry import messages as msg
from callboard.registry.candidacy import Candidacy
from callboard.registry.committer import Committer, LeadLostError
from callboard.registry.door import Door
from callboard.registry.leader import Batch, GivenUp, Leader
from callboard.registry.line import Leading
from callboard.registry.opinions import SecondOpinions
from callboard.registry.peers import UnreachableError
from callboard.registry.pending import Promise
from callboard.registry.probing import Probing
from callboard.registry.reception import Reception
from callboard.registry.submission import Submission
from callboard.store.memory.engine import MemoryEngine
from callboard.testing.simulation.engine import Lease, LeasedEngine
from tests.mutants import Patch
from tests.simulation import mutants_members as members


class Mutant(NamedTuple):
    rule: str
    breaks: Callable[[Patch], None]
    families: tuple[str, ...]
    """Kinds of trouble to look at."""


def _replace(owner: type, name: str, value: object) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)


# -- the store


def _no_head_guard(patch: Patch) -> None:
    real = MemoryEngine.commit

    def commit(engine: MemoryEngine, group: Group, by: object) -> Position:
        if group.rows and by is engine._leader:
            engine._fold(group)
            return engine.head
        return real(engine, group, by)

    patch.setattr(MemoryEngine, "commit", commit)


def _no_leader_guard(patch: Patch) -> None:
    def commit(engine: LeasedEngine, group: Group, lease: Lease) -> Position:
        if lease.over and group.rows and group.after == engine.head:
            engine.rows._fold(group)
            engine._witness.landed(group, lease)
            engine._changed()
            return engine.head
        return real(engine, group, lease)

    real = LeasedEngine.commit
    patch.setattr(LeasedEngine, "commit", commit)


def _no_mark_check(patch: Patch) -> None:
    real = MemoryEngine.next_group

    def next_group(engine: MemoryEngine, after: Position) -> Group | None:
        group = engine._history.get(after.revision)
        if group is None and after.revision >= engine.head.revision:
            return None
        return group if group is not None else real(engine, after)

    patch.setattr(MemoryEngine, "next_group", next_group)


# -- outcomes


def _by_number(patch: Patch) -> None:
    """The commands of a failed group are not refused; the group that takes their numbers acknowledges them."""
    real = Leader.durable
    failed: list[Batch] = []

    def fail(leader: Leader, batch: Batch, _reason: RefusalReason, _detail: str, now: Timestamp) -> None:
        failed.append(batch)
        later = [submission for waiting in leader._waiting for submission in waiting.submissions]
        leader._waiting.clear()
        leader._overlay.clear()
        leader._next = Revision(leader.view.revision + 1)
        leader.pending_count = 0
        for submission in later:
            leader.take(submission, now)

    def durable(leader: Leader, batch: Batch, group: Group, position: Position) -> Changes | None:
        changes = real(leader, batch, group, position)
        for old in [old for old in failed if old.last <= leader.view.revision]:
            failed.remove(old)
            old.release()
        return changes

    patch.setattr(Leader, "failed", fail)
    patch.setattr(Leader, "durable", durable)


def _no_rows_early(patch: Patch) -> None:
    real = Leader.take

    def take(leader: Leader, submission: Submission, now: Timestamp) -> Outcome:
        outcome = real(leader, submission, now)
        if not outcome.changed:
            submission.release(outcome)
        return outcome

    patch.setattr(Leader, "take", take)


def _indeterminate_is_unavailable(patch: Patch) -> None:
    async def commit(committer: Committer, group: Group) -> Position:
        try:
            return await committer._store.commit(group, committer._leadership)
        except IndeterminateError as error:
            raise UnavailableError(str(error)) from None
        except DeposedError:
            return await committer._landed(group)

    patch.setattr(Committer, "_commit", commit)


def _sent_as_another(patch: Patch) -> None:
    async def commit(committer: Committer, group: Group) -> Position:
        for number in range(8):
            again = Group(group.after, group.first, group.last, group.mark + b"%d" % number, group.rows, group.outcomes)
            try:
                return await committer._store.commit(again, committer._leadership)
            except (IndeterminateError, UnavailableError):
                await asyncio.sleep(0.2)
            except DeposedError:
                return await committer._landed(again)
        raise LeadLostError("open")

    patch.setattr(Committer, "_commit", commit)


def _failed_is_folded(patch: Patch) -> None:
    real = Leader.failed

    def fail(leader: Leader, batch: Batch, reason: RefusalReason, detail: str, now: Timestamp) -> None:
        if batch.rows:
            fold(leader.view, Group(leader.view.position, batch.first, batch.last, b"failed", batch.rows), leader.view.position)
        real(leader, batch, reason, detail, now)

    patch.setattr(Leader, "failed", fail)


def _told_before_shown(patch: Patch) -> None:
    def at_once(_door: Door, submission: Submission, outcome: Outcome) -> None:
        submission.release(outcome)

    patch.setattr(Door, "_when_shown", at_once)


# -- take-over


def _without_head(patch: Patch) -> None:
    async def at_head(candidacy: Candidacy) -> bool:
        await candidacy._following.stop()
        return True

    patch.setattr(Candidacy, "_at_head", at_head)


def _without_opening(patch: Patch) -> None:
    patch.setitem(planning._PLANS, cmd.OpenTerm, lambda *_: Decision())


def _numbers_from_the_view(patch: Patch) -> None:
    async def floor(_: Candidacy) -> Revision:
        return Revision(0)

    patch.setattr(Candidacy, "_floor", floor)


def _step_down_goes_on(patch: Patch) -> None:
    def given_up(_door: Door, _left: GivenUp, _term: int) -> None: ...

    patch.setattr(Door, "given_up", given_up)


# -- the way to the leader


def _new_id(patch: Patch) -> None:
    """A doubtful command is sent again under another id."""

    def opened(door: Door, term: int) -> None:
        for number in [number for number, doubt in door._doubts.items() if doubt.term < term]:
            old = door._doubts.pop(number).submission
            again = door.named(old.command)
            again.then(old.release)
            door._enqueue(again)

    def doubt(door: Door, submission: Submission, term: int) -> None:
        again = door.named(submission.command)
        again.then(submission.release)
        real(door, again, term)

    real = Door._doubt
    patch.setattr(Door, "opened", opened)
    patch.setattr(Door, "_doubt", doubt)


def _again_at_once(patch: Patch) -> None:
    """A doubtful command is sent again before the view has passed the next opening group."""

    def doubt(door: Door, submission: Submission, _term: int) -> None:
        if submission.id.door == door.nonce:
            door._enqueue(submission)

    patch.setattr(Door, "_doubt", doubt)


def _not_leading_is_certain(patch: Patch) -> None:
    async def exchange(door: Door, leading: Leading, message: msg.Commands) -> msg.Reply | None:
        while door._line.term == message.term and any(number in door._sent for number, _ in message.commands):
            try:
                return await door._line.ask(leading, message)
            except UnreachableError:
                await asyncio.sleep(0.1)
        return msg.NotLeading()

    patch.setattr(Door, "_exchange", exchange)


def _batch_twice(patch: Patch) -> None:
    real = Reception.commands

    def commands(reception: Reception, message: msg.Commands) -> Promise[msg.Reply]:
        reception._batches.pop(message.door, None)
        return real(reception, message)

    patch.setattr(Reception, "commands", commands)


HICCUPS = ("hiccups", "hiccups and kill")
KILLS = ("kill", "wires and kill", "hiccups and kill")
WIRES = ("wires", "wires and kill")
LEADS = ("cut off", "pause", "kill", "mixed")
MUTANTS: Sequence[Mutant] = (
    Mutant("a group lands without the guard on the head", _no_head_guard, HICCUPS),
    Mutant("a group of a deposed leader lands", _no_leader_guard, ("late",)),
    Mutant("a position is followed without a look at its mark", _no_mark_check, ("rewound",)),
    Mutant("released by number instead of mark", _by_number, HICCUPS),
    Mutant("a result without rows is released early", _no_rows_early, (*HICCUPS, "full")),
    Mutant("an open end counts as a failure", _indeterminate_is_unavailable, HICCUPS),
    Mutant("an open group is sent again as another", _sent_as_another, HICCUPS),
    Mutant("a failed group is folded into the view", _failed_is_folded, ("full", *HICCUPS)),
    Mutant("told before the member's view shows it", _told_before_shown, ("calm", "silent")),
    Mutant("take-over without head()", _without_head, ("stale candidate",)),
    Mutant("take-over without an opening group", _without_opening, ("calm",)),
    Mutant("numbers from the view alone", _numbers_from_the_view, ("rewound",)),
    Mutant("who has stepped down goes on planning", _step_down_goes_on, LEADS),
    Mutant("sent again without the command's id", _new_id, ("hiccups and kill", "wires and kill", "mixed")),
    Mutant("sent again before the next term is opened", _again_at_once, ("blind door", "late")),
    Mutant("an answer of 'not leading' says that nothing was taken", _not_leading_is_certain, ("blind door",)),
    Mutant("a batch that comes twice is planned twice", _batch_twice, WIRES),
    Mutant("deadlines are not fresh after a take-over", members.fresh_no_more, ("cut off", "pause")),
    Mutant("expiry before all doors have delivered", _replace(Doors, "covered", lambda _, now: now), ("door", "pause", "wires", "mixed")),
    Mutant("coverage counts from a batch's arrival", members.coverage_by_arrival, ("slow wires",)),
    Mutant("what a dead door carried is not refreshed", _replace(Liveness, "door_died", lambda *_: None), ("dead door",)),
    Mutant("expiry on a lead that is not confirmed", members.ticks_unconfirmed, ("down",)),
    Mutant("a heartbeat is acknowledged by a lead that is not confirmed", members.acknowledges_unconfirmed, ("cut off", "down", "mixed")),
    Mutant("a heartbeat is acknowledged by the door alone", members.acknowledged_by_the_door, ("dead door",)),
    Mutant("a removal counts for any turn", members.reap_of_any_turn, ("hiccups", "down", "door", "mixed")),
    Mutant("a mass turn counts without a second opinion", _replace(SecondOpinions, "holds", lambda *_: False), ("blind eye",)),
    Mutant("probes are not dealt again", _replace(Probing, "deal", lambda *_: None), ("blind eye",)),
    Mutant("a leader that may not act spins", members.spins, ("cut off", "down")),
    Mutant("who has left joins again", members.joins_again_after_leaving, ("rolling",)),
    Mutant("the view goes back with the store", members.goes_back_with_the_store, ("rewound",)),
    Mutant("floors are raised by removals only", members.floors_only_on_removal, ("calm", "pause")),
    Mutant("the feed's waiters are told before its listeners", members.moved_before_told, ("silent", "pause", "dead door")),
    Mutant("the history is kept over a reload", members.history_kept_over_reload, ("compacted",)),
    Mutant("a stalled watch goes on at the head", members.group_left_out, ("silent",)),
    Mutant("a leader reads what it has, whatever is at the store", members.leader_is_always_fresh, (*HICCUPS, "slow road")),
    Mutant("a consistent read does not ask", members.follower_is_always_fresh, ("silent", "cut off")),
    Mutant("resuming leaves out the first group", members.history_forgets, ("calm", "kill")),
)

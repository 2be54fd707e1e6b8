# ruff: noqa: SLF001  # a mutant breaks what is inside, on purpose
"""One mutant per rule of the leader and the driver. Each must be caught by the test that carries the rule's name."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import planning
from callboard.core.catalog.changes import Changes
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.fold import fold
from callboard.core.catalog.overlay import Entry, Overlay
from callboard.core.catalog.registering import Decision
from callboard.core.catalog.view import View
from callboard.core.liveness import Liveness
from callboard.core.steady import SteadyTime
from callboard.model.errors import DeposedError, IndeterminateError
from callboard.model.rows import Group, Key, Outcome, Position, RefusalReason
from callboard.model.time import Timestamp
from callboard.registry import leader as leading
from callboard.registry.committer import Committer, LeadLostError
from callboard.registry.leader import Batch, Leader
from callboard.registry.submission import Submission
from callboard.registry.term import Term
from callboard.testing.faults import Fault
from tests.mutants import Patch, found
from tests.registry import test_faults, test_leader, test_liveness, test_registry


class Mutant(NamedTuple):
    rule: str
    breaks: Callable[[Patch], None]
    prop: Callable[..., None]
    given: tuple[Any, ...]
    """Strategies of a property, or the arguments of an example."""


def _replace(owner: type, name: str, value: object) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)


# -- outcomes


def _no_row_result_released_early(patch: Patch) -> None:
    real = Leader.take

    def take(leader: Leader, submission: Submission, now: Timestamp) -> Outcome:
        outcome = real(leader, submission, now)
        if not outcome.changed:
            submission.release(outcome)
        return outcome

    patch.setattr(Leader, "take", take)


def _released_by_number(patch: Patch) -> None:
    """The commands of a failed group are not refused; the group that takes their numbers acknowledges them."""
    real = Leader.durable
    failed: list[Batch] = []

    def fail(leader: Leader, batch: Batch, _reason: RefusalReason, _detail: str, now: Timestamp) -> None:
        failed.append(batch)
        later = [submission for waiting in leader._waiting for submission in waiting.submissions]
        leader._waiting.clear()
        leader._overlay.clear()
        leader._next = type(leader._next)(leader.view.revision + 1)
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


def _released_before_the_commit(patch: Patch) -> None:
    real = Committer._settle

    async def settle(committer: Committer, batch: Batch) -> None:
        batch.release()
        await real(committer, batch)

    patch.setattr(Committer, "_settle", settle)


# -- overlay


def _view_folded_from_the_command(patch: Patch) -> None:
    real = Leader.take

    def take(leader: Leader, submission: Submission, now: Timestamp) -> Outcome:
        outcome = real(leader, submission, now)
        position, rows = leader.view.position, leader._waiting[-1].rows
        fold(leader.view, Group(position, outcome.revision, outcome.revision, b"early", rows), position)
        return outcome

    patch.setattr(Leader, "take", take)


def _what_was_planned_last_is_folded_first(patch: Patch) -> None:
    """The value of a later command is taken for that of the row."""

    def folds(view: View, group: Group, position: Position, planned: Mapping[Key, Entry]) -> Changes:
        last = {key: Entry(planned[key].value, row.revision) for key, row in group.rows.items() if row and key in planned}
        return fold(view, group, position, last)

    patch.setattr(leading, "fold", folds)


def _later_ones_not_planned_again(patch: Patch) -> None:
    def fail(leader: Leader, batch: Batch, reason: RefusalReason, detail: str, _now: Timestamp) -> None:
        leader._overlay.clear()
        leader.pending_count -= len(batch.submissions)
        batch.refuse(reason, detail)

    patch.setattr(Leader, "failed", fail)


def _overlay_forgets_what_is_planned_again(patch: Patch) -> None:
    def folded(overlay: Overlay, group: Group) -> None:
        for key in group.rows:
            overlay._drop(key)

    patch.setattr(Overlay, "folded", folded)


def _sweep_ignores_the_overlay(patch: Patch) -> None:
    def sweep(draft: Draft, command: cmd.SweepFloors, now: Timestamp) -> Decision:
        planned, draft.overlay.floors = draft.overlay.floors, {}
        decision = real(draft, command, now)
        draft.overlay.floors = planned
        return decision

    real = planning._sweep_floors
    patch.setitem(planning._PLANS, cmd.SweepFloors, sweep)
    patch.setattr(Draft, "global_floor", property(lambda draft: max(draft._global_floor, draft.view.global_floor)))


# -- the store's answers


def _away_means_not_applied(patch: Patch) -> None:
    async def commit(committer: Committer, group: Group) -> Position:
        for _ in range(5):
            try:
                return await committer._store.commit(group, committer._leadership)
            except IndeterminateError:
                continue
            except DeposedError:
                return await committer._landed(group)
        raise LeadLostError("open")

    patch.setattr(Committer, "_commit", commit)


def _sent_again_as_another_group(patch: Patch) -> None:
    async def commit(committer: Committer, group: Group) -> Position:
        for number in range(5):
            again = Group(group.after, group.first, group.last, group.mark + b"%d" % number, group.rows, group.outcomes)
            try:
                return await committer._store.commit(again, committer._leadership)
            except IndeterminateError:
                continue
            except DeposedError:
                return await committer._landed(again)
        raise LeadLostError("open")

    patch.setattr(Committer, "_commit", commit)


# -- liveness


def _expiry_of_any_incarnation(patch: Patch) -> None:
    def expire(draft: Draft, command: cmd.ExpireTtl, now: Timestamp) -> Decision:
        there = draft.check(command.target.namespace, command.target.node, command.target.id)
        return real(draft, cmd.ExpireTtl(command.target, there.nonce if there is not None else ""), now)

    real = planning._expire
    patch.setitem(planning._PLANS, cmd.ExpireTtl, expire)
    patch.setattr(Term, "_changing", lambda *_: False)


STEPS = (test_leader.stepped(40), st.integers(1, 5))
PLANNED = test_leader.test_planning_on_the_overlay_equals_planning_after_durability
FEW = (test_leader.crowded(40), st.integers(1, 3))
CROWDED = test_leader.test_commands_in_flight_about_the_same_things_end_as_if_they_had_waited
LIVED = test_faults.test_nothing_acknowledged_is_lost_and_nobody_is_told_too_early
SEEDS = (st.integers(0, 2**32),)
AGAIN = test_registry.test_a_group_with_an_open_end_is_sent_again_and_lands_once
IN_FLIGHT = test_liveness.test_an_expiry_in_flight_is_followed_by_a_heartbeat_and_loses_nothing
NOTHING = _replace(Term, "_heard", lambda *_: None)
MUTANTS = [
    Mutant("a result without rows is released early", _no_row_result_released_early, PLANNED, STEPS),
    Mutant("released by number instead of mark", _released_by_number, LIVED, SEEDS),
    Mutant("released before the commit returned", _released_before_the_commit, LIVED, SEEDS),
    Mutant("view folded from the command", _view_folded_from_the_command, PLANNED, STEPS),
    Mutant("overlay kept after a failed group", _replace(Overlay, "clear", lambda _: None), PLANNED, STEPS),
    Mutant("a row is taken for what a later command made of it", _what_was_planned_last_is_folded_first, CROWDED, FEW),
    Mutant("later commands not planned again", _later_ones_not_planned_again, PLANNED, STEPS),
    Mutant("overlay forgets what is planned again", _overlay_forgets_what_is_planned_again, CROWDED, FEW),
    Mutant("a sweep ignores the overlay", _sweep_ignores_the_overlay, CROWDED, FEW),
    Mutant("away after an open end means not applied", _away_means_not_applied, AGAIN, ((Fault.LANDED, Fault.UNAVAILABLE),)),
    Mutant("an open group is sent again as another", _sent_again_as_another_group, AGAIN, ((Fault.LOST,),)),
    Mutant("signs of life start no deadline", NOTHING, LIVED, SEEDS),
    Mutant("a registration starts no deadline of removal", _replace(Liveness, "signed_in", lambda *_: None), LIVED, SEEDS),
    Mutant("an expiry counts for any incarnation", _expiry_of_any_incarnation, LIVED, SEEDS),
    Mutant("a heartbeat is acknowledged behind an expiry", _replace(Term, "_changing", lambda *_: False), IN_FLIGHT, ()),
    Mutant(
        "a pause is not noticed", _replace(SteadyTime, "observe", lambda _, now: now),
        test_liveness.test_a_pause_of_the_process_moves_every_deadline_by_the_gap, (),
    ),
    Mutant(
        "no deadline starts after a restart", _replace(Term, "_watch_all", lambda _: None),
        test_liveness.test_after_a_restart_ttl_deadlines_start_afresh_and_statuses_are_kept, (),
    ),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.rule for mutant in MUTANTS])
def test_each_broken_rule_is_found_by_its_test(mutant: Mutant, monkeypatch: Patch) -> None:
    mutant.breaks(monkeypatch)
    assert found(mutant.prop, mutant.given), f"{mutant.prop.__name__} does not notice: {mutant.rule}"

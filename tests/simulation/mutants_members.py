# ruff: noqa: SLF001  # a mutant breaks what is inside, on purpose
"""Mutants of liveness and of what members show. What each breaks stands in the table of `mutants`."""

from collections.abc import Callable, Iterable
from typing import Any

from callboard.core.catalog import commands as cmd
from callboard.core.catalog import planning
from callboard.core.catalog.changes import Changes
from callboard.core.catalog.differences import differences
from callboard.core.catalog.draft import Draft
from callboard.core.catalog.fold import fold
from callboard.core.catalog.registering import Decision
from callboard.core.doors import Doors
from callboard.core.liveness import Liveness, key_of
from callboard.core.watches import History
from callboard.model.check import Status
from callboard.model.instance import Instance
from callboard.model.rows import Group, Outcome, Position, Revision, instance_key
from callboard.model.time import SECOND, Instant, Timestamp
from callboard.registry.beating import Beating
from callboard.registry.following import Following
from callboard.registry.pending import Promise
from callboard.registry.reception import Reception
from callboard.registry.registry import Registry
from callboard.registry.renewals import Renewals
from callboard.registry.submission import Submission
from callboard.registry.term import Term
from callboard.testing.simulation.store import LeasedStore
from tests.mutants import Patch

# -- liveness


def fresh_no_more(patch: Patch) -> None:
    def watch_all(term: Term) -> None:
        then = Instant(term._now() - 3 * SECOND)
        for check in term._leader.view.checks():
            term.liveness.watch(None, check, then)

    patch.setattr(Term, "_watch_all", watch_all)


def ticks_unconfirmed(patch: Patch) -> None:
    real_tick, real_confirmed = Term.tick, Term.confirmed
    ticking: list[Term] = []

    def tick(term: Term, now: Instant) -> None:
        ticking.append(term)
        try:
            real_tick(term, now)
        finally:
            ticking.pop()

    patch.setattr(Term, "tick", tick)
    patch.setattr(Term, "confirmed", lambda term: bool(ticking) or real_confirmed(term))


def acknowledges_unconfirmed(patch: Patch) -> None:
    real_renew, real_beat, real_beats = Renewals.renew, Renewals.beat, Reception.beats

    def unguarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            with patch.context() as inner:
                inner.setattr(Term, "confirmed", lambda _: True)
                return real(*arguments)

        return call

    patch.setattr(Renewals, "renew", unguarded(real_renew))
    patch.setattr(Renewals, "beat", unguarded(real_beat))
    patch.setattr(Reception, "beats", unguarded(real_beats))


def coverage_by_arrival(patch: Patch) -> None:
    real = Doors.delivered

    def delivered(doors: Doors, nonce: str, after: int, now: Instant) -> None:
        real(doors, nonce, after, now)
        door = doors._doors.get(nonce)
        if door is not None:
            door.covered = now

    patch.setattr(Doors, "delivered", delivered)


def acknowledged_by_the_door(patch: Patch) -> None:
    """A heartbeat is acknowledged before the leader has heard of it."""

    def hear(beating: Beating, key: Any, submission: Submission | None) -> None:
        real(beating, key, None)
        if submission is not None:
            submission.release(Outcome(submission.id, beating._following.view.revision))

    real = Beating.hear
    patch.setattr(Beating, "hear", hear)


def reap_of_any_turn(patch: Patch) -> None:
    """A removal counts although the instance was well in between."""

    def forget(liveness: Liveness, before: Any, check: Any, now: Instant) -> None:
        after = check.definition.deregister_after
        if after and check.status is Status.CRITICAL and key_of(check) not in liveness.reaps._numbers:
            liveness.reaps.arm(key_of(check), after, now)

    def reap(draft: Draft, command: cmd.Reap, now: Timestamp) -> Decision:
        check = draft.check(command.target.namespace, command.target.node, command.target.id)
        turned = check.turned if check is not None else command.turned
        return real(draft, cmd.Reap(command.target, command.nonce, turned), now)

    real = planning._PLANS[cmd.Reap]
    patch.setattr(Liveness, "_watch_reap", forget)
    patch.setitem(planning._PLANS, cmd.Reap, reap)


def spins(patch: Patch) -> None:
    """A leader that may not act on a deadline sets its timer to it again and again."""

    def deadline(registry: Registry) -> Instant | None:
        term = registry._door.term
        times = [registry._probing.deadline(), term.liveness.deadline() if term is not None else None]
        return min((time for time in times if time is not None), default=None)

    patch.setattr(Registry, "_deadline", deadline)


def joins_again_after_leaving(patch: Patch) -> None:
    real = Registry.close

    async def close(registry: Registry) -> None:
        await real(registry)
        store: Any = registry._store
        await store.open()
        await store.join(registry.card)

    patch.setattr(Registry, "close", close)


def goes_back_with_the_store(patch: Patch) -> None:
    async def reload(following: Following) -> None:
        before = following.view
        following.view = following.base = await following._load_at_last()
        following._stats.reloads += 1
        following._replaced(differences(before, following.view))
        following.advanced()

    patch.setattr(Following, "_reload", reload)


# -- the view


def floors_only_on_removal(patch: Patch) -> None:
    def put_instance(draft: Draft, instance: Instance) -> None:
        draft._put(instance_key(instance.namespace, instance.node, instance.id), instance)

    patch.setattr(Draft, "put_instance", put_instance)


def moved_before_told(patch: Patch) -> None:
    def take(following: Following, group: Group) -> None:
        changes = fold(following.base, group, group.position)
        following.advanced()
        if following.base is following.view:
            following._folded(group, changes)

    patch.setattr(Following, "_take", take)


def history_kept_over_reload(patch: Patch) -> None:
    def replaced(registry: Registry, changes: Changes) -> None:
        kept = registry._history
        real(registry, changes)
        registry._history = kept
        kept.add(changes)

    real = Registry._replaced
    patch.setattr(Registry, "_replaced", replaced)


def group_left_out(patch: Patch) -> None:
    """A stalled watch goes on where the engine is, not where it was."""

    def groups(store: LeasedStore, position: Position) -> list[Group]:
        found = real(store, position)
        return [Group(position, group.first, group.last, group.mark, group.rows, group.outcomes) for group in found[-1:]]

    real = LeasedStore._groups
    patch.setattr(LeasedStore, "_groups", groups)


def leader_is_always_fresh(patch: Patch) -> None:
    patch.setattr(Term, "settled", property(lambda term: term.confirmed()))


def follower_is_always_fresh(patch: Patch) -> None:
    patch.setattr(Registry, "fresh", lambda _: Promise.of(None))


def history_forgets(patch: Patch) -> None:
    real = History.after

    def after(history: History, revision: Revision) -> Iterable[Changes]:
        return list(real(history, revision))[1:]

    patch.setattr(History, "after", after)

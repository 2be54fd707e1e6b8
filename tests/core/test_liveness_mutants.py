# ruff: noqa: SLF001  # a mutant breaks what is inside, on purpose
"""One mutant per rule of liveness, doors, self-preservation, probing and opinions. Each must be caught by the test that carries the rule's
name."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from callboard.core import preservation, probing
from callboard.core.deadlines import Deadlines
from callboard.core.doors import Doors
from callboard.core.health import Streak
from callboard.core.liveness import CheckKey, Due, Liveness, LivenessSettings
from callboard.core.opinions import MassTurn, OpinionSettings
from callboard.core.overdue import Overdue
from callboard.core.preservation import Preservation
from callboard.core.probing import Probing
from callboard.model.check import Check
from callboard.model.time import Instant
from tests.core import test_doors, test_liveness, test_opinions, test_preservation, test_probing, test_rendezvous
from tests.mutants import Patch, found

FOREVER = 1 << 60


class Mutant(NamedTuple):
    rule: str
    breaks: Callable[[Patch], None]
    prop: Callable[..., None]
    given: tuple[Any, ...] = ()
    """Strategies of a property, or the arguments of an example."""


def _replace(owner: object, name: str, value: object) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)


def _after(owner: type, name: str, also: Callable[..., None]) -> Callable[[Patch], None]:
    """What it does, and then something more."""

    def breaks(patch: Patch) -> None:
        real = getattr(owner, name)

        def more(self: Any, *args: Any, **named: Any) -> Any:
            answer = real(self, *args, **named)
            also(self, *args, **named)
            return answer

        patch.setattr(owner, name, more)

    return breaks


# -- leases and doors


def _expiry_before_the_doors_have_delivered(patch: Patch) -> None:
    real = Liveness.due

    def due(liveness: Liveness, now: Instant, _covered: Instant, limit: int) -> Due:
        return real(liveness, now, now, limit)

    patch.setattr(Liveness, "due", due)


def _a_silent_door_holds_for_ever(liveness: Liveness, _settings: LivenessSettings) -> None:
    liveness._hold_max = FOREVER


def _nothing_is_judged_whole(patch: Patch) -> None:
    """It is told before all that ran out by now is known."""
    real = Liveness._expired

    def expired(liveness: Liveness, now: Instant, covered: Instant, limit: int) -> list[CheckKey]:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Deadlines, "deadline", lambda _: None)
            return real(liveness, now, covered, limit)

    patch.setattr(Liveness, "_expired", expired)


def _a_beat_moves_a_deadline_back(patch: Patch) -> None:
    def renew(deadlines: Deadlines[CheckKey], key: CheckKey, now: Instant, source: int = 0) -> bool:
        number = deadlines._numbers.get(key)
        if number is None or deadlines._due[number] < 0:
            return False
        deadlines._source[number] = source
        deadlines.arm(key, deadlines.span(key), now)  # type: ignore[arg-type]  # it is known
        return True

    patch.setattr(Deadlines, "renew", renew)


def _old_news_takes_back(patch: Patch) -> None:
    def beat(liveness: Liveness, key: CheckKey, now: Instant, door: int = 0) -> bool:
        if not real(liveness, key, now, door):
            return False
        if liveness._overdue.deadline_of(key) is not None:
            liveness._take_back(key, liveness.ttls.span(key), now)  # type: ignore[arg-type]  # it is known
        return True

    real = Liveness.beat
    patch.setattr(Liveness, "beat", beat)


def _only_what_runs_is_given_time(patch: Patch) -> None:
    real = Deadlines.renew_from

    def renew_from(deadlines: Deadlines[CheckKey], *args: Any) -> list[CheckKey]:
        real(deadlines, *args)
        return []

    patch.setattr(Deadlines, "renew_from", renew_from)


def _the_dead_keep_the_unknown_alive(patch: Patch) -> None:
    real = Deadlines.renew_from
    patch.setattr(Deadlines, "renew_from", lambda deadlines, source, now, _becomes: real(deadlines, source, now, source))


def _covered_by_arrival(patch: Patch) -> None:
    def delivered(doors: Doors, nonce: str, _after: int, now: Instant) -> None:
        doors._doors[nonce].covered = now

    patch.setattr(Doors, "delivered", delivered)


def _covered_by_the_newest_answer(patch: Patch) -> None:
    def delivered(doors: Doors, nonce: str, _after: int, _now: Instant) -> None:
        door = doors._doors[nonce]
        door.covered = max([door.covered, *door.answers.values()])

    patch.setattr(Doors, "delivered", delivered)


def _the_last_answer_counts(patch: Patch) -> None:
    real = Doors.answered

    def answered(doors: Doors, nonce: str, batch: int, now: Instant) -> None:
        if nonce in doors._doors:
            doors._doors[nonce].answers.pop(batch, None)
        real(doors, nonce, batch, now)

    patch.setattr(Doors, "answered", answered)


def _a_newcomer_covers_everything(patch: Patch) -> None:
    real = Doors.covered

    def covered(doors: Doors, now: Instant) -> Instant:
        return min((door.covered for door in doors._doors.values() if door.covered >= 0), default=real(Doors(), now))

    patch.setattr(Doors, "covered", covered)


# -- self-preservation


def _judged_with(running: Callable[[Liveness], int]) -> Callable[[Patch], None]:
    """The share is taken of something else."""

    def breaks(patch: Patch) -> None:
        real = Liveness._expired

        def expired(liveness: Liveness, now: Instant, covered: Instant, limit: int) -> list[CheckKey]:
            count, liveness.ttls.running_count = liveness.ttls.running_count, running(liveness)
            try:
                return real(liveness, now, covered, limit)
            finally:
                liveness.ttls.running_count = count

        patch.setattr(Liveness, "_expired", expired)

    return breaks


def _a_failed_expiry_counts_anew(patch: Patch) -> None:
    real = Overdue.again

    def again(overdue: Overdue[CheckKey], key: CheckKey) -> None:
        overdue._late[key].excused = False
        real(overdue, key)

    patch.setattr(Overdue, "again", again)


def _reaps_are_held(patch: Patch) -> None:
    real = Liveness.due

    def due(liveness: Liveness, now: Instant, covered: Instant, limit: int) -> Due:
        reaps, liveness.reaps = liveness.reaps, Deadlines() if liveness.preserving else liveness.reaps
        answer = real(liveness, now, covered, limit)
        liveness.reaps = reaps
        return answer

    patch.setattr(Liveness, "due", due)


# -- probing, opinions


def _a_deal_forgets_everything(patch: Patch) -> None:
    real = Probing.share

    def share(self: Probing, mine: Any, now: Instant, chance: Any, checks: Iterable[Check]) -> None:
        for key in list(self._streaks):
            self._forget(key)
        real(self, mine, now, chance, checks)

    patch.setattr(Probing, "share", share)


def _what_is_anothers_is_kept(patch: Patch) -> None:
    real = Probing.share

    def share(self: Probing, mine: Any, now: Instant, chance: Any, checks: Iterable[Check]) -> None:
        kept = set(self._streaks)
        real(self, lambda key: key in kept or mine(key), now, chance, checks)

    patch.setattr(Probing, "share", share)


class _Fresh:
    """The first result of what is taken over counts."""

    fresh = Streak.fresh

    def __new__(cls, nonce: str, _successes: int, _failures: int, now: Instant) -> Streak:  # type: ignore[misc]  # it makes what it stands for
        return Streak(nonce, FOREVER, FOREVER, now)


def _by_place(key: str, members: Sequence[str]) -> str:
    return sorted(members)[sum(key.encode()) % len(members)]


def _turns_never_end(mass: MassTurn, _settings: OpinionSettings) -> None:
    mass._window = FOREVER


def _each_turn_counts(patch: Patch) -> None:
    real = MassTurn.suspicious

    def suspicious(mass: MassTurn, member: str, key: CheckKey, now: Instant) -> bool:
        return real(mass, member, (*key[:2], f"{key[2]} at {now}"), now)

    patch.setattr(MassTurn, "suspicious", suspicious)


LIVE, MASS, DOOR = test_liveness, test_preservation, test_doors
PROBE = test_probing
PAPER = (st.lists(LIVE.STEPS, max_size=40), st.integers(1, 3))
LINK = (st.lists(st.tuples(st.sampled_from(["send", "arrive", "answer", "lose"]), st.integers(0, 5)), max_size=60),)
ENDED = MASS.test_after_ten_minutes_the_held_ones_expire_and_do_not_start_it_again
FAILED = MASS.test_what_was_held_for_ten_minutes_does_not_start_it_again_when_its_expiry_fails
MUTANTS = [
    Mutant("expiry before all doors have delivered", _expiry_before_the_doors_have_delivered, LIVE.test_leases_run_out_as_on_paper, PAPER),
    Mutant(
        "expiry before all doors have delivered (by example)", _expiry_before_the_doors_have_delivered,
        LIVE.test_an_expiry_waits_until_every_door_has_delivered_what_it_heard_up_to_the_deadline,
    ),
    Mutant(
        "a dead door gives no time", _replace(Deadlines, "renew_from", lambda *_: []),
        LIVE.test_a_dead_door_gives_what_it_last_carried_its_whole_time_again,
    ),
    Mutant(
        "a dead door gives no time to what is overdue", _only_what_runs_is_given_time,
        LIVE.test_a_dead_door_gives_what_it_last_carried_its_time_also_when_that_has_run_out,
    ),
    Mutant(
        "doors that come and go keep the dead alive", _the_dead_keep_the_unknown_alive,
        LIVE.test_a_dead_door_gives_its_time_to_what_nobody_has_carried_in_this_term_but_only_once,
    ),
    Mutant(
        "a silent door holds for ever", _after(Liveness, "__init__", _a_silent_door_holds_for_ever),
        LIVE.test_a_live_door_that_delivers_nothing_holds_an_expiry_for_60_seconds_and_no_longer,
    ),
    Mutant("a beat moves a deadline back", _a_beat_moves_a_deadline_back, LIVE.test_leases_run_out_as_on_paper, PAPER),
    Mutant(
        "a beat moves a deadline back (by example)", _a_beat_moves_a_deadline_back,
        LIVE.test_a_sign_of_life_that_comes_late_moves_no_deadline_back,
    ),
    Mutant(
        "old news takes back what is overdue", _old_news_takes_back,
        LIVE.test_a_sign_of_life_from_before_the_last_one_takes_nothing_back,
    ),
    Mutant(
        "what was told does not come again", _replace(Overdue, "again", lambda *_: None),
        LIVE.test_what_was_told_comes_again_each_second_until_it_is_settled,
    ),
    Mutant("covered by the arrival of a batch", _covered_by_arrival, DOOR.test_what_is_covered_has_arrived_whatever_the_link_does, LINK),
    Mutant(
        "covered by an answer the door had not received", _covered_by_the_newest_answer,
        DOOR.test_what_is_covered_has_arrived_whatever_the_link_does, LINK,
    ),
    Mutant("covered by the second answer", _the_last_answer_counts, DOOR.test_what_is_covered_has_arrived_whatever_the_link_does, LINK),
    Mutant(
        "a new door covers everything", _a_newcomer_covers_everything,
        DOOR.test_the_door_that_has_delivered_least_decides_and_a_new_one_covers_nothing,
    ),
    Mutant(
        "a mass judged before it is known whole", _nothing_is_judged_whole,
        MASS.test_all_leases_of_a_new_term_that_run_out_together_are_a_mass_however_few_are_looked_at_in_one_turn,
    ),
    Mutant(
        "no self-preservation", _replace(Preservation, "judge", lambda *_: False),
        MASS.test_a_mass_that_runs_out_at_once_is_held, (100, 16),
    ),
    Mutant(
        "only what is overdue now is a mass", _replace(Preservation, "let_expire", lambda *_: None),
        MASS.test_never_more_than_the_share_is_let_expire_within_a_window,
        (st.integers(1, 120), st.floats(0, 1), st.integers(0, 2**32)),
    ),
    Mutant("self-preservation never ends", _replace(Preservation, "worn_out", lambda *_: False), ENDED),
    Mutant("what was held starts it again", _replace(Overdue, "excuse", lambda _: None), ENDED),
    Mutant("what was held starts it again when its expiry fails", _a_failed_expiry_counts_anew, FAILED),
    Mutant(
        "what expired long ago makes a mass", _replace(Preservation, "_forget_old", lambda *_: None),
        MASS.test_a_check_that_expired_long_ago_makes_no_mass_with_others,
    ),
    Mutant(
        "critical ones are among all", _judged_with(lambda liveness: len(liveness.ttls)),
        MASS.test_critical_checks_are_not_among_those_of_which_the_share_is_taken,
    ),
    Mutant(
        "held at five of any number", _judged_with(lambda _: 0),
        MASS.test_a_service_of_one_or_four_at_once_or_a_host_with_a_tenth_of_the_fleet_expires_as_ever, (100, 10),
    ),
    Mutant("a failed expiry counts twice", _replace(Preservation, "settle", lambda *_: None), MASS.test_an_expiry_that_failed_counts_once),
    Mutant("removals are held", _reaps_are_held, MASS.test_removals_of_what_has_been_critical_for_long_are_not_held),
    Mutant(
        "a deal forgets the streaks of what stays", _a_deal_forgets_everything,
        PROBE.test_when_the_share_changes_what_stays_keeps_its_streak_and_its_schedule,
    ),
    Mutant(
        "what went to another is asked on", _what_is_anothers_is_kept,
        PROBE.test_every_check_is_asked_by_exactly_one_member_whoever_comes_and_goes,
    ),
    Mutant(
        "the first result of what is taken over counts", _replace(probing, "Streak", _Fresh),
        PROBE.test_what_is_taken_over_keeps_its_status_until_as_many_results_in_a_row_say_otherwise,
    ),
    Mutant(
        "owners by place in a list", _replace(test_rendezvous, "owner", _by_place),
        test_rendezvous.test_when_a_member_comes_or_goes_only_what_it_owns_changes_hands,
        (test_rendezvous.MEMBERS, st.text(min_size=6, max_size=9)),
    ),
    Mutant(
        "turns are never forgotten", _after(MassTurn, "__init__", _turns_never_end),
        test_opinions.test_turns_that_are_further_apart_than_the_window_are_no_mass,
    ),
    Mutant(
        "a confirmed turn still speaks against its member", _replace(MassTurn, "settled", lambda *_: None),
        test_opinions.test_what_another_member_confirmed_says_nothing_about_the_first,
    ),
    Mutant(
        "one check that flaps is a mass", _each_turn_counts,
        test_opinions.test_a_check_that_turns_again_and_again_counts_once_and_from_its_last_turn,
    ),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.rule for mutant in MUTANTS])
def test_each_broken_rule_is_found_by_its_test(mutant: Mutant, monkeypatch: Patch) -> None:
    assert not mutant.given or hasattr(mutant.prop, "hypothesis") or not found(mutant.prop, mutant.given)
    mutant.breaks(monkeypatch)
    assert found(mutant.prop, mutant.given), f"{mutant.prop.__name__} does not notice: {mutant.rule}"


def test_the_share_is_counted_in_whole_numbers() -> None:
    """0.15 of 100 is 15, not a hair more or less, for every count there may be."""
    for hundreds in range(1, 1_000):
        judge = preservation.Preservation[CheckKey](5, 0.15, Instant(0), Instant(0)).judge  # type: ignore[arg-type]  # spans of nothing
        assert not judge(Instant(0), 85 * hundreds, 15 * hundreds)
        assert judge(Instant(0), 85 * hundreds - 1, 15 * hundreds)

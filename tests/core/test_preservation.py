"""Self-preservation: a mass of leases that runs out at once is held, and nothing less."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.core.liveness import LivenessSettings
from callboard.model.check import Status, TtlCheck
from callboard.model.time import SECOND, seconds
from tests.core.leases import Leases, lease

P, C = Status.PASSING, Status.CRITICAL
MAXIMUM_S = 600


def fleet(count: int, ttl_s: float = 10, *, limit: int = 1_000) -> tuple[Leases, list[str]]:
    """So many leases, all signed in now."""
    leases = Leases(LivenessSettings(), limit=limit)
    names = [f"c{number:05}" for number in range(count)]
    leases.register(names, ttl_s)
    return leases, names


@pytest.mark.parametrize(("count", "lost"), [(1, 1), (4, 4), (6, 4), (100, 10), (100, 15), (1_000, 150), (20, 3)])
def test_a_service_of_one_or_four_at_once_or_a_host_with_a_tenth_of_the_fleet_expires_as_ever(count: int, lost: int) -> None:
    leases, names = fleet(count)
    leases.keep(names[lost:], 9)
    leases.keep(names[lost:], 2)
    assert leases.expired == [(10.0, name) for name in names[:lost]]
    assert not leases.liveness.preserving


@pytest.mark.parametrize(("count", "lost"), [(5, 5), (33, 5), (100, 16), (1_000, 151), (1_000, 1_000)])
def test_a_mass_that_runs_out_at_once_is_held(count: int, lost: int) -> None:
    leases, names = fleet(count)
    leases.keep(names[lost:], 30)
    assert leases.expired == []
    liveness = leases.liveness
    assert (liveness.preserving, liveness.held_count, liveness.overdue_count) == (True, lost, lost)
    assert liveness.preserving_since is not None
    assert (liveness.preserving_since - leases.start) // SECOND == 10


def test_all_leases_of_a_new_term_that_run_out_together_are_a_mass_however_few_are_looked_at_in_one_turn() -> None:
    leases, names = fleet(20_000, limit=100)
    leases.wait(20)
    assert leases.expired == []
    assert leases.liveness.held_count == len(names)


def test_a_mass_that_runs_out_over_some_seconds_is_held_before_more_than_the_share_is_gone() -> None:
    leases, names = fleet(1_000)
    for second in range(9):
        leases.beat(*names[second * 100 :])
        leases.wait(1)
    leases.keep(names[900:], 30)
    assert 100 <= len(leases.expired) <= 150
    assert leases.liveness.preserving


def test_losses_that_are_further_apart_than_the_window_are_no_mass() -> None:
    leases, names = fleet(200)
    for lost in range(10, 100, 10):
        leases.keep(names[lost:], 25)
    assert not leases.liveness.preserving
    assert leases.names == names[:90]


def test_a_check_that_expired_long_ago_makes_no_mass_with_others() -> None:
    leases, names = fleet(60)
    for lost in (5, 10):
        leases.keep(names[lost:], 30)
    assert leases.names == names[:10]


def test_critical_checks_are_not_among_those_of_which_the_share_is_taken() -> None:
    leases, names = fleet(60)
    leases.put(*(lease(f"ill{number}", TtlCheck(seconds(10)), C) for number in range(100)))
    for name in names[:30]:
        leases.turn(name, C)
    leases.keep(names[35:], 30)
    assert leases.liveness.held_count == 5, "5 of 30, not of 60 or 160"


def test_a_check_reported_critical_while_it_is_overdue_is_lost_no_longer() -> None:
    leases, names = fleet(60)
    leases.keep(names[20:], 30)
    assert leases.liveness.held_count == 20
    for name in names[:14]:
        leases.turn(name, C)
    leases.keep(names[20:], 2)
    assert leases.names == names[14:20]


def test_it_ends_when_renewals_bring_the_share_down_and_then_the_rest_expires() -> None:
    leases, names = fleet(100)
    leases.keep(names[40:], 30)
    assert leases.liveness.held_count == 40
    leases.beat(*names[:24])
    leases.wait(2)
    assert leases.liveness.held_count == 16
    assert leases.expired == []
    leases.beat(*names[:25], *names[40:])
    leases.wait(2)
    assert leases.names == names[25:40]
    assert not leases.liveness.preserving


def test_it_ends_when_what_is_lost_is_removed_explicitly() -> None:
    leases, names = fleet(100)
    leases.keep(names[40:], 30)
    leases.remove(*names[:31])
    leases.keep(names[40:], 2)
    assert leases.names == names[31:40]


def test_after_ten_minutes_the_held_ones_expire_and_do_not_start_it_again() -> None:
    leases, names = fleet(100, limit=7)
    leases.keep(names[50:], 10 + MAXIMUM_S - 1)
    assert leases.expired == []
    leases.keep(names[50:], 60)
    assert [name for _, name in leases.expired] == names[:50]
    assert {when for when, _ in leases.expired} == {10.0 + MAXIMUM_S}
    assert not leases.liveness.preserving


def test_what_was_held_for_ten_minutes_does_not_start_it_again_when_its_expiry_fails() -> None:
    leases, names = fleet(100)
    leases.keep(names[50:], 10 + MAXIMUM_S - 1)
    leases.lands = False
    leases.keep(names[50:], 5)
    assert not leases.liveness.preserving
    leases.lands = True
    leases.keep(names[50:], 2)
    assert sorted(leases.names[-50:]) == names[:50]


def test_a_second_mass_after_the_ten_minutes_is_held_anew() -> None:
    leases, names = fleet(100)
    leases.keep(names[50:], 10 + MAXIMUM_S + 5)
    assert len(leases.expired) == 50
    leases.keep(names[90:], 60)
    assert leases.liveness.held_count == 40
    leases.keep(names[90:], MAXIMUM_S)
    assert len(leases.expired) == 90


def test_an_expiry_that_failed_counts_once() -> None:
    leases, names = fleet(40)
    leases.lands = False
    leases.keep(names[6:], 20)
    assert not leases.liveness.preserving, "6 of 40, told again each second"
    assert set(leases.names) == set(names[:6])


def test_removals_of_what_has_been_critical_for_long_are_not_held() -> None:
    leases, names = fleet(100)
    leases.put(lease("ill", TtlCheck(seconds(10), deregister_after=seconds(30)), C))
    leases.keep(names[50:], 40)
    assert leases.liveness.preserving
    assert leases.reaped == [(30.0, "ill")]


def test_while_it_holds_the_driver_looks_once_a_second() -> None:
    leases, _ = fleet(20_000, limit=2_000)
    leases.wait(11)
    looks = leases.looks
    leases.wait(60)
    assert leases.looks - looks <= 62


@given(st.integers(1, 120), st.floats(0, 1), st.integers(0, 2**32))
def test_never_more_than_the_share_is_let_expire_within_a_window(count: int, share: float, seed: int) -> None:
    """Whatever part of a fleet falls silent, and however its signs of life were spread. (5 of 40 after 1 of 1 is no mass: < 5.)"""
    chance = random.Random(seed)
    leases, names = fleet(count)
    phases = {name: chance.randrange(30) / 10 for name in names}
    silent_from = {name: 20.0 + chance.random() if chance.random() < share else 10_000.0 for name in names}
    for tenth in range(600):
        moment = tenth / 10
        leases.beat(*(name for name in names if (tenth - int(phases[name] * 10)) % 30 == 0 and moment < silent_from[name]))
        leases.wait(0.1)
        gone = sum(when > leases.elapsed_s - 15 for when, _ in leases.expired)
        assert gone <= max(4, 0.15 * count)
    lost = sum(moment < 10_000 for moment in silent_from.values())
    if lost <= max(4, 0.15 * count):
        assert len(leases.expired) == lost, "and what is no mass expires"

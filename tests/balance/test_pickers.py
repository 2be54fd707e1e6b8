"""What each policy promises beyond the suite."""

from collections import Counter
from fractions import Fraction
from itertools import accumulate
from math import log

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from callboard.balance import peak_ewma
from callboard.balance.peak_ewma import PeakEwma
from callboard.balance.picker import DEFAULT_PICKER, PICKERS, Picker, make_picker
from callboard.balance.smooth_wrr import SmoothWrr
from callboard.balance.weights import AliasTable
from callboard.model.errors import InvalidError
from callboard.model.time import MILLISECOND, SECOND
from callboard.testing.picker_suite_kit import Play, endpoints

weight_lists = st.lists(st.integers(0, 50), min_size=1, max_size=8)
chances = st.floats(0, 1, exclude_max=True)


def turns(picker: Picker, count: int) -> str:
    picked = (picker.pick(0, 0.0) for _ in range(count))
    return "".join(each.endpoint.id for each in picked if each is not None)


def test_a_policy_that_is_not_known_is_told_with_those_that_are() -> None:
    with pytest.raises(InvalidError, match="weighted_random, smooth_wrr, p2c, peak_ewma") as caught:
        make_picker("round_robin", [])
    assert caught.value.field == "policy"
    assert isinstance(make_picker(DEFAULT_PICKER, []), PeakEwma)


# -- weighted_random


@given(st.lists(st.integers(1, 65_535), min_size=1, max_size=30))
def test_an_alias_table_has_exactly_the_shares_of_the_weights(weights: list[int]) -> None:
    table = AliasTable(range(len(weights)), weights)
    share: Counter[int] = Counter()
    for own, low, high in table.columns[: table.count]:
        share[low] += own  # type: ignore[assignment]  # parts of a column
        share[high] += 1 - own  # type: ignore[assignment]  # the same
    total = sum(weights)
    assert [share[place] / len(weights) for place in range(len(weights))] == pytest.approx([weight / total for weight in weights])


# -- smooth_wrr


def test_weights_5_1_1_give_aabacaa() -> None:
    assert turns(SmoothWrr(endpoints([5, 1, 1])), 21) == "aabacaa" * 3


@given(weight_lists, st.integers(1, 3))
def test_every_round_has_exact_counts(weights: list[int], rounds: int) -> None:
    assume(any(weights))
    counted = Counter(turns(SmoothWrr(endpoints(weights)), rounds * sum(weights)))
    assert counted == Counter({chr(ord("a") + place): weight * rounds for place, weight in enumerate(weights) if weight})


@given(weight_lists)
def test_no_endpoint_is_ever_far_from_its_share(weights: list[int]) -> None:
    assume(any(weights))
    total = sum(weights)
    sequence = turns(SmoothWrr(endpoints(weights)), total)
    for place, weight in enumerate(weights):
        taken = accumulate(letter == chr(ord("a") + place) for letter in sequence)
        assert all(abs(Fraction(weight * (turn + 1), total) - so_far) < 2 for turn, so_far in enumerate(taken))


@given(st.lists(st.integers(1, 100), min_size=2, max_size=6), st.integers(1, 100), st.integers(0, 200))
def test_after_a_change_of_weights_nobody_is_far_from_its_new_share(weights: list[int], other: int, before: int) -> None:
    picker = SmoothWrr(endpoints(weights))
    turns(picker, before)
    changed = [other, *weights[1:]]
    total = sum(changed)
    sequence = turns(picker.successor(endpoints(changed)), total)
    for place, weight in enumerate(changed):
        taken = accumulate(letter == chr(ord("a") + place) for letter in sequence)
        assert all(abs(Fraction(weight * (turn + 1), total) - so_far) < 4 for turn, so_far in enumerate(taken))


def test_a_successor_with_the_same_weights_goes_on_in_the_same_round() -> None:
    given_endpoints = endpoints([5, 1, 1])
    picker: Picker = SmoothWrr(given_endpoints)
    sequence = ""
    for _ in range(7):
        sequence += turns(picker, 1)
        picker = picker.successor(given_endpoints)
    assert sequence == "aabacaa"


# -- p2c


@pytest.mark.parametrize("policy", ["p2c", "peak_ewma"])
@given(count=st.integers(2, 50), chance=chances)
def test_the_busier_of_any_pair_is_never_taken(policy: str, count: int, chance: float) -> None:
    picker = PICKERS[policy](endpoints([1] * count))
    pair = {picked.endpoint.key for _ in range(2) if (picked := picker.pick(0, chance)) is not None}
    assert len(pair) == 2


@pytest.mark.parametrize("policy", ["p2c", "peak_ewma"])
@given(weights=st.lists(st.integers(1, 100), min_size=2, max_size=2), chance=chances)
def test_a_weighted_pair_is_always_of_two(policy: str, weights: list[int], chance: float) -> None:
    picker = PICKERS[policy](endpoints(weights))
    taken = {picked.endpoint.key for _ in range(500) if (picked := picker.pick(0, chance)) is not None}
    assert len(taken) == 2, "of one, the other would never have its turn"


@pytest.mark.parametrize("policy", ["p2c", "peak_ewma"])
@pytest.mark.parametrize("weights", [[1, 2, 3, 4], [100, 1, 1, 100], [65_535, 65_521, 30_011]], ids=str)
@pytest.mark.parametrize("avoid", [(), ("n/nobody",)], ids=["quick", "general"])
def test_the_first_of_a_pair_is_drawn_by_weight(policy: str, weights: list[int], avoid: tuple[str, ...]) -> None:
    """Of endpoints nobody called yet the first is taken; evenly spread chances meet each by its weight."""
    given_endpoints, draws = endpoints(weights), 2_000
    picked = (PICKERS[policy](given_endpoints).pick(0, (draw + 0.5) / draws, avoid) for draw in range(draws))
    taken = Counter(each.endpoint.key for each in picked if each is not None)
    assert all(abs(taken[one.key] - draws * one.weight / sum(weights)) <= 2 for one in given_endpoints), taken


@pytest.mark.parametrize("policy", ["p2c", "peak_ewma"])
@given(weights=st.lists(st.integers(1, 20), min_size=3, max_size=6), unit=st.integers(2, 1_000))
def test_only_the_ratio_of_weights_counts(policy: str, weights: list[int], unit: int) -> None:
    plain = Play(PICKERS[policy](endpoints(weights)))
    scaled = Play(PICKERS[policy](endpoints([weight * unit for weight in weights])))
    assert [plain.must_pick().endpoint.key for _ in range(50)] == [scaled.must_pick().endpoint.key for _ in range(50)]


def test_a_light_endpoint_has_its_turn_though_the_heavy_one_is_idle_too() -> None:
    shares = Play(PICKERS["p2c"](endpoints([99, 1]))).shares(10_000)
    assert 60 < shares["n/b"] < 140


def test_under_load_the_heavy_endpoint_works_on_more_calls() -> None:
    play = Play(PICKERS["p2c"](endpoints([9, 1])))
    for _ in range(100):
        play.must_pick()
    assert 85 <= play.picker.in_flight("n/a") <= 95


# -- peak_ewma


def host_of(picker: PeakEwma, took: int, now: int, *, ok: bool = True) -> int:
    """One call, which ends at the time that is answered."""
    picked = picker.pick(now, 0.0)
    assert picked is not None
    picked.done(now + took, ok=ok)
    return now + took


def test_a_spike_of_a_second_is_forgotten_with_the_time_constant() -> None:
    picker = PeakEwma(endpoints([1]))
    now = 0
    for _ in range(100):
        now = host_of(picker, 10 * MILLISECOND, now)
    assert picker.cost_ns("n/a", now) == pytest.approx(10 * MILLISECOND)
    spike = host_of(picker, SECOND, now)
    assert picker.cost_ns("n/a", spike) == SECOND
    after: dict[int, float] = {}
    now = spike
    while now < spike + 10 * SECOND:
        now = host_of(picker, 10 * MILLISECOND, now)
        after[now - spike] = picker.cost_ns("n/a", now) / SECOND
    assert round(after[SECOND], 2) == 0.91
    assert round(after[10 * SECOND], 2) == 0.37


def test_unasked_an_endpoint_that_was_slow_is_tried_again() -> None:
    picker = PeakEwma(endpoints([1, 1]))
    now = int(SECOND)
    slow = picker.pick(now, 0.0)
    assert slow is not None
    slow.done(now + SECOND)
    now += SECOND
    asked_again = None
    while asked_again is None:
        picked = picker.pick(now, 0.0)
        assert picked is not None
        asked_again = now if picked.endpoint is slow.endpoint else None
        now += 10 * MILLISECOND
        picked.done(now)
    assert asked_again / SECOND == pytest.approx(2 + 10 * log(100), abs=0.1), "when a second has faded to 10 ms"


def test_a_newcomer_is_tried_at_once_and_by_one_call_until_it_has_answered() -> None:
    old = endpoints([1] * 2)
    play = Play(PeakEwma(old))
    play.shares(100)
    play.picker = play.picker.successor(endpoints([1] * 3))
    first = next(picked for _ in range(20) if (picked := play.must_pick()).endpoint.id == "c")
    assert [play.must_pick().endpoint.id for _ in range(50)].count("c") == 0
    first.done(play.now + MILLISECOND)
    assert "c" in [play.must_pick().endpoint.id for _ in range(20)]


def test_a_failed_call_counts_as_a_timeout_and_failures_in_a_row_double() -> None:
    picker = PeakEwma(endpoints([1]))
    now, costs = 0, []
    for _ in range(8):
        now = host_of(picker, 1, now, ok=False)
        costs.append(round(picker.cost_ns("n/a", now) / SECOND))
    assert costs == [1, 2, 4, 8, 16, 32, 64, 64]
    now = host_of(picker, MILLISECOND, now)
    picked = picker.pick(now + 120 * SECOND, 0.0)
    assert picked is not None
    picked.done(now + 120 * SECOND, ok=False)
    assert picker.cost_ns("n/a", now + 120 * SECOND) / SECOND == pytest.approx(1, abs=0.01)


def test_who_always_fails_is_only_tried_now_and_then_though_the_others_are_slow() -> None:
    play = Play(PeakEwma(endpoints([1] * 3)))
    failing = 0
    for _ in range(2_000):
        picked = play.must_pick()
        bad = picked.endpoint.id == "a"
        failing += bad
        play.now += MILLISECOND if bad else 3 * SECOND
        picked.done(play.now, ok=not bad)
    assert failing < 200, "an even share would be 667"


def test_a_weight_bounds_what_an_endpoint_is_asked_to_do() -> None:
    shares = Play(PeakEwma(endpoints([99, 1]))).shares(10_000)
    assert shares["n/b"] <= 140


def test_the_light_endpoint_takes_over_when_the_heavy_one_fails() -> None:
    play = Play(PeakEwma(endpoints([99, 1])))
    play.shares(200)
    light = 0
    for _ in range(1_000):
        picked = play.must_pick()
        light += picked.endpoint.id == "b"
        play.now += MILLISECOND
        picked.done(play.now, ok=picked.endpoint.id == "b")
    assert light > 950


def test_what_is_compared_ranks_as_cost_times_calls() -> None:
    """The logarithms say the same as the formula."""
    first, second = peak_ewma.Load(), peak_ewma.Load()
    for load, cost, moment in ((first, 5e7, 1.0), (second, 2e7, 1.4)):
        load.cost, load.moment = cost, moment
        load.score = log(cost) + moment
    for now in (14 * SECOND, 20 * SECOND, 90 * SECOND):
        assert (first.cost_at(now) < second.cost_at(now)) == (first.score < second.score)

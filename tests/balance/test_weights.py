"""Calls follow the weights where endpoints are alike in all else, however much there is to do. Seeds are fixed."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callboard.balance.picker import PICKERS, Picker
from callboard.testing.picker_suite_kit import Play, endpoints
from callboard.testing.queueing import shares

CALLS_COUNT = 20_000
LEAST, MOST = 0.7, 1.4
"""Of what the weight says. The exact policies stay within chance; those that look at load trade a part of it for shorter queues."""


@pytest.mark.parametrize("at_once", [0.1, 3, 30, 300])
@pytest.mark.parametrize("weights", [[1, 2, 3, 4], [1, 100], [1, 1, 100, 100], [10] * 9 + [1]], ids=str)
@pytest.mark.parametrize("policy", ["p2c", "peak_ewma"])
def test_those_that_look_at_load_follow_weights_too(policy: str, weights: list[int], at_once: float) -> None:
    found = shares(PICKERS[policy], weights, at_once, CALLS_COUNT, Random(1))
    assert LEAST < min(found) <= max(found) < MOST, found


@settings(max_examples=15, derandomize=True)
@given(weights=st.lists(st.integers(1, 100), min_size=2, max_size=6), at_once=st.sampled_from([0.1, 1, 10, 100]), seed=st.integers(0, 9))
@pytest.mark.parametrize("policy", ["p2c", "peak_ewma"])
def test_any_weights_are_followed(policy: str, weights: list[int], at_once: float, seed: int) -> None:
    calls = 4_000
    found = shares(PICKERS[policy], weights, at_once, calls, Random(seed))
    for weight, share in zip(weights, found, strict=True):
        by_chance = 5 * (sum(weights) / weight / calls) ** 0.5
        assert LEAST - 0.1 - by_chance < share < MOST + 0.3 + by_chance, found


@pytest.mark.parametrize("policy", PICKERS)
def test_one_in_a_hundred_is_one_in_a_hundred(policy: str) -> None:
    """A canary: calls one after the other, of the same length."""
    taken = Play(PICKERS[policy](endpoints([99, 1]))).shares(CALLS_COUNT)
    assert 140 < taken["n/b"] < 270


@pytest.mark.parametrize("policy", ["p2c", "peak_ewma"])
def test_of_two_alike_the_one_of_twice_the_weight_has_twice_the_work(policy: str) -> None:
    picker: Picker = PICKERS[policy](endpoints([1, 2]))
    play = Play(picker)
    for _ in range(300):
        play.must_pick()
    assert 85 <= picker.in_flight("n/a") <= 115

"""The statistics of interleaved pairs, and what a result says of its bars."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.load import Counted
from bench.pairs import BARE, OURS, PEER, Figure, Goal, compare, rounded


class Clocked:
    """A target whose CPU time passes by as much for every answer as it was told."""

    http = dns = ("127.0.0.1", 0)

    def __init__(self, name: str, costs_us: list[float], order: list[str]) -> None:
        self._name, self._costs, self._order = name, itertools.cycle(costs_us), order
        self._spent_s = 0.0

    def cpu_s(self) -> float:
        return self._spent_s

    def run(self) -> Counted:
        self._order.append(self._name)
        self._spent_s += next(self._costs) * 1_000 / 1e6
        return Counted(1_000, 0.5, {b"200": 1_000})


def taken(costs: dict[str, list[float]], pairs: int = 3, units: int = 1) -> tuple[Figure, list[str]]:
    order: list[str] = []
    sides = {side: Clocked(side, each, order) for side, each in costs.items()}
    return compare("a", "b", {side: (target, target.run) for side, target in sides.items()}, pairs, units), order


def test_sides_alternate_and_the_first_round_is_not_counted() -> None:
    figure, order = taken({OURS: [99.0, 10.0, 20.0, 12.0], BARE: [99.0, 9.0, 10.0, 9.0]})
    assert order == [OURS, BARE] * 4
    assert [sample["cpu_us"] for sample in figure.samples[OURS]] == pytest.approx([10.0, 20.0, 12.0])
    assert figure.values["cpu_us"] == pytest.approx(12.0)
    assert figure.values["of_bare"] == pytest.approx(0.75)
    assert (figure.values["of_bare_least"], figure.values["of_bare_most"]) == pytest.approx((0.5, 0.9))


def test_an_answer_may_stand_for_many() -> None:
    figure, _ = taken({OURS: [1_000.0], BARE: [500.0]}, units=1_000)
    assert figure.values["cpu_us"] == pytest.approx(1.0)
    assert figure.values["per_second"] == 2_000_000


def test_a_peer_stands_beside_both() -> None:
    figure, _ = taken({OURS: [10.0], BARE: [9.0], PEER: [300.0]})
    assert figure.values["peer_cpu_us"] == 300
    assert figure.values["peer_over_ours"] == pytest.approx(30.0)


def test_of_a_peer_far_away_only_rates_are_known() -> None:
    figure, _ = taken({OURS: [10.0], BARE: [9.0], PEER: [math.nan]})
    assert figure.values["peer_per_second"] == 2_000
    assert not [name for name in figure.values if name.startswith("peer_") and name != "peer_per_second"]


@pytest.mark.parametrize(
    ("goal", "met"),
    [(Goal("x", least=1.0), True), (Goal("x", least=1.1), False), (Goal("x", most=1.0), True), (Goal("x", most=0.9), False)],
)
def test_a_goal_is_met_or_not(goal: Goal, *, met: bool) -> None:
    assert goal.met({"x": 1.0}) is met


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_rounding_keeps_three_digits(value: float) -> None:
    assert rounded(value) == pytest.approx(value, rel=0.006)


@pytest.mark.parametrize(("value", "shown"), [(0, 0), (31343.4, 31343), (0.93712, 0.937), (13.456, 13.5), (0.003114, 0.00311)])
def test_rounding(value: float, shown: float) -> None:
    assert rounded(value) == shown

"""What the cases of the picker suite are written with. Chance comes from a seed, time is counted: a failure comes again."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from math import sqrt
from typing import Final

from callboard.balance.endpoint import Endpoint
from callboard.balance.picker import Picked, Picker
from callboard.model.time import MILLISECOND

Make = Callable[[Sequence[Endpoint]], Picker]
"""Makes a picker of endpoints: an entry of `PICKERS`, or somebody's own class."""

SEED: Final = 20_261_120
_NORMAL_999: Final = 3.0902
"""A standard normal variable is larger once in a thousand times."""


def endpoints(weights: Iterable[int]) -> list[Endpoint]:
    """Endpoints a, b, c ... (later e26, e27 ...) of these weights."""
    names = (chr(ord("a") + place) if place < 26 else f"e{place}" for place in range(1_000_000))
    return [
        Endpoint(key=f"n/{name}", id=name, node="n", address="127.0.0.1", port=8000, weight=weight)
        for weight, name in zip(weights, names, strict=False)
    ]


class Play:
    """Calls picks of one picker with chance and time of its own."""

    def __init__(self, picker: Picker, seed: int = SEED) -> None:
        self.picker = picker
        self.chance = random.Random(seed).random
        self.now = 1_000 * MILLISECOND

    def pick(self, avoid: Collection[str] = ()) -> Picked | None:
        """One pick."""
        return self.picker.pick(self.now, self.chance(), avoid)

    def must_pick(self, avoid: Collection[str] = ()) -> Picked:
        """One pick that has to find somebody."""
        picked = self.pick(avoid)
        assert picked is not None, "nobody was picked, though somebody is there"
        return picked

    def call(self, avoid: Collection[str] = (), *, took: int = MILLISECOND) -> str:
        """One call from pick to end; the key of who took it."""
        picked = self.must_pick(avoid)
        self.now += took
        picked.done(self.now)
        return picked.endpoint.key

    def shares(self, calls: int, avoid: Collection[str] = ()) -> Counter[str]:
        """Who took how many of so many calls, one after the other."""
        return Counter(self.call(avoid) for _ in range(calls))


def unlike(counted: Counter[str], expected: dict[str, float]) -> float:
    """Pearson's chi-squared over what it may be once in a thousand times: above 1 the counts are not by these shares."""
    calls, total = counted.total(), sum(expected.values())
    terms = ((counted[key] - calls * share / total) ** 2 / (calls * share / total) for key, share in expected.items())
    return sum(terms) / chi_squared_999(len(expected) - 1)


def chi_squared_999(freedom: int) -> float:
    """The quantile .999 of chi-squared, after Wilson and Hilferty (within 1 % from 3 degrees of freedom on)."""
    part = 2 / (9 * freedom)
    root = 1 - part + _NORMAL_999 * sqrt(part)
    return freedom * root * root * root

"""Draws by weight: which endpoints take part, and the alias table that draws one of them in a step, however many there are.

A table is made with its picker and never changes.
"""

from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

from callboard.balance.endpoint import Endpoint

T = TypeVar("T")


def in_play(endpoints: Sequence[Endpoint], avoid: Collection[str] = ()) -> list[int]:
    """Places of the endpoints that may be picked: not avoided, and of weight 0 only when there is no other."""
    left = [place for place, endpoint in enumerate(endpoints) if endpoint.key not in avoid]
    return [place for place in left if endpoints[place].weight > 0] or left


def weights_of(endpoints: Sequence[Endpoint]) -> list[int]:
    """The weights of endpoints that are in play together; where none has any, all count alike."""
    weights = [endpoint.weight for endpoint in endpoints]
    return weights if any(weights) else [1] * len(weights)


class AliasTable(Generic[T]):
    """Draws an item with the share its weight has of all (Walker's method, built as Vose does)."""

    __slots__ = ("columns", "count")

    def __init__(self, items: Sequence[T], weights: Sequence[int]) -> None:
        count, total = len(items), sum(weights)
        left = [weight * count for weight in weights]  # in units of total/count, so that every comparison is exact
        small = [place for place in range(count) if left[place] < total]
        large = [place for place in range(count) if left[place] >= total]
        columns = [(1.0, item, item) for item in items]
        while small:
            low, high = small.pop(), large[-1]
            columns[low] = (left[low] / total, items[low], items[high])
            left[high] -= total - left[low]
            if left[high] < total:
                small.append(large.pop())
        self.count = count
        self.columns = [*columns, columns[-1]]
        """The part of a column that is its own item's, that item, and whose the rest is. One more than `count`: what is left of a chance
        may be rounded up to 1."""

    def draw(self, chance: float) -> T:
        """One item; 0 <= chance < 1."""
        where = chance * self.count
        place = int(where)
        own, low, high = self.columns[place]
        return low if where - place < own else high

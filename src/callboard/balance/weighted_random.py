"""Each call goes to an endpoint by its share of the weights, whatever went before. It learns nothing and has nothing to close."""

from collections.abc import Collection, Sequence

from callboard.balance.endpoint import Endpoint
from callboard.balance.picked import Picked
from callboard.balance.weights import AliasTable, in_play, weights_of


class WeightedRandom:
    """Draws in constant time from an alias table; avoiding some endpoints costs one look at each."""

    __slots__ = ("_table", "endpoints")

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.endpoints = tuple(endpoints)
        self._table = _table(self.endpoints, ())

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        """See `Picker.pick`."""
        table = _table(self.endpoints, avoid) if avoid else self._table
        return None if table is None else Picked(table.draw(chance))

    def successor(self, endpoints: Sequence[Endpoint]) -> "WeightedRandom":
        """See `Picker.successor`."""
        return WeightedRandom(endpoints)

    def in_flight(self, key: str) -> int:
        """Not counted."""
        return 0


def _table(endpoints: Sequence[Endpoint], avoid: Collection[str]) -> AliasTable[Endpoint] | None:
    playing = [endpoints[place] for place in in_play(endpoints, avoid)]
    return AliasTable(playing, weights_of(playing)) if playing else None

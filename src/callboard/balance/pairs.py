"""Two different endpoints by one chance, and what else the policies that compare two have in common.

With equal weights every pair is as likely as any other. With unequal ones each of the two is drawn by weight, so that an endpoint of
twice the weight is looked at twice as often. A `Host` is one endpoint in one picker; the load it refers to goes on to the successor.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from math import log
from typing import Generic, TypeVar

from msgspec import Struct

from callboard.balance.endpoint import Endpoint
from callboard.balance.weights import AliasTable, in_play, weights_of

L = TypeVar("L")


class Host(Struct, Generic[L], eq=False):
    """An endpoint with its weight among those in play, and what is known of its load."""

    endpoint: Endpoint
    weight: int
    log_weight: float
    load: L


class TwoChoices(ABC, Generic[L]):
    """The set of hosts, and the ways to choose that are not the hot one: few endpoints, unequal weights, endpoints to avoid."""

    __slots__ = ("_cells", "_even", "_hosts", "_loads", "_others", "_table", "endpoints")

    def __init__(self, endpoints: Sequence[Endpoint], loads: dict[str, L]) -> None:
        self.endpoints = tuple(endpoints)
        self._loads = loads
        playing = [self.endpoints[place] for place in in_play(self.endpoints)]
        self._hosts = self._make_hosts(playing)
        self._others = len(playing) - 1
        self._cells = len(playing) * self._others
        self._table = _table(self._hosts)
        self._even = self._table is None and self._others > 0

    def _make_hosts(self, endpoints: Sequence[Endpoint]) -> list[Host[L]]:
        weights = weights_of(endpoints)
        return [Host(endpoint, weight, log(weight), self._loads[endpoint.key]) for endpoint, weight in zip(endpoints, weights, strict=True)]

    @abstractmethod
    def _better(self, first: Host[L], second: Host[L]) -> Host[L]:
        """The one of the two which takes the call. The first was drawn by weight and stays unless there is a reason."""

    def _choose(self, chance: float, avoid: Collection[str]) -> Host[L] | None:
        """Any case. One try to meet two that are not avoided; then a look at all, by what is left of the chance."""
        if self._others > 0:
            first, second, chance = _pair(self._hosts, self._table, chance)
            if not avoid or (first.endpoint.key not in avoid and second.endpoint.key not in avoid):
                return self._better(first, second)
        places = in_play(self.endpoints, avoid)
        if not places:
            return None
        left = self._make_hosts([self.endpoints[place] for place in places])
        if len(left) == 1:
            return left[0]
        first, second, _ = _pair(left, _table(left), chance)
        return self._better(first, second)


def _table(hosts: Sequence[Host[L]]) -> AliasTable[Host[L]] | None:
    """What to draw from, None when every weight is the same."""
    weights = [host.weight for host in hosts]
    return AliasTable(hosts, weights) if len(set(weights)) > 1 else None


def _pair(hosts: Sequence[Host[L]], table: AliasTable[Host[L]] | None, chance: float) -> tuple[Host[L], Host[L], float]:
    """Two different hosts, and what is left of the chance."""
    if table is not None:
        return table.draw_pair(chance)
    others = len(hosts) - 1
    where = chance * (len(hosts) * others)
    cell = int(where)  # each ordered pair of two is one of n(n-1) cells
    first, second = divmod(cell, others)
    return hosts[first], hosts[second if second < first else second + 1], where - cell

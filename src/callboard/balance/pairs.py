"""Two different endpoints by one chance, and what else the policies that compare two have in common.

Hosts lie side by side, each as wide as its weight: the first is where the chance falls, the second where the rest of it falls on what the
first leaves free. So each is drawn by weight, and they are never the same. A `Host` is one endpoint in one picker; the load it refers to
goes on to the successor.
"""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Collection, Sequence
from math import gcd
from typing import Final, Generic, TypeVar

from msgspec import Struct

from callboard.balance.endpoint import Endpoint
from callboard.balance.weights import in_play, weights_of

L = TypeVar("L")
SLOTS_MAX_COUNT: Final = 65_536
"""With greater weights in all (in lowest terms), the host at a place is searched for, not looked up."""
_BELOW_ONE: Final = 1 - 2**-53


class Host(Struct, Generic[L], eq=False):
    """An endpoint among those in play, and what is known of its load."""

    endpoint: Endpoint
    start: int
    """Where it begins: the weights of all before it."""
    weight: int
    """In lowest terms."""
    others: int
    """The weights of all others."""
    burden: float
    """What one call under way is for it, when it is 1 for a host of average weight."""
    load: L


class TwoChoices(ABC, Generic[L]):
    """The set of hosts, and the ways to choose that are not the hot one: few endpoints, endpoints to avoid, very great weights."""

    __slots__ = ("_even", "_hosts", "_loads", "_slots", "_width", "endpoints")

    def __init__(self, endpoints: Sequence[Endpoint], loads: dict[str, L]) -> None:
        self.endpoints = tuple(endpoints)
        self._loads = loads
        self._hosts = self._make_hosts([self.endpoints[place] for place in in_play(self.endpoints)])
        self._width = _width(self._hosts)
        self._even = self._width == len(self._hosts)
        self._slots: list[Host[L]] = []
        """The host at each place; empty when there are not two, or too many places."""
        if len(self._hosts) > 1 and self._width <= SLOTS_MAX_COUNT:
            for host in self._hosts:
                self._slots += [host] * host.weight

    def _make_hosts(self, endpoints: Sequence[Endpoint]) -> list[Host[L]]:
        weights = weights_of(endpoints)
        unit = gcd(*weights) or 1  # of none
        total = sum(weights) // unit
        hosts, start = [], 0
        for endpoint, said in zip(endpoints, weights, strict=True):
            weight = said // unit
            burden = total / (len(weights) * weight)
            hosts.append(Host(endpoint, start, weight, total - weight, burden, self._loads[endpoint.key]))
            start += weight
        return hosts

    @abstractmethod
    def _better(self, first: Host[L], second: Host[L]) -> Host[L]:
        """The one of the two which takes the call. The first was drawn by weight and stays unless there is a reason."""

    def _choose(self, chance: float, avoid: Collection[str]) -> Host[L] | None:
        """Any case. One try to meet two that are not avoided; then a look at all, by what is left of the chance."""
        if len(self._hosts) > 1:
            first, second, chance = _pair(self._hosts, chance)
            if not avoid or (first.endpoint.key not in avoid and second.endpoint.key not in avoid):
                return self._better(first, second)
        left = self._make_hosts([self.endpoints[place] for place in in_play(self.endpoints, avoid)])
        if len(left) < 2:
            return left[0] if left else None
        first, second, _ = _pair(left, chance)
        return self._better(first, second)


def _width(hosts: Sequence[Host[L]]) -> int:
    return hosts[-1].start + hosts[-1].weight if hosts else 0


def _pair(hosts: Sequence[Host[L]], chance: float) -> tuple[Host[L], Host[L], float]:
    """Two different hosts, and what is left of the chance: even over 0 to 1 again."""
    first, rest = _at(hosts, chance * _width(hosts))
    where = rest * first.others
    second, rest = _at(hosts, where if where < first.start else where + first.weight)
    return first, second, rest


def _at(hosts: Sequence[Host[L]], where: float) -> tuple[Host[L], float]:
    """The host at a place, and how far in it the place is, as a share that rounding does not make 1."""
    host = hosts[bisect_right(hosts, where, key=_start) - 1]
    return host, min((where - host.start) / host.weight, _BELOW_ONE)


def _start(host: Host[L]) -> int:
    return host.start

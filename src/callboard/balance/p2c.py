"""Least request by the power of two choices: of two endpoints drawn by chance, the one with fewer calls under way.

The calls under way are kept as a set, not as a number: adding to it and taking from it is one step each, so that threads need no lock,
and a call that is closed twice is taken out once.
"""

from collections.abc import Collection, Sequence

from callboard.balance.endpoint import Endpoint
from callboard.balance.pairs import Host, TwoChoices
from callboard.balance.picked import Picked

Pending = set[Picked]


class _Call(Picked, eq=False):
    pending: Pending

    def done(self, now: int, *, ok: bool = True) -> None:
        self.pending.discard(self)


class P2c(TwoChoices[Pending]):
    """Two looks for each pick, however many endpoints there are."""

    __slots__ = ()

    def __init__(self, endpoints: Sequence[Endpoint], loads: dict[str, Pending] | None = None) -> None:
        known = loads or {}
        super().__init__(endpoints, {endpoint.key: known.get(endpoint.key, set()) for endpoint in endpoints})

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        """See `Picker.pick`."""
        if self._slots and not avoid:
            slots = self._slots
            where = chance * self._width
            place = int(where)
            host = slots[place]
            if mine := len(host.load):
                place = int((where - place) * host.others)
                other = slots[place if place < host.start else place + host.weight]
                its = len(other.load)
                if its * host.weight < mine * other.weight and (its + 1) * host.weight < (mine + 1) * other.weight:
                    host = other  # as `_better` says
        else:
            chosen = self._choose(chance, avoid)
            if chosen is None:
                return None
            host = chosen
        picked = _Call(host.endpoint, host.load)
        host.load.add(picked)
        return picked

    def _better(self, first: Host[Pending], second: Host[Pending]) -> Host[Pending]:
        """The second, when for its weight it has less to do now, and would still have less with this call.

        The former lets an idle endpoint of small weight have its turn, the latter lets one of great weight work on several calls.
        """
        mine, its = len(first.load), len(second.load)
        less = its * first.weight < mine * second.weight and (its + 1) * first.weight < (mine + 1) * second.weight
        return second if less else first

    def successor(self, endpoints: Sequence[Endpoint]) -> "P2c":
        """See `Picker.successor`."""
        return P2c(endpoints, self._loads)

    def in_flight(self, key: str) -> int:
        """See `Picker.in_flight`."""
        return len(self._loads.get(key, ()))

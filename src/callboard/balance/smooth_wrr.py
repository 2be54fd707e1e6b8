"""Weighted round robin that spreads each endpoint's turns evenly, as nginx does: weights 5, 1, 1 give a a b a c a a.

Every pick gives each endpoint credit for its weight; the one with most credit takes the turn and pays what all were given. The credits
are replaced whole, never changed: threads that pick at the same moment may both take one turn, and that is all that can happen.
"""

from collections.abc import Collection, Mapping, Sequence

from callboard.balance.endpoint import Endpoint
from callboard.balance.picked import Picked
from callboard.balance.weights import in_play, weights_of


class SmoothWrr:
    """A pick looks at every endpoint once. It counts no calls under way."""

    __slots__ = ("_credits", "_playing", "_total", "_weights", "endpoints")

    def __init__(self, endpoints: Sequence[Endpoint], turns: Mapping[str, float] | None = None) -> None:
        self.endpoints = tuple(endpoints)
        self._playing = [self.endpoints[place] for place in in_play(self.endpoints)]
        self._weights = weights_of(self._playing)
        self._total = sum(self._weights)
        self._credits = [round((turns or {}).get(endpoint.key, 0.0) * self._total) for endpoint in self._playing]

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        """See `Picker.pick`."""
        if avoid:
            return self._pick_but(avoid)
        if not self._playing:
            return None
        credit = [held + weight for held, weight in zip(self._credits, self._weights, strict=True)]
        best = credit.index(max(credit))
        credit[best] -= self._total
        self._credits = credit
        return Picked(self._playing[best])

    def _pick_but(self, avoid: Collection[str]) -> Picked | None:
        """Those left out neither gain nor pay."""
        left = [place for place, endpoint in enumerate(self._playing) if endpoint.key not in avoid]
        if not left:
            others = in_play(self.endpoints, avoid)
            return Picked(self.endpoints[others[0]]) if others else None
        credit = self._credits.copy()
        for place in left:
            credit[place] += self._weights[place]
        best = max(left, key=credit.__getitem__)
        credit[best] -= sum(self._weights[place] for place in left)
        self._credits = credit
        return Picked(self._playing[best])

    def successor(self, endpoints: Sequence[Endpoint]) -> "SmoothWrr":
        """See `Picker.successor`. Credit is handed on as a part of a turn, so that a change of weights leaves nobody far behind."""
        total = self._total or 1
        return SmoothWrr(endpoints, {endpoint.key: held / total for endpoint, held in zip(self._playing, self._credits, strict=True)})

    def in_flight(self, key: str) -> int:
        """Not counted."""
        return 0

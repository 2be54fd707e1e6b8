"""The contract of pickers, and the table of those there are.

A picker chooses one endpoint per call. Its set of endpoints never changes: each change of the set makes a `successor`, which knows what
its predecessor learnt about the endpoints that stay.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

from callboard.balance.endpoint import Endpoint
from callboard.balance.p2c import P2c
from callboard.balance.peak_ewma import PeakEwma
from callboard.balance.picked import Picked
from callboard.balance.smooth_wrr import SmoothWrr
from callboard.balance.weighted_random import WeightedRandom
from callboard.model.errors import InvalidError

__all__ = ["DEFAULT_PICKER", "PICKERS", "Picked", "Picker", "make_picker"]


class Picker(Protocol):
    """A fixed set of endpoints and a policy. Several threads may call every method at once."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """What it was made of, in that order."""
        ...

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        """The endpoint for one call, or None when there is none left that `avoid` (keys) does not name.

        An endpoint of weight 0 is picked only when nobody else is left. `chance` is even over 0 <= chance < 1 and new for each call.
        """
        ...

    def successor(self, endpoints: Sequence[Endpoint]) -> "Picker":
        """A picker of other endpoints with the same policy. What was learnt is kept by key, and calls under way count on in both."""
        ...

    def in_flight(self, key: str) -> int:
        """Calls picked and not yet done, as far as the policy counts them; 0 for an endpoint it does not know."""
        ...


PICKERS: Final[Mapping[str, Callable[[Sequence[Endpoint]], Picker]]] = MappingProxyType(
    {"weighted_random": WeightedRandom, "smooth_wrr": SmoothWrr, "p2c": P2c, "peak_ewma": PeakEwma}
)
DEFAULT_PICKER: Final = "peak_ewma"


def make_picker(name: str, endpoints: Sequence[Endpoint]) -> Picker:
    """A picker by the name of its policy."""
    make = PICKERS.get(name)
    if make is None:
        raise InvalidError("policy", f"{name[:80]!r} is not known; take one of {', '.join(PICKERS)}")
    return make(endpoints)

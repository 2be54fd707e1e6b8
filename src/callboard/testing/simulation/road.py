"""The road between one member and the engine: how long things take on it, and what is lost. It lives as long as the run."""

import random
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

CALL_TIMEOUT_S: Final = 1.5
"""After that a caller takes it that there will be no answer."""


class Fate(Enum):
    """What happens to one commit."""

    LANDS = "lands"
    REFUSED = "refused"
    """Unavailable: it was never sent."""
    LOST = "lost"
    """Indeterminate: it never arrives."""
    UNANSWERED = "unanswered"
    """Indeterminate: it has landed."""
    LATE = "late"
    """Indeterminate: it arrives seconds after the caller was told."""
    SLOW = "slow"


NOTHING: Final[Mapping[Fate, int]] = {Fate.LANDS: 1}


class Road:
    """What one member's calls meet."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.latency_s = (0.001, 0.004)
        self.cut = False
        """Nothing passes."""
        self.silent = False
        """Calls are answered, but nothing is told: the watch hangs."""
        self.fates = NOTHING
        self._bells: list[Callable[[], None]] = []

    @property
    def quiet(self) -> bool:
        """Whether the member is told nothing."""
        return self.cut or self.silent

    def span_s(self) -> float:
        """How long one way takes."""
        return self.chance.uniform(*self.latency_s)

    def fate(self) -> Fate:
        """Of the next commit."""
        fates = self.fates
        if fates is NOTHING:
            return Fate.LANDS
        return self.chance.choices(list(fates), list(fates.values()))[0]

    def watch(self, bell: Callable[[], None]) -> None:
        """Ring when it has changed."""
        self._bells.append(bell)

    def change(self, *, cut: bool | None = None, silent: bool | None = None) -> None:
        """Break it or mend it."""
        self.cut = self.cut if cut is None else cut
        self.silent = self.silent if silent is None else silent
        for bell in self._bells:
            bell()

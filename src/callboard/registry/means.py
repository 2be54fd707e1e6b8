"""What every part of a member works with. Made once by the registry; it lives as long as the registry."""

from dataclasses import dataclass, field

from callboard.core.steady import SteadyTime
from callboard.model.time import MILLISECOND, Duration, Instant
from callboard.net.tasks import Tasks
from callboard.registry.clock import Clock, Entropy
from callboard.registry.settings import RegistrySettings
from callboard.registry.stats import RegistryStats
from callboard.store.contract import Store


@dataclass(slots=True)
class Means:
    """The store, the limits, time and chance, the counters, and the tasks that end with the registry."""

    store: Store
    settings: RegistrySettings
    clock: Clock
    entropy: Entropy
    stats: RegistryStats = field(default_factory=RegistryStats)
    tasks: Tasks = field(default_factory=Tasks)
    steady: SteadyTime = field(init=False)
    """Time that does not run while this process does not: that of every deadline."""

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Count time from here."""
        self.steady = SteadyTime(Duration(self.settings.lateness_max_ms * MILLISECOND), self.clock.now())

    def now(self) -> Instant:
        """Steady time."""
        return self.steady.observe(self.clock.now())

"""How much is measured, how long and how often: one value for everything that `python -m bench` takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.peer import Peer


@dataclass(frozen=True)
class Plan:
    """The plan of a whole run; `FULL` and `QUICK` are the two there are."""

    pairs: int = 5
    seconds: float = 1.0
    """Of one run of one side."""

    rounds: int = 3
    """Of what takes long."""

    changes: int = 40
    """Changes with a cold read after each, in one run."""

    rendered: Sequence[int] = (10, 100, 1_000)
    """Instances of the services that are read cold."""

    parked: int = 10_000
    connections: int = 20_000
    instances: int = 200_000
    restart_instances: int = 50_000
    heartbeat_checks: int = 50_000
    services: int = 10_000
    flapping: int = 5_000
    flapping_s: float = 5.0
    curve: Sequence[int] = (1_000, 10_000, 100_000)
    peer: Peer | None = None
    seed: int = 1
    """Of what is left to chance: cookies, the case of letters, the order of what is asked."""


FULL = Plan()
QUICK = Plan(
    pairs=1, seconds=0.15, rounds=1, changes=4, rendered=(10,), parked=200, connections=200, instances=500, restart_instances=500,
    heartbeat_checks=1_000, services=200, flapping=100, flapping_s=0.4, curve=(500, 1_000),
)  # fmt: skip
"""To see that it runs, not to quote."""

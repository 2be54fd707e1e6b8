"""A queueing laboratory for pickers: calls arrive by chance, servers work one call after the other, each client picks by what it sees.

What it says is as good as the model: calls arrive in a Poisson process, servers take exponential times in the order of arrival and lose
nothing, and the network takes no time. So it is first held against what queueing theory knows (`random_sojourn`, `two_choices_sojourn`);
policies are then compared with each other, never with real services. Chance is given (a seeded `Random`) and time is counted: a run that
is repeated gives the same figures.
"""

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from msgspec.structs import replace

from callboard.balance.endpoint import Endpoint
from callboard.balance.picker import Picked, Picker
from callboard.model.time import MILLISECOND

Make = Callable[[Sequence[Endpoint]], Picker]
TERMS_COUNT: Final = 30
"""Of a series whose terms fall faster than any power."""


class Fleet(NamedTuple):
    """Servers by the mean time (ns) they take for one call."""

    service_ns: Mapping[str, float]

    @property
    def per_second(self) -> float:
        """Calls that all of them together can serve."""
        return sum(1e9 / service for service in self.service_ns.values())

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """What a picker sees of them: all of one weight."""
        return tuple(Endpoint(key=key, id=key, node="lab", address="127.0.0.1", port=1) for key in self.service_ns)


class Run(NamedTuple):
    """How much happens. `utilisation` is the share of the fleet's whole capacity that is asked for."""

    utilisation: float
    calls: int
    warm_up: int
    """Calls before the first that counts, so that the empty beginning is forgotten."""


class Times(NamedTuple):
    """Milliseconds from arrival to end, one after the other, and who served how many calls."""

    sojourns_ms: "array[float]"
    served: Mapping[str, int]

    @property
    def mean_ms(self) -> float:
        """The mean."""
        return sum(self.sojourns_ms) / len(self.sojourns_ms)

    def quantile_ms(self, share: float) -> float:
        """The time within which this share of the calls ended."""
        return sorted(self.sojourns_ms)[int(share * len(self.sojourns_ms))]


def fleet(*groups: tuple[int, float]) -> Fleet:
    """Servers in groups: how many, and the mean milliseconds each of them takes."""
    times = [mean_ms for count, mean_ms in groups for _ in range(count)]
    return Fleet({f"s{place}": mean_ms * MILLISECOND for place, mean_ms in enumerate(times)})


def simulate(servers: Fleet, clients: Sequence[Picker], run: Run, chance: Random) -> Times:
    """Let `clients` call `servers`, each call from a client drawn by chance, and tell how long the calls took."""
    draw, spread = chance.random, chance.expovariate
    rate = run.utilisation * servers.per_second / 1e9
    speed = {key: 1 / service for key, service in servers.service_ns.items()}
    free = dict.fromkeys(servers.service_ns, 0.0)
    ends: list[tuple[float, int, Picked]] = []
    sojourns = array("d")
    served: Counter[str] = Counter()
    now, count = 0.0, len(clients)
    for number in range(run.warm_up + run.calls):
        now += spread(rate)
        while ends and ends[0][0] <= now:
            end, _, picked = heapq.heappop(ends)
            picked.done(int(end))
        taken = clients[int(draw() * count)].pick(int(now), draw())
        if taken is None:
            raise LookupError("a client has no endpoints")
        key = taken.endpoint.key
        end = max(now, free[key]) + spread(speed[key])
        free[key] = end
        heapq.heappush(ends, (end, number, taken))
        if number >= run.warm_up:
            sojourns.append((end - now) / MILLISECOND)
            served[key] += 1
    return Times(sojourns, served)


def clients_of(make: Make, servers: Fleet, count: int) -> list[Picker]:
    """So many clients that know nothing of each other."""
    return [make(servers.endpoints) for _ in range(count)]


def shares(make: Make, weights: Sequence[int], at_once: float, calls: int, chance: Random) -> list[float]:
    """The part of its weight's share that each server gets, servers being alike in all but weight: 1.0 is what the weight says.

    They serve any number of calls side by side, in exponential times of 10 ms on average; `at_once` calls are under way on average.
    """
    given = [replace(endpoint, weight=weight) for endpoint, weight in zip(fleet((len(weights), 10.0)).endpoints, weights, strict=True)]
    picker = make(given)
    mean_ns, now = 10.0 * MILLISECOND, 0.0
    ends: list[tuple[float, int, Picked]] = []
    served: Counter[str] = Counter()
    for number in range(calls):
        now += chance.expovariate(at_once / mean_ns)
        while ends and ends[0][0] <= now:
            end, _, picked = heapq.heappop(ends)
            picked.done(int(end))
        taken = picker.pick(int(now), chance.random())
        if taken is None:
            raise LookupError("there are no servers")
        served[taken.endpoint.key] += 1
        heapq.heappush(ends, (now + chance.expovariate(1 / mean_ns), number, taken))
    return [served[endpoint.key] / calls * sum(weights) / endpoint.weight for endpoint in given]


def fullest_bin(make: Make, bins: int, chance: Random) -> int:
    """Throw as many balls as there are bins: how many lie in the fullest one."""
    picker = make(fleet((bins, 1.0)).endpoints)
    thrown = [picker.pick(0, chance.random()) for _ in range(bins)]
    return max(Counter(picked.endpoint.key for picked in thrown if picked is not None).values())


def random_sojourn(utilisation: float) -> float:
    """Mean time in a single-server queue, in service times: what drawing a server blindly gives."""
    return 1 / (1 - utilisation)


def two_choices_sojourn(utilisation: float, choices: int = 2) -> float:
    """The same for the shortest of two (or more) queues drawn from very many (Mitzenmacher's supermarket model)."""
    return sum(math.pow(utilisation, (choices**place - choices) / (choices - 1)) for place in range(1, TERMS_COUNT))

"""Least load by the power of two choices, load being latency times calls under way: the default policy.

The latency of an endpoint is an average that believes a rise at once and a fall slowly (Finagle's peak EWMA): it jumps to a call that took
longer, and moves towards those that took less with a time constant of ten seconds. Unasked it fades, so that an endpoint which was slow
is tried again. An endpoint nobody called yet is tried at once, and by one call at a time until the first answer is there.

Who fails at once would look fast and draw all calls (a sinkhole): a failed call counts as one that ran into a time limit, and each further
one in a row as twice as long.
"""

from collections.abc import Collection, Sequence
from math import exp, inf, log
from typing import Final

from callboard.balance.endpoint import Endpoint
from callboard.balance.pairs import Host, TwoChoices
from callboard.balance.picked import Picked
from callboard.model.time import SECOND, Duration

TAU: Final = Duration(10 * SECOND)
"""Time in which what is known of an endpoint fades to 37 %."""
FAILED_MIN: Final = SECOND
"""What a failed call counts as at least."""
FAILED_DOUBLINGS_MAX: Final = 6
"""Failures in a row count as 1, 2, 4 ... 64 seconds."""
OVERTIME: Final = 4
"""A host does more than its weight says only in place of one that is so many times as slow."""
_FAR: Final = -log(OVERTIME)
_RATE: Final = 1 / TAU
_NEVER_ASKED: Final = -inf
_UNANSWERED: Final = 1e15
"""Above the score of any answer, with room for the logarithm of the calls under way beside it."""


class Load:
    """What is known of one endpoint, shared by all pickers that have it.

    Pickers only compare, and all costs fade alike. So they compare `score`, which does not change while a cost fades: the logarithm of the
    cost, plus its moment. Which of two endpoints has less load at any time is then known without an exponential.
    """

    __slots__ = ("cost", "failures", "moment", "pending", "score")

    def __init__(self) -> None:
        self.pending: set[Picked] = set()
        self.cost = 0.0
        """Nanoseconds, as of `moment`; 0 before the first answer."""
        self.moment = 0.0
        """In units of `TAU`."""
        self.failures = 0
        self.score = _NEVER_ASKED

    def cost_at(self, now: int) -> float:
        """The cost as it has faded until `now`."""
        return self.cost * exp(min(0.0, self.moment - now * _RATE))

    def failed(self) -> int:
        """One more failure, and what it counts as."""
        counts = FAILED_MIN << min(self.failures, FAILED_DOUBLINGS_MAX)
        self.failures += 1
        return counts


class _Call(Picked, eq=False):
    load: Load
    start: int

    def done(self, now: int, *, ok: bool = True) -> None:
        load = self.load
        try:
            load.pending.remove(self)
        except KeyError:
            return
        took = (now - self.start) * 1.0  # of one kind with all costs, which is what makes it quick
        if took < 1.0:  # noqa: PLR1730  # this is the hot way, and max() is a call
            took = 1.0
        if not ok:
            took = max(took, load.failed())
        elif load.failures:
            load.failures = 0
        cost = load.cost
        moment = now * _RATE
        past = load.moment - moment
        if took > cost:
            cost = took
        elif past < 0.0:
            cost = took + (cost - took) * exp(past)
        else:  # `now` is older than what is known, and the call tells no peak
            return
        load.cost = cost
        if past < 0.0:
            load.moment = moment
        load.score = log(cost) + load.moment


class PeakEwma(TwoChoices[Load]):
    """Two looks for each pick, however many endpoints there are."""

    __slots__ = ()

    def __init__(self, endpoints: Sequence[Endpoint], loads: dict[str, Load] | None = None) -> None:
        known = loads or {}
        super().__init__(endpoints, {endpoint.key: known.get(endpoint.key) or Load() for endpoint in endpoints})

    def pick(self, now: int, chance: float, avoid: Collection[str] = ()) -> Picked | None:
        """See `Picker.pick`."""
        if self._slots and not avoid:
            slots = self._slots
            where = chance * self._width
            place = int(where)
            host = slots[place]
            place = int((where - place) * host.others)
            other = slots[place if place < host.start else place + host.weight]
            load, rival = host.load, other.load
            more = rival.score - load.score
            mine, its = len(load.pending), len(rival.pending)
            if mine == its and (host.weight == other.weight or (not mine and host.weight < other.weight)):
                if more < 0.0:  # what `_limit` says of these, and below what it never says of an idle host, without its price
                    host = other
            elif (mine or more < (_FAR if host.weight > other.weight else 0.0)) and more < _limit(mine, host.burden, its, other.burden):
                host = other
        else:
            chosen = self._choose(chance, avoid)
            if chosen is None:
                return None
            host = chosen
        load = host.load
        if load.score == _NEVER_ASKED:
            load.score = _UNANSWERED
        picked = _Call(host.endpoint, load, now)
        load.pending.add(picked)
        return picked

    def _better(self, first: Host[Load], second: Host[Load]) -> Host[Load]:
        """The second, when it has less load for its weight; see `_limit`."""
        load, rival = first.load, second.load
        limit = _limit(len(load.pending), first.burden, len(rival.pending), second.burden)
        return second if rival.score - load.score < limit else first

    def successor(self, endpoints: Sequence[Endpoint]) -> "PeakEwma":
        """See `Picker.successor`."""
        return PeakEwma(endpoints, self._loads)

    def in_flight(self, key: str) -> int:
        """See `Picker.in_flight`."""
        load = self._loads.get(key)
        return 0 if load is None else len(load.pending)

    def cost_ns(self, key: str, now: int) -> float:
        """What a call to the endpoint is taken to last; 0 when nothing is known."""
        load = self._loads.get(key)
        return 0.0 if load is None else load.cost_at(now)


def _limit(mine: int, burden: float, its: int, its_burden: float) -> float:
    """What the second's score must be below the first's, to take the call: a logarithm.

    It has to have less load for its weight now, and still less with this call. An idle host's load is its latency, whatever its weight, so
    that one of small weight has its turn. But latencies differ by chance: a lighter one that would do more than its weight says takes the
    call only when the first is slower by far.
    """
    now = (mine * burden + 1.0) / (its * its_burden + 1.0)
    then = (mine + 1) * burden / ((its + 1) * its_burden)
    if then < 1.0 and burden < its_burden:
        then /= OVERTIME
    return log(min(now, then))

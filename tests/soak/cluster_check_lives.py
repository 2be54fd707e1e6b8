"""LiveStays and DeadGoes: whether time limits ran out for those who died, in time, and for nobody else. Pure."""

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tests.soak.cluster_check_truth import Truth, Turn
from tests.soak.cluster_history import FaultRow, History, Life, Stall
from tests.soak.cluster_violation import Violation


class Limits(NamedTuple):
    """What is promised."""

    dead_late_s: float = 12.0
    """After its time limit a dead instance may be shown for so much longer; after two of them when a member died, too."""
    settle_s: float = 10.0
    """A member that died counts as one for so long."""
    stalled_of_ttl: float = 1 / 3
    """When the load itself stood still for so much of a time limit, its signs of life came too late: that is nobody's fault."""


class Death(NamedTuple):
    """How long a dead instance was held for alive."""

    key: str
    ttl_s: float
    seconds: float
    allowed_s: float
    during: str
    """Faults meanwhile; empty: none that matters."""


class Hidden(NamedTuple):
    """A live instance that readers were told is dead or gone."""

    key: str
    at: float
    seconds: float
    """Infinite when it was never shown again."""
    gone: bool
    """It went, rather than ran out."""


def lives(history: History, truth: Truth, limits: Limits) -> Iterator[Violation]:
    """Both rules."""
    for hidden in hidden_ones(history, truth):
        ttl_s = history.lives[hidden.key].ttl_s
        if ttl_s and not hidden.gone and _stalled_s(history.stalls, hidden.at - ttl_s, hidden.at) >= ttl_s * limits.stalled_of_ttl:
            continue
        yield Violation("LiveStays", f"{hidden.key} lived and was hidden for {hidden.seconds:.1f} s", hidden.at)
    for death in deaths(history, truth, limits):
        if death.seconds > death.allowed_s:
            text = f"{death.key} (limit {death.ttl_s:g} s) was dead for {death.seconds:.1f} s, allowed {death.allowed_s:.1f} s"
            yield Violation("DeadGoes", f"{text}; meanwhile: {death.during or 'nothing'}", history.lives[death.key].ended)


def hidden_ones(history: History, truth: Truth) -> Iterator[Hidden]:
    """Every time a live instance ran out, or went."""
    for key, life in history.lives.items():
        since, gone = math.inf, False
        for turn in truth.turns.get(key, ()):
            if not life.born <= turn.at < life.ended:
                continue
            if turn.state is None or turn.state.expired:
                since, gone = min(since, turn.at), gone or turn.state is None
            elif since < math.inf:
                yield Hidden(key, since, turn.at - since, gone)
                since, gone = math.inf, False
        if since < math.inf:
            yield Hidden(key, since, math.inf, gone)


def deaths(history: History, truth: Truth, limits: Limits) -> Iterator[Death]:
    """Every instance that died without a word, as long as it was in the truth."""
    end = max((mark.at for mark in history.marks), default=0.0)
    for key, life in history.lives.items():
        if life.how != "killed" or not life.ttl_s:
            continue
        allowed_s, during = _allowed(life, history, limits)
        allowed_s += _stalled_s(history.stalls, life.ended, life.ended + allowed_s)
        known = _known_dead(life, truth.turns.get(key, ()))
        if known < math.inf or end > life.ended + allowed_s:
            yield Death(key, life.ttl_s, max(0.0, known - life.ended), allowed_s, during)


def _stalled_s(stalls: Iterable[Stall], begin: float, end: float) -> float:
    """How long the load stood still between two moments."""
    return sum(max(0.0, min(end, stall.at + stall.seconds) - max(begin, stall.at)) for stall in stalls)


def _known_dead(life: Life, turns: Iterable[Turn]) -> float:
    """When it was first known that it is dead: it ran out, or it was critical by its own word and stayed so."""
    gone = math.inf
    for turn in turns:
        dead = turn.state is None or turn.state.status == "critical"
        gone = min(gone, turn.at) if dead else math.inf
    return gone


def _leaderless_s(writes: Sequence[float], fault: FaultRow) -> float:
    """The longest time of a fault in which nothing was acknowledged: then nobody leads, and nobody runs out."""
    first, last = bisect.bisect_right(writes, fault.begin), bisect.bisect_left(writes, fault.recovered)
    moments = (fault.begin, *writes[first:last], fault.recovered)
    return max(late - early for early, late in itertools.pairwise(moments))


def _allowed(life: Life, history: History, limits: Limits) -> tuple[float, str]:
    until = life.ended + life.ttl_s + limits.dead_late_s
    during: list[str] = []
    for fault in sorted(history.faults, key=lambda one: one.begin):
        end = fault.recovered + limits.settle_s
        if not fault.dooms or fault.begin > until or end < life.ended:
            continue
        during.append(fault.name)
        if fault.dooms == "engine":
            until = max(until, fault.recovered + life.ttl_s + limits.dead_late_s)
        else:
            until += life.ttl_s + (_leaderless_s(history.writes, fault) if fault.dooms == "leader" else 0.0)
    return until - life.ended, ", ".join(during)

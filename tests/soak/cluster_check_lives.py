"""LiveStays and DeadGoes: whether time limits ran out for those who died, in time, and for nobody else. Pure."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.soak.cluster_check_truth import Truth, Turn
from tests.soak.cluster_history import FaultRow, History, Life
from tests.soak.cluster_violation import Violation


class Limits(NamedTuple):
    """What is promised."""

    dead_late_s: float = 12.0
    """After its time limit a dead instance may be shown for so much longer; after two of them when a member died, too."""
    settle_s: float = 10.0
    """A member that died counts as one for so long."""


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


def lives(history: History, truth: Truth, limits: Limits) -> Iterator[Violation]:
    """Both rules."""
    for hidden in hidden_ones(history, truth):
        yield Violation("LiveStays", f"{hidden.key} lived and was hidden for {hidden.seconds:.1f} s", hidden.at)
    for death in deaths(history, truth, limits):
        if death.seconds > death.allowed_s:
            text = f"{death.key} (limit {death.ttl_s:g} s) was dead for {death.seconds:.1f} s, allowed {death.allowed_s:.1f} s"
            yield Violation("DeadGoes", f"{text}; meanwhile: {death.during or 'nothing'}", history.lives[death.key].ended)


def hidden_ones(history: History, truth: Truth) -> Iterator[Hidden]:
    """Every time a live instance ran out, or went."""
    for key, life in history.lives.items():
        since = math.inf
        for turn in truth.turns.get(key, ()):
            if not life.born <= turn.at < life.ended:
                continue
            if turn.state is None or turn.state.expired:
                since = min(since, turn.at)
            elif since < math.inf:
                yield Hidden(key, since, turn.at - since)
                since = math.inf
        if since < math.inf:
            yield Hidden(key, since, math.inf)


def deaths(history: History, truth: Truth, limits: Limits) -> Iterator[Death]:
    """Every instance that died without a word, as long as it was in the truth."""
    end = max((mark.at for mark in history.marks), default=0.0)
    for key, life in history.lives.items():
        if life.how != "killed" or not life.ttl_s:
            continue
        allowed_s, during = _allowed(life, history.faults, limits)
        known = _known_dead(life, truth.turns.get(key, ()))
        if known < math.inf or end > life.ended + allowed_s:
            yield Death(key, life.ttl_s, max(0.0, known - life.ended), allowed_s, during)


def _known_dead(life: Life, turns: Iterable[Turn]) -> float:
    """When it was first known that it is dead: it ran out, or it was critical by its own word and stayed so."""
    gone = math.inf
    for turn in turns:
        dead = turn.state is None or turn.state.status == "critical"
        gone = min(gone, turn.at) if dead else math.inf
    return gone


def _allowed(life: Life, faults: Iterable[FaultRow], limits: Limits) -> tuple[float, str]:
    until = life.ended + life.ttl_s + limits.dead_late_s
    during: list[str] = []
    for fault in sorted(faults, key=lambda one: one.begin):
        end = fault.recovered + limits.settle_s
        if not fault.dooms or fault.begin > until or end < life.ended:
            continue
        during.append(fault.name)
        until = max(until, fault.recovered + life.ttl_s + limits.dead_late_s) if fault.dooms == "engine" else until + life.ttl_s
    return until - life.ended, ", ".join(during)

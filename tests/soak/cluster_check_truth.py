"""What really happened to each instance, put together from all watchers, and whether it is what was acknowledged. Pure."""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.soak.cluster_history import Event, History, Key, Op, State
from tests.soak.cluster_violation import Violation


class Turn(NamedTuple):
    """An instance at a revision, as watchers were told; `at` is when the first of them was."""

    revision: int
    state: State | None
    at: float


@dataclass
class Truth:
    """Each instance's turns by revision, and every revision that was told."""

    turns: dict[Key, list[Turn]] = field(default_factory=dict)
    revisions: list[int] = field(default_factory=list)
    conflicts: list[Violation] = field(default_factory=list)

    def at(self, key: Key, revision: int) -> State | None:
        """An instance as it was when the group with this revision had landed; None when it was not there."""
        place = bisect.bisect_left(self.revisions, revision)
        reached = self.revisions[place] if place < len(self.revisions) else revision
        turns = self.turns.get(key, [])
        found = bisect.bisect_right(turns, reached, key=lambda turn: turn.revision)
        return turns[found - 1].state if found else None

    def reached(self, revision: int) -> bool:
        """Whether somebody was told of this revision or a later one."""
        return bool(self.revisions) and self.revisions[-1] >= revision


def truth_of(history: History) -> Truth:
    """Put it together."""
    truth = Truth(revisions=sorted({event.revision for event in history.events} | {mark.revision for mark in history.marks}))
    known: dict[tuple[Key, int], Turn] = {}
    for event in history.events:
        told = Turn(event.revision, None if event.kind == "removed" else event.state, event.at)
        other = known.get((event.key, event.revision))
        if other is None:
            known[event.key, event.revision] = told
        elif other.state != told.state:
            truth.conflicts.append(_conflict(event, other, told))
        elif told.at < other.at:
            known[event.key, event.revision] = told
    for (key, _), turn in sorted(known.items(), key=lambda item: item[0][1]):
        truth.turns.setdefault(key, []).append(turn)
    return truth


def _conflict(event: Event, other: Turn, told: Turn) -> Violation:
    return Violation("Bookmark", f"{event.key} at revision {event.revision} is {other.state} to one and {told.state} to another", event.at)


def writes(history: History, truth: Truth) -> Iterator[Violation]:
    """SurelyNotApplied, AtMostOnce, Durable, NeverForgotten."""
    by_key: dict[Key, list[Op]] = {}
    for op in history.ops:
        by_key.setdefault(op.key, []).append(op)
        if op.status == 404:
            yield from _forgotten(op, history)
    for key, ops in by_key.items():
        ops.sort(key=lambda op: op.begin)
        yield from _tokens(key, ops, truth)
        for place, op in enumerate(ops):
            if op.kind != "beat" and op.verdict == "done" and truth.reached(op.revision):
                yield from _kept(op, [*ops[:place], *ops[place + 1 :]], truth)


def _forgotten(op: Op, history: History) -> Iterator[Violation]:
    life = history.lives.get(op.key)
    if life is not None and life.born < op.begin and op.end < life.ended:
        yield Violation("NeverForgotten", f"member {op.member} answered 404 to {op.kind} of {op.key}, which lives", op.end)


def _tokens(key: Key, ops: list[Op], truth: Truth) -> Iterator[Violation]:
    attempts = {op.token: op for op in ops if op.kind == "register"}
    past: set[str] = set()
    present: str | None = None
    for turn in truth.turns.get(key, ()):
        token = turn.state.token if turn.state is not None else None
        if token is not None and token != present:
            attempt = attempts.get(token)
            if attempt is None:
                yield Violation("AtMostOnce", f"{key} shows {token}, which nobody wrote", turn.at)
            elif attempt.verdict == "refused":
                yield Violation(
                    "SurelyNotApplied", f"{key} shows {token} at {turn.revision}; the attempt was refused ({attempt.status})", turn.at
                )
            if token in past:
                yield Violation("AtMostOnce", f"{key} shows {token} again at revision {turn.revision}", turn.at)
        if present is not None and token != present:
            past.add(present)
        present = token


def _kept(op: Op, others: list[Op], truth: Truth) -> Iterator[Violation]:
    """Durable: at its revision the instance is as the acknowledged attempt left it, or as one left it that may have come in between.

    Watchers see a group as its last command left it, so also a later one of the same group may have: a heartbeat that is a turn, too.
    """
    state = truth.at(op.key, op.revision)
    if _fits(op, state):
        return
    reached = _reached(truth, op.revision)
    later = (other for other in others if other.verdict == "done" and op.revision < other.revision <= reached)
    open_ones = (other for other in others if other.verdict == "unknown")
    if not any(_fits(other, state) for other in (*later, *open_ones)):
        yield Violation(
            "Durable", f"{op.kind} {op.token} of {op.key} was acknowledged at revision {op.revision}, where it is {state}", op.end
        )


def _reached(truth: Truth, revision: int) -> int:
    place = bisect.bisect_left(truth.revisions, revision)
    return truth.revisions[place] if place < len(truth.revisions) else revision


def _fits(op: Op, state: State | None) -> bool:
    """Whether an instance may look like this right after an operation."""
    if op.kind == "deregister":
        return state is None
    if state is None:
        return False
    match op.kind:
        case "register":
            return state.token == op.token
        case "turn" | "beat":
            return state.status == op.token
        case "drain":
            return state.phase == "draining"
        case _:
            return state.phase == "serving"

"""Judges a history of the fault suite by its revisions: what was promised, and was it kept? Pure; each rule has a name.

Ordered, Unique, Atomic, Reliable, Resumable, Bookmark   what watchers are promised, over all their streams at all members
SurelyNotApplied    what was refused with 503 never shows
AtMostOnce          what one attempt wrote does not come back after something else was written
Durable             what was acknowledged is there at its revision, and in the end
NeverForgotten      nobody is told that a live, acknowledged instance is unknown
LiveStays           no live instance turns critical, or goes, because its time limit ran out
DeadGoes            a dead one turns critical in time
OneIndex            the same index means the same answer, at every member; an index never falls below the one that was sent
Consistent          a consistent read shows everything acknowledged before it was asked
Agreed              when nobody writes, all members tell the same
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from tests.soak.cluster_check_lives import Limits, lives
from tests.soak.cluster_check_truth import truth_of, writes
from tests.soak.cluster_check_watch import watches
from tests.soak.cluster_history import History, Key, Op, Seen
from tests.soak.cluster_violation import Violation

SHOWN_MAX_COUNT: Final = 5
"""Violations of one rule that are told in full."""


class Verdicts(NamedTuple):
    """What came of it."""

    violations: tuple[Violation, ...]
    counts: dict[str, int]
    """How many broke each rule."""


def judge(history: History, limits: Limits) -> Verdicts:
    """All rules."""
    truth = truth_of(history)
    found = [
        *watches(history), *truth.conflicts, *writes(history, truth), *lives(history, truth, limits), *_indexes(history.seen),
        *_consistent(history), *_quiet(history), *_finals(history),
    ]  # fmt: skip
    counts = Counter(violation.rule for violation in found)
    shown: Counter[str] = Counter()
    kept = []
    for violation in found:
        shown[violation.rule] += 1
        if shown[violation.rule] <= SHOWN_MAX_COUNT:
            kept.append(violation)
    return Verdicts(tuple(kept), dict(counts))


def _indexes(seen: Iterable[Seen]) -> Iterator[Violation]:
    known: dict[tuple[str, int], Seen] = {}
    for one in seen:
        if one.revision < one.sent:
            yield Violation("OneIndex", f"{one.reader} sent index {one.sent} of {one.service} and got {one.revision}", one.end)
        other = known.setdefault((one.service, one.revision), one)
        if other.digest != one.digest:
            where = f"member {other.member} ({other.mode}) and member {one.member} ({one.mode})"
            yield Violation("OneIndex", f"{one.service} at index {one.revision}: {where} show different instances", one.end)


def _consistent(history: History) -> Iterator[Violation]:
    by_service: dict[str, list[Key]] = {}
    for life in history.lives.values():
        by_service.setdefault(life.service, []).append(life.key)
    by_key = ops_by_key(history.ops)
    for one in history.seen:
        if one.tokens is not None:
            for key in by_service.get(one.service, ()):
                wrong = _misses(one, key, by_key.get(key, []), one.tokens)
                if wrong:
                    yield Violation("Consistent", f"{one.reader} at member {one.member}, {one.service}: {wrong}", one.begin)


def _misses(read: Seen, key: Key, ops: list[Op], tokens: dict[Key, str]) -> str:
    """What a read should have shown of an instance, and did not; empty when it is right, or may be."""
    last: Op | None = None
    possible: set[str | None] = set()
    for op in ops:
        if op.kind not in {"register", "deregister"} or op.verdict in {"refused", "failed"}:
            continue
        if op.begin >= read.end:
            break
        wrote = op.token if op.kind == "register" else None
        if op.verdict == "done" and op.end < read.begin:
            last = op
            possible = {wrote} | {each for each in possible if each in _open_tokens(ops, read)}
        else:
            possible.add(wrote)
    shown = tokens.get(key)
    if last is None or shown in possible:
        return ""
    return f"{key} shows {shown}, acknowledged before was {last.kind} {last.token} at revision {last.revision}"


def _open_tokens(ops: list[Op], read: Seen) -> set[str | None]:
    """What attempts wrote, or may yet write, of which nobody knows when."""
    return {op.token if op.kind == "register" else None for op in ops if op.verdict == "unknown" and op.begin < read.end}


def _quiet(history: History) -> Iterator[Violation]:
    for moment in history.quiet:
        names = sorted(moment.told)
        for name in names[1:]:
            first, other = moment.told[names[0]], moment.told[name]
            differing = {what: (first.get(what), other.get(what)) for what in first.keys() | other.keys()}
            wrong = {what: pair for what, pair in sorted(differing.items()) if pair[0] != pair[1]}
            if wrong:
                yield Violation("Agreed", f"{names[0]} and {name} tell different things: {dict(list(wrong.items())[:4])}", moment.at)


def _finals(history: History) -> Iterator[Violation]:
    if not history.finals:
        return
    first = history.finals[0]
    for other in history.finals[1:]:
        differing = [key for key in first.tokens.keys() | other.tokens.keys() if first.tokens.get(key) != other.tokens.get(key)]
        differing += [key for key, status in first.statuses.items() if other.statuses.get(key, status) != status]
        if differing:
            yield Violation("Agreed", f"{first.member} and {other.member} differ in the end: {sorted(differing)[:4]}")
    by_key = ops_by_key(history.ops)
    for key, life in history.lives.items():
        wrong = _wrong_in_the_end(first.tokens.get(key), life.how, by_key.get(key, []))
        if wrong:
            yield Violation("Durable", f"in the end {key}, which {life.how}: {wrong}")


def _wrong_in_the_end(shown: str | None, how: str, ops: list[Op]) -> str:
    writing = [op for op in ops if op.kind in {"register", "deregister"} and op.verdict in {"done", "unknown"}]
    possible = {op.token if op.kind == "register" else None for op in writing if op.verdict == "unknown"}
    done = [op for op in writing if op.verdict == "done"]
    if done:
        possible.add(done[-1].token if done[-1].kind == "register" else None)
    if how == "left" and not any(op.kind == "register" and op.verdict == "unknown" for op in writing):
        possible = {None} if done and done[-1].kind == "deregister" else possible | {None}
    return "" if shown in possible else f"shows {shown}, possible is {possible}"


def ops_by_key(ops: Iterable[Op]) -> dict[Key, list[Op]]:
    """Each instance's attempts, in their order."""
    found: dict[Key, list[Op]] = {}
    for op in ops:
        found.setdefault(op.key, []).append(op)
    for each in found.values():
        each.sort(key=lambda op: op.begin)
    return found

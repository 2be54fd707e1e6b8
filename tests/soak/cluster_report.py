"""From a run of the fault suite to its figures: a row for each fault, totals, and the JSON that is kept."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.lab import machine
from tests.soak.cluster_check_lives import Limits, deaths, hidden_ones
from tests.soak.cluster_check_truth import truth_of
from tests.soak.cluster_history import FaultRow, History
from tests.soak.cluster_run import Result

RESULTS: Final = Path(__file__).resolve().parents[2] / "bench" / "results"
RESULT: Final = RESULTS / "cluster-soak.json"


class Row(NamedTuple):
    """One fault."""

    fault: str
    what: str
    begin_s: float
    """After the start of the run."""
    seconds: float
    """Until it was mended."""
    recovered_s: float
    """From then until every member served and writes counted."""
    write_gap_s: float
    """The longest time without an acknowledged write; one client writes ten times a second, with ordinary retries."""
    read_gap_s: float
    """The same of reads, twenty a second."""
    unserved_s: dict[str, float]
    """By member: the longest time in which its reads were not answered."""
    resumed: int
    """Watches that were taken up elsewhere."""
    anew: int
    """Of these, those that had to begin anew."""


def rows(history: History) -> list[Row]:
    """A row for each fault."""
    return [_row(history, fault, history.faults[0].begin if history.faults else 0.0) for fault in history.faults]


def _row(history: History, fault: FaultRow, start: float) -> Row:
    begin, end = fault.begin, fault.recovered
    resets = [mark.reset for mark in history.marks if mark.reset and mark.reset != "began" and begin <= mark.at < end + 5]
    return Row(
        fault=fault.name,
        what=fault.detail,
        begin_s=round(begin - start, 1),
        seconds=round(fault.healed - begin, 1),
        recovered_s=round(end - fault.healed, 2),
        write_gap_s=round(gap(history.writes, begin, end), 2),
        read_gap_s=round(gap(history.reads, begin, end), 2),
        unserved_s={name: round(_unserved(told, begin, end), 1) for name, told in history.watched.items()},
        resumed=_moves(history, begin, end + 5),
        anew=len(resets),
    )


def _moves(history: History, begin: float, end: float) -> int:
    """How often a watcher went on at another member than it was at before."""
    moves, at = 0, dict[int, int]()
    for mark in history.marks:
        if begin <= mark.at < end and at.get(mark.watcher, mark.member) != mark.member:
            moves += 1
        at[mark.watcher] = mark.member
    return moves


def gap(moments: Sequence[float], begin: float, end: float) -> float:
    """The longest time without one between two moments; one that goes on after the end counts to its own end."""
    longest, before = 0.0, begin
    for moment in moments:
        if moment < begin:
            continue
        longest = max(longest, moment - before)
        before = moment
        if moment > end:
            return longest
    return max(longest, end - before)


def _unserved(told: Sequence[tuple[float, bool, float]], begin: float, end: float) -> float:
    longest, since = 0.0, math.inf
    for at, answered, took in told:
        if begin <= at < end:
            if answered:
                longest = max(longest, at + took - since if since < math.inf else took)
                since = math.inf
            else:
                since = min(since, at)
    return max(longest, end - since if since < math.inf else 0.0)


def totals(result: Result) -> dict[str, Any]:
    """What the run amounts to."""
    history, truth, limits = result.history, truth_of(result.history), Limits()
    gone = list(deaths(history, truth, limits))
    told = rows(history)
    hidden = [each.seconds for each in hidden_ones(history, truth)]
    return {
        "faults": len(history.faults),
        "operations": dict(Counter(f"{op.kind} {op.verdict}" for op in history.ops)),
        "acknowledged_writes": sum(1 for op in history.ops if op.verdict == "done" and op.kind != "beat"),
        "instances": len(history.lives),
        "watch_events": len(history.events),
        "bookmarks": len(history.marks),
        "began_anew": dict(Counter(mark.reset for mark in history.marks if mark.reset and mark.reset != "began")),
        "reads_judged": len(history.seen),
        "quiet_moments": len(history.quiet),
        "live_hidden": len(hidden),
        "longest_hidden_s": round(max(hidden, default=0.0), 1),
        "slowest_write_resume_s": max((row.write_gap_s for row in told), default=0.0),
        "longest_read_gap_s": max((row.read_gap_s for row in told), default=0.0),
        "dead": len(gone),
        "dead_longest_s": {
            "no fault": _longest([each.seconds - each.ttl_s for each in gone if not each.during]),
            "with faults": _longest([each.seconds - each.ttl_s for each in gone if each.during]),
        },
        "suite_stalls_longest_s": _longest([stall.seconds for stall in history.stalls]),
        "violations": result.verdicts.counts,
    }


def _longest(seconds: list[float]) -> float:
    return round(max(0.0, *seconds) if seconds else 0.0, 2)


def document(result: Result, seed: int) -> dict[str, Any]:
    """The JSON that is kept."""
    return {
        "machine": machine(),
        "seed": seed,
        "seconds": round(result.seconds, 1),
        "totals": totals(result),
        "faults": [row._asdict() for row in rows(result.history)],
        "violations": [violation._asdict() for violation in result.verdicts.violations],
    }


def keep(result: Result, seed: int, path: Path = RESULT) -> None:
    """Write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(result, seed), indent=1) + "\n", encoding="utf-8")


def table(result: Result) -> str:
    """For people."""
    lines = ["  begin  lasts  recov  write   read  resumed  fault"]
    lines += [
        f"{row.begin_s:7.1f}{row.seconds:7.1f}{row.recovered_s:7.2f}{row.write_gap_s:7.2f}{row.read_gap_s:7.2f}"
        f"{row.resumed:5d}/{row.anew:<3d}  {row.fault}: {row.what}"
        for row in rows(result.history)
    ]
    lines.append(json.dumps(totals(result), indent=1))
    lines += [f"VIOLATION {each.rule} at {_since(result.history, each.at):.1f}: {each.text}" for each in result.verdicts.violations]
    return "\n".join(lines)


def _since(history: History, at: float) -> float:
    return at - history.faults[0].begin if history.faults and at else 0.0

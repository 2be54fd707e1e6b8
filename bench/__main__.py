"""`python -m bench [NAME...] [--pairs N] [--quick] [--out FILE]`: take the figures, print them, write them as JSON.

A NAME is a figure or a family of them. PEER=http://HOST:PORT (and PEER_DNS=HOST:PORT, PEER_NAME) measures another server beside ours.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench import report
from bench.figures import FAMILIES, FIGURES, LARGE, chosen
from bench.lab import machine, take_over
from bench.pairs import Figure
from bench.peer import peer_of
from bench.plan import FULL, QUICK
from bench.report_parts import RESULTS
from bench.requests import settings_of
from bench.workers import Absent

BAR_CHARS = 30


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Figures of Callboard, as medians of interleaved pairs against a bare loop.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"figures or families: {', '.join([*FAMILIES, *FIGURES, *LARGE])}")
    parser.add_argument("--only", action="append", default=[], metavar="NAME[,NAME]", help="the same as NAME")
    parser.add_argument("--pairs", type=int, default=FULL.pairs)
    parser.add_argument("--seed", type=int, default=FULL.seed)
    parser.add_argument("--quick", action="store_true", help="small and short: to see that it runs, not to quote")
    parser.add_argument("--out", type=Path, help="where the JSON goes (bench/results/latest.json, peer.json, NAME.json of a large figure)")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    peer = peer_of(os.environ)
    words = [*given.names, *(name for each in given.only for name in each.split(","))]
    try:
        figures = chosen(words, peer=peer is not None)
    except KeyError as unknown:
        print(f"no figure is called {unknown}; there are: {', '.join([*FAMILIES, *FIGURES, *LARGE])}", file=sys.stderr)
        return 2
    take_over()
    plan = replace(QUICK if given.quick else replace(FULL, pairs=given.pairs), seed=given.seed, peer=peer)
    shown = {name: value for name, value in asdict(plan).items() if name != "peer"}
    document: dict[str, Any] = {"machine": machine(), "plan": shown, "quick": given.quick, "figures": [], "absent": {}, "failed": {}}
    if peer is not None:
        document["peer"] = settings_of(peer)
    begin = time.perf_counter()
    for number, (name, make) in enumerate(figures.items()):
        progress(name, number / len(figures), time.perf_counter() - begin)
        try:
            figure = make(plan)
        except Absent as reason:
            document["absent"][name] = str(reason)
            continue
        except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as failure:
            document["failed"][name] = f"{type(failure).__name__}: {failure}"
            print(f"{name} FAILED: {document['failed'][name]}", flush=True)
            continue
        document["figures"].append(asdict(figure))
        say(figure)
    seconds = time.perf_counter() - begin
    document["seconds"] = round(seconds)
    progress("done", 1.0, seconds)
    target = given.out or default_out(set(figures), peer=peer is not None, quick=given.quick)
    if target is None:
        print("a quick run, or a part of all: not written (--out FILE)")
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"written to {target}")
    if target.parent.resolve() == RESULTS.resolve():
        report.write()
        print(f"and {report.TARGET} from it")
    return 1 if document["failed"] else 0


def default_out(names: set[str], *, peer: bool, quick: bool) -> Path | None:
    """Where a result goes that was not told: a part must not take the place of the whole."""
    if quick:
        return None
    if peer:
        return RESULTS / "peer.json"
    if names == set(FIGURES):
        return RESULTS / "latest.json"
    return RESULTS / f"{next(iter(names))}.json" if len(names) == 1 and names <= {*LARGE, "picks"} else None


def progress(name: str, part: float, seconds: float) -> None:
    """A bar on a terminal, a line elsewhere."""
    told = f"{int(seconds) // 60}:{int(seconds) % 60:02}"
    if sys.stderr.isatty():
        full = round(part * BAR_CHARS)
        sys.stderr.write(f"\r\x1b[K[{'#' * full}{'.' * (BAR_CHARS - full)}] {told} {name}" + ("\n" if part >= 1 else ""))
    else:
        sys.stderr.write(f"{told} {name}\n")
    sys.stderr.flush()


def say(figure: Figure) -> None:
    """A figure, for people."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
    print(f"{figure.name}: {figure.what}")
    print("   " + "  ".join(f"{key} {value}" for key, value in figure.values.items()), flush=True)
    for goal in figure.goals:
        bar = f">= {goal.least}" if goal.least is not None else f"<= {goal.most}"
        print(f"   {'met' if goal.met(figure.values) else 'NOT MET'}: {goal.value} {bar}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""`python -m callboard.testing.simulation --seeds 1..1000 [--trace SEED] [--keep-going] [--json]`: run seeds, say what was found."""

import argparse
import gc
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from callboard.testing.simulation.report import Report
from callboard.testing.simulation.run import Result, simulate

_COLLECT_EVERY: Final = 25


def results(seeds: Iterable[int]) -> Iterator[Result]:
    """One after the other. The collector runs between runs only: it costs a third of the time within them."""
    gc.disable()
    try:
        for number, seed in enumerate(seeds):
            yield simulate(seed)
            if number % _COLLECT_EVERY == _COLLECT_EVERY - 1:
                gc.collect()
    finally:
        gc.enable()


def _seeds(text: str) -> range:
    first, _, last = text.partition("..")
    return range(int(first), int(last or first) + 1)


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 when a rule was broken."""
    parser = argparse.ArgumentParser(prog="python -m callboard.testing.simulation", description=__doc__)
    parser.add_argument("--seeds", type=_seeds, default=range(1, 101), help="A..B, both included")
    parser.add_argument("--trace", type=int, help="run this seed alone and print every step")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first seed that fails")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    say = sys.stdout.write
    if options.trace is not None:
        traced = simulate(options.trace, tracing=True)
        say("\n".join([*traced.lines, traced.detail or "no rule was broken", ""]))
        return 1 if traced.broken else 0
    report = Report.empty()
    begin = time.perf_counter()
    for result in results(options.seeds):
        report.add(result)
        if result.broken:
            say(f"seed {result.seed} ({result.family}): {result.detail}\n")
            if not options.keep_going:
                say("\n".join([*simulate(result.seed, tracing=True).lines, ""]))
                break
    report.seconds = round(time.perf_counter() - begin, 1)
    if options.json:
        say(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    else:
        say(f"{report.seeds} seeds in {report.seconds} s ({report.seeds / max(report.seconds, 0.1):.1f}/s), {report.broken} broke a rule\n")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

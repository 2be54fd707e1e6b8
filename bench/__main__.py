"""`python -m bench [NAME...] [--pairs N] [--quick] [--out FILE]`: take the figures, print them, write them as JSON."""

import argparse
import json
import os
import resource
import sys
from dataclasses import asdict
from pathlib import Path

from bench.figures import FIGURES, Plan
from bench.lab import LOAD_CORE, machine

DEFAULT_OUT = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="Figures of Callboard, as medians of interleaved pairs against a bare loop.")
    parser.add_argument("names", nargs="*", choices=[*FIGURES, []], help="figures to take (default: all)")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small and short: to see that it runs, not to quote")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {LOAD_CORE})
    quick = Plan(pairs=1, seconds=0.5, parked=min(500, soft // 2), instances=2_000, restart_instances=2_000, heartbeat_checks=1_000)
    plan = quick if arguments.quick else Plan(pairs=arguments.pairs)
    taken = {"machine": machine(), "plan": asdict(plan), "quick": arguments.quick}
    results = []
    for name in arguments.names or FIGURES:
        sys.stderr.write(f"{name} ...\n")
        figure = FIGURES[name](plan)
        results.append(asdict(figure))
        print(f"{name}: {figure.what}")
        print("   " + "  ".join(f"{key} {value}" for key, value in figure.values.items()))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    document = {**taken, "figures": results}
    arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

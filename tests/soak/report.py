"""Write the fault table of docs/what-happens-when.md from the last run: `python -m tests.soak.report`. A full run does it by itself."""

import json
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
RESULT: Final = ROOT / "bench" / "results" / "sdk-faults.json"
PAGE: Final = ROOT / "docs" / "what-happens-when.md"
BEGIN, END = "<!-- table of the last run -->\n", "<!-- end of the table -->"
COLUMNS: Final = {
    "calls": "calls",
    "failed": "failed",
    "retries": "tried again",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "max_ms": "longest ms",
    "no_update_s": "oldest picture s",
    "least": "fewest known",
    "held": "held",
    "known_s": "known after s",
}


def lines(result: dict[str, Any]) -> list[str]:
    """The table, and where it was taken."""
    plan, machine = result["plan"], result["machine"]
    place = f"commit `{machine['commit'][:12]}` on {machine['cores']} cores of {machine['cpu']}, which all of these processes shared"
    return [
        f"| {plan['providers']} instances, {plan['rate']:g} calls/s | {' | '.join(COLUMNS.values())} |",
        "|---|" + "--:|" * len(COLUMNS),
        *(f"| {phase['phase']} | {' | '.join(str(phase[name]) for name in COLUMNS)} |" for phase in result["phases"]),
        "",
        f"Taken at {place}. Outages last {plan['outage_s']:g} s; one answer in 200 takes a second, so that there is work under way.",
    ]


def told() -> str:
    """The page with the table of the last run."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    table = "\n".join(lines(json.loads(RESULT.read_text("utf-8"))))
    return f"{before}{BEGIN}{table}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    """Rewrite the page."""
    PAGE.write_text(told(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

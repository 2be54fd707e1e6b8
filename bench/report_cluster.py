"""The sections of docs/benchmarks.md about the cluster: its figures, what is promised by name, and the last long run of the fault suite."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
FIGURES_HEAD = """## The cluster

From `bench/results/cluster.json`; taken at commit `{commit}` on {cores} cores of {cpu}, Python {python}, {system}. Three etcd nodes,
the members and the load share these cores, so figures through three members are no higher than through one: what is added is
safety, and on machines of their own, reads. Medians of {rounds} rounds. To take them again:
`tools/install-etcd && python -m bench.cluster`.

| work | figures |
|---|---|
"""
ACCEPTANCE_HEAD = """### What is promised by name

From `bench/results/cluster-acceptance.json`; taken at commit `{commit}`. One client writes ten times a second and one reads twenty times,
with ordinary retries; the gaps are the longest times without an answer. To take them again: `make soak ARGS="-k acceptance"`.

| what happens | writes pause | reads pause | live instances hidden | promises broken |
|---|--:|--:|--:|--:|
"""
ROLLING = """
Rolling restart of three members under {rate_per_second} operations/s, half of the {peak_per_second}/s that they took just before, with
{watchers} watchers: {operations} operations, **{failed} failed** ({tried_again} attempts were made again), p99 {p99_s} s, longest
{longest_s} s.
"""
SOAK_HEAD = """### The fault suite

From `bench/results/cluster-soak.json`; seed {seed}, commit `{commit}`, {cores} cores of {cpu}. {minutes} minutes with {faults} faults,
one after the other, under the load of {instances} instances that came, lived and went: {operations} operations, {watch_events} events
told to watchers. Every answer was judged by its revision (`tests/soak/cluster_check.py` names the rules). Broken promises:
**{violations}**. Live instances hidden: {live_hidden} (longest {longest_hidden_s} s). Dead ones were known dead at most {calm} s
after their time limit, {faulted} s when a fault came between.
The clock of a process is not stepped here: the simulation does that (`tests/simulation`).

| fault | times | writes pause (longest) | reads pause (longest) | served by all again after |
|---|--:|--:|--:|--:|
"""


def read(name: str) -> dict[str, Any] | None:
    """A result, if it was taken."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def cluster() -> str:
    """All sections whose results are there."""
    return "\n".join(filter(None, (_figures(), _acceptance(), _soak())))


def _figures() -> str:
    result = read("cluster.json")
    if result is None:
        return ""
    lines = [
        f"| {figure['what']} | {', '.join(f'{name} {value}' for name, value in figure['values'].items())} |" for figure in result["figures"]
    ]
    return FIGURES_HEAD.format(rounds=result["plan"]["rounds"], **result["machine"]) + "\n".join(lines) + "\n"


def _acceptance() -> str:
    result = read("cluster-acceptance.json")
    if result is None:
        return ""
    lines = []
    for name, taken in result.items():
        if isinstance(taken, dict) and "totals" in taken:
            totals = taken["totals"]
            broken = sum(totals["violations"].values())
            lines.append(f"| {name} | {taken['write_gap_s']} s | {taken['read_gap_s']} s | {totals['live_hidden']} | {broken} |")
    text = ACCEPTANCE_HEAD.format(**result["machine"]) + "\n".join(lines) + "\n"
    rolling = result.get("rolling restart")
    if rolling is not None:
        text += ROLLING.format(**rolling)
    return text


def _soak() -> str:
    result = read("cluster-soak.json")
    if result is None:
        return ""
    totals, dead = result["totals"], result["totals"]["dead_longest_s"]
    head = SOAK_HEAD.format(
        seed=result["seed"], minutes=round(result["seconds"] / 60), violations=sum(totals["violations"].values()),
        operations=sum(totals["operations"].values()), calm=dead["no fault"], faulted=dead["with faults"], **result["machine"],
        **{name: totals[name] for name in ("faults", "instances", "watch_events", "live_hidden", "longest_hidden_s")},
    )  # fmt: skip
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in result["faults"]:
        by_name.setdefault(row["fault"], []).append(row)
    lines = [
        f"| {name} | {len(rows)} | {_most(rows, 'write_gap_s')} s | {_most(rows, 'read_gap_s')} s | {_most(rows, 'recovered_s')} s |"
        for name, rows in sorted(by_name.items())
    ]
    return head + "\n".join(lines) + "\n"


def _most(rows: list[dict[str, Any]], field: str) -> float:
    return max(float(row[field]) for row in rows)

"""The section of docs/benchmarks.md about etcd and ZooKeeper. Pure: a result as it was read, and text."""

from collections.abc import Mapping
from typing import Any

from bench.report_parts import FOLDER, table

HEAD = """## Beside etcd and ZooKeeper

From `bench/results/engines.json`; taken at commit `{commit}` on {cores} cores of {cpu}. One server of each on
core 0, durable, with its data on the same disk; {rounds} rounds, in turn. The clients are in Python on core 1 and limit the rates, so
compare the server's CPU. What is compared is the same task in each one's own way, not the same bytes: an answer of Callboard carries
nodes and checks, and its server knows health, which with the others every client makes for itself of the presence of a key. What is not
compared: clusters of three, large values, transactions.
"""
TITLES = {"register": "Register", "read": "Read a service", "watch": "Tell watchers"}


def engines(result: Mapping[str, Any] | None) -> str:
    """The section; empty when the result was not taken."""
    if result is None:
        return ""
    parts = [HEAD.format(rounds=result["plan"]["rounds"], **result["machine"])]
    for figure in result["figures"]:
        work = figure["name"].removeprefix("engines_")
        measures = list(next(iter(figure["samples"].values()))[0])
        rows = []
        for name in figure["samples"]:
            values = " | ".join(str(figure["values"][f"{measure}_{name}"]) for measure in measures)
            rows.append(f"| {name} | {result['ways'][name][work]} | {values} |")
        parts.append(f"### {TITLES[work]}\n\n{figure['what']}.\n")
        parts.append(table(("server", "how", *measures), rows))
        parts.append(f"![{TITLES[work]}: {figure['what']}]({FOLDER}/{figure['name']}.svg)\n")
    return "\n".join(parts)

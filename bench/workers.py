"""`--workers 2` against one process: the CPU for an answer, and how evenly the kernel and the server share the requests out."""

import contextlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.lab import SERVER_CORE, SERVER_CORES, Process, durable_server
from bench.load import Counted, HttpLoad, repeat, request
from bench.pairs import OURS, Figure, Goal, Run, compare, ratios, rounded, spread
from bench.peer import inodes_of, sockets_at
from bench.plan import Plan
from bench.requests import HEALTH, fill

WORKERS = 2
CONNECTIONS = 512
SHARE_MAX = 1.1 / WORKERS
"""Of all answers, for the process that gives the most."""

ONE = "one"
"""The side of a single process."""


class Absent(Exception):
    """What was to be measured is not built in."""


def workers_2(plan: Plan) -> Figure:
    """Hot health reads over many connections, by two processes and by one. Of two cores, one of the two shares that of the load."""
    told = subprocess.run([sys.executable, "-m", "callboard", "serve", "--help"], capture_output=True, text=True, check=True).stdout
    if "--workers" not in told:
        raise Absent("`callboard serve` has no --workers")
    with durable_server("--workers", str(WORKERS), core=SERVER_CORES) as two, durable_server() as one:
        sides: dict[str, tuple[Process, Run]] = {}
        with contextlib.ExitStack() as stack:
            loads = {}
            for side, process in ((OURS, two), (ONE, one)):
                fill(process, 10)
                loads[side] = stack.enter_context(contextlib.closing(HttpLoad(process.http, CONNECTIONS)))
                sides[side] = (process, _run(loads[side], plan.seconds))
            what = f"GET {HEALTH}, 10 instances, {CONNECTIONS} connections, {WORKERS} workers"
            figure = compare("workers_2", what, sides, plan.pairs)
            shares = shares_of(two, loads[OURS], plan.seconds)
    figure.values |= spread("of_one_worker", ratios(figure.samples[OURS], figure.samples[ONE]))
    figure.values |= {f"share_{number}": rounded(share) for number, share in enumerate(shares)}
    figure.goals += [Goal("of_one_worker", most=1.1), Goal("share_0", most=SHARE_MAX)]
    return figure


def _run(load: HttpLoad, seconds: float) -> Run:
    requests = repeat(request("GET", HEALTH))

    def run() -> Counted:
        return load.run(requests, seconds=seconds)

    return run


def shares_of(process: Process, load: HttpLoad, seconds: float) -> list[float]:
    """The part of the answers that each process gives when all are on the same core, so that none is slowed by another's neighbour.

    The kernel says which of them holds a connection.
    """
    for pid in process.pids():
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {SERVER_CORE})
    before = load.answers()
    _run(load, seconds)()
    inodes = sockets_at(process.http[1])
    owners = {inode: pid for pid in process.pids() for inode in inodes_of(pid)}
    answered: Counter[int] = Counter()
    for port, answers in load.answers().items():
        answered[owners[inodes[port]]] += answers - before[port]
    whole = sum(answered.values())
    return sorted((count / whole for count in answered.values()), reverse=True) + [0.0] * (WORKERS - len(answered))


FIGURES = (workers_2,)

"""The sides of a comparison over HTTP: ours, a bare loop that answers with the same bytes, and the peer when one was named."""

import contextlib
from dataclasses import dataclass

from bench.lab import Process, Target, bare
from bench.load import Counted, HttpLoad, Requests
from bench.pairs import BARE, OURS, PEER, Figure, Run, compare
from bench.peer import Peer
from bench.plan import Plan
from bench.requests import CONNECTIONS, fetch


@dataclass(frozen=True)
class Sent:
    """What is sent: one request by which the answer's length is known, and those that are counted."""

    first: bytes
    requests: Requests
    connections: int = CONNECTIONS
    units: int = 1
    """What one request stands for."""


def http_pairs(name: str, what: str, plan: Plan, process: Process, sent: Sent, peer: Peer | None = None) -> Figure:
    """Requests against a bare loop that answers with the same bytes, and against the peer."""
    answer = fetch(process.http, sent.first)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{name}: {answer[:200]!r}")
    with contextlib.ExitStack() as stack:
        targets: dict[str, Target] = {OURS: process, BARE: stack.enter_context(bare("http", answer))}
        if peer is not None:
            targets[PEER] = peer
        loads = {side: stack.enter_context(contextlib.closing(HttpLoad(target.http, sent.connections))) for side, target in targets.items()}
        sides = {side: (targets[side], _run(load, sent, plan.seconds)) for side, load in loads.items()}
        return compare(name, f"{what}; answer {len(answer)} bytes", sides, plan.pairs, sent.units)


def _run(load: HttpLoad, sent: Sent, seconds: float) -> Run:
    """One run of a load. All sides take from the same requests, so that numbered ones stay different."""

    def run() -> Counted:
        counted = load.run(sent.requests, seconds=seconds)
        if set(counted.statuses) != {b"200"}:
            raise RuntimeError(f"requests were refused: {counted.statuses}")
        return counted

    return run

"""Writes: registrations that are synced before they are acknowledged, and heartbeats one by one and in batches."""

import json

from bench.lab import durable_server
from bench.load import numbered, request
from bench.pairs import Figure, Goal, rounded
from bench.plan import Plan
from bench.requests import IN_FLIGHT, fill, guest, register
from bench.sides import Sent, http_pairs

BATCH = 1_000
BATCH_CONNECTIONS = 4
PEER_CHECKS_MAX = 500
"""Of heartbeats at a peer: to fill it with more would take longer than to measure it."""


def _service(number: int) -> str:
    return f"s{number % 100}"


def durable_register(plan: Plan) -> Figure:
    """New instances, 64 in flight, each acknowledged only when SQLite has synced it."""
    what = f"PUT agent/service/register of new instances with a TTL check, {IN_FLIGHT} in flight, SQLite synchronous=FULL"
    with durable_server() as process, guest(plan, 0) as peer:
        requests = numbered(lambda n: register(n, _service(n), {"TTL": "1h"}))
        sent = Sent(register(9_999_999, "s0"), requests, IN_FLIGHT)
        figure = http_pairs("durable_register", what, plan, process, sent, peer)
    figure.goals.append(Goal("of_bare", least=0.15))
    return figure


def ttl_heartbeat(plan: Plan) -> Figure:
    """One PUT per beat, over many checks."""
    checks = plan.heartbeat_checks if plan.peer is None else min(plan.heartbeat_checks, PEER_CHECKS_MAX)
    messages = [request("PUT", f"/v1/agent/check/pass/service:{_service(n)}-{n}") for n in range(checks)]
    with durable_server() as process, guest(plan, checks, service=_service) as peer:
        fill(process, checks, service=_service)
        sent = Sent(messages[0], numbered(lambda n: messages[n % checks]))
        figure = http_pairs("ttl_heartbeat", f"PUT agent/check/pass over {checks} checks", plan, process, sent, peer)
    figure.goals.append(Goal("of_bare", least=0.7))
    return figure


def batched_heartbeat(plan: Plan) -> Figure:
    """A thousand beats in one request, as a gateway or a node agent sends them."""
    checks = plan.heartbeat_checks
    beats = [{"id": f"{_service(n)}-{n}"} for n in range(checks)]
    size = min(BATCH, checks)
    bodies = [json.dumps({"beats": beats[first : first + size]}).encode() for first in range(0, checks - size + 1, size)]
    messages = [request("POST", "/api/v1/heartbeats", body) for body in bodies]
    with durable_server() as process:
        fill(process, checks, service=_service)
        sent = Sent(messages[0], numbered(lambda n: messages[n % len(messages)]), BATCH_CONNECTIONS, units=size)
        figure = http_pairs(
            "batched_heartbeat", f"POST /api/v1/heartbeats, {size} beats each, over {checks} checks; per beat", plan, process, sent
        )
    figure.unit = "µs of server CPU per beat"
    figure.values["per_core_second"] = rounded(1e6 / figure.values["cpu_us"])
    figure.goals.append(Goal("per_core_second", least=500_000))
    return figure


FIGURES = (durable_register, ttl_heartbeat, batched_heartbeat)

"""What a caller does, as Prometheus metrics."""

from prometheus_client import CollectorRegistry, generate_latest

import callboard
from callboard.integrations.prometheus import instrument
from callboard.integrations.requests import session

metrics = CollectorRegistry()  # leave it out, and the default one of prometheus_client is used
with callboard.connect() as board:
    instrument(board, metrics)
    with session(board) as http:
        for _ in range(3):
            http.get("svc://orders/")
    for line in generate_latest(metrics).decode().splitlines():
        if line.startswith(("callboard_client_attempts_total", "callboard_client_instances")):
            print(line)

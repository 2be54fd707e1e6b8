"""Rounds of killing a server under load and looking what is left. Shared by the short test and the long one.

Eight clients register instances, each with a check, and note what was acknowledged. One more waits in blocking queries. At a random moment
the server is killed with SIGKILL and started again on the same port and data.
"""

import http.client
import json
import random
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.servers import ServerProcess, free_port, start_server
from tests.support import PATIENCE_S, poll_until

CLIENTS = 8
REMOVED_MIN_COUNT = 3
SERVICES = 5


@dataclass
class Ledger:
    """What clients tried, and what they were told."""

    tried: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    """Whose removal was acknowledged."""
    removing: set[str] = field(default_factory=set)
    highest_index: int = 0
    watched: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def call(port: int, method: str, path: str, body: object = None, timeout: float = PATIENCE_S) -> tuple[int, dict[str, str], bytes]:
    """One request on its own connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def registration(client: int, number: int) -> dict[str, object]:
    """One instance; every field is told again by its id, so that a half-written one shows."""
    name = f"i-{client}-{number}"
    return {
        "Name": f"svc{number % SERVICES}",
        "ID": name,
        "Address": "10.0.0.1",
        "Port": 1 + number % 60_000,
        "Tags": [name],
        "Meta": {"id": name},
        "Check": {"TTL": "1h", "Status": "passing", "Notes": name},
    }


def register_until(port: int, client: int, start: int, ledger: Ledger, stop: threading.Event) -> None:
    """Register one after the other, remove every fifth, until the server is gone."""
    number = start
    while not stop.is_set():
        body = registration(client, number)
        name = str(body["ID"])
        with ledger.lock:
            ledger.tried.add(name)
        try:
            status, _, answer = call(port, "PUT", "/v1/agent/service/register", body)
            if status != 200:
                ledger.faults.append(f"register answered {status} {answer!r}")
                return
            with ledger.lock:
                ledger.acknowledged.add(name)
            if number % 5 == 4:
                with ledger.lock:
                    ledger.removing.add(name)
                status, _, _ = call(port, "PUT", f"/v1/agent/service/deregister/{name}")
                if status == 200:
                    with ledger.lock:
                        ledger.removed.add(name)
        except (OSError, http.client.HTTPException):
            return
        number += 1


def watch_until(port: int, ledger: Ledger, stop: threading.Event) -> None:
    """A consumer that blocks on one service, comes back after a crash with the index it had, and expects never to see it fall."""
    index = 0
    while not stop.is_set():
        try:
            status, headers, answer = call(port, "GET", f"/v1/health/service/svc0?index={index}&wait=1s")
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
            continue
        if status != 200:
            continue
        now = int(headers["x-consul-index"])
        if now < index:
            ledger.faults.append(f"the index of svc0 fell from {index} to {now}")
        index = now
        with ledger.lock:
            ledger.highest_index = max(ledger.highest_index, index)
            ledger.watched = {entry["Service"]["ID"] for entry in json.loads(answer)}


def audit(port: int, ledger: Ledger) -> None:
    """Everything acknowledged is there and whole; nothing is there that nobody tried; what was removed is gone."""
    present: dict[str, dict[str, Any]] = {}
    for service in range(SERVICES):
        status, _, answer = call(port, "GET", f"/v1/health/service/svc{service}")
        assert status == 200
        for entry in json.loads(answer):
            present[entry["Service"]["ID"]] = entry
    missing = ledger.acknowledged - ledger.removing - present.keys()
    assert not missing, f"Durable: {len(missing)} acknowledged registrations are gone: {sorted(missing)[:5]}"
    assert not present.keys() - ledger.tried, "instances nobody registered"
    assert not ledger.removed & present.keys(), "Durable: acknowledged removals came back"
    for name, entry in present.items():
        service = entry["Service"]
        checks = entry["Checks"]
        assert service["Tags"] == [name], f"Atomic: {name} is half written: {service}"
        assert service["Meta"] == {"id": name}, f"Atomic: {name} is half written: {service}"
        own = [check for check in checks if check["ServiceID"] == name]
        assert [(check["Status"], check["Notes"]) for check in own] == [("passing", name)], f"Atomic: {name} has checks {own}"


def revision_of(port: int) -> int:
    """The server's revision."""
    status, _, answer = call(port, "GET", "/api/v1/status")
    assert status == 200
    return int(json.loads(answer)["revision"])


def crash_rounds(data: Path, rounds: int, seed: int) -> Ledger:
    """Kill and restart `rounds` times; raises when anything acknowledged is not as it was."""
    chance = random.Random(seed)
    ledger = Ledger()
    port = free_port()
    server: ServerProcess = start_server("--data", str(data), "--http", f"127.0.0.1:{port}")
    done = threading.Event()
    watcher = threading.Thread(target=watch_until, args=(port, ledger, done))
    watcher.start()
    try:
        for number in range(rounds):
            stop = threading.Event()
            clients = [
                threading.Thread(target=register_until, args=(port, client, number * 10_000, ledger, stop)) for client in range(CLIENTS)
            ]
            for thread in clients:
                thread.start()
            if number % 2 == 0:  # in the other rounds it may be killed before it has acknowledged anything
                poll_until(partial(_has_removed, ledger, len(ledger.removed) + REMOVED_MIN_COUNT))
            time.sleep(chance.uniform(0.01, 0.4))
            before = revision_of(port)
            server.kill()
            stop.set()
            for thread in clients:
                thread.join()
            server = start_server("--data", str(data), "--http", f"127.0.0.1:{port}")
            assert revision_of(port) >= before, "the revision went back"
            audit(port, ledger)
            assert not ledger.faults, ledger.faults
        _watcher_has_caught_up(port, ledger)
    finally:
        done.set()
        watcher.join()
        server.stop()
    return ledger


def _has_removed(ledger: Ledger, count: int) -> bool:
    """Whether so many removals were acknowledged, or something went wrong."""
    return len(ledger.removed) >= count or bool(ledger.faults)


def _watcher_has_caught_up(port: int, ledger: Ledger) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        expected = {entry["Service"]["ID"] for entry in json.loads(call(port, "GET", "/v1/health/service/svc0")[2])}
        with ledger.lock:
            if ledger.watched == expected:
                return
        assert time.monotonic() < until, "Reliable: the blocked client did not resume to the present state"
        time.sleep(0.05)

"""Durable, as far as a program can prove it: the kernel confirms a sync between the write of each acknowledged group and its answer."""

import itertools
import re
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.interop.environments import need
from tests.servers import durable_server

pytestmark = pytest.mark.interop

REGISTRATIONS = 20


def register(url: str, number: int) -> None:
    body = f'{{"Name":"web","ID":"traced-{number}"}}'.encode()
    request = urllib.request.Request(f"{url}/v1/agent/service/register", data=body, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.status == 200


def test_durable_a_sync_lies_between_each_commit_and_its_answer(tmp_path: Path) -> None:
    log = tmp_path / "strace"
    with durable_server(tmp_path / "data") as server:
        words = [need("strace"), "-f", "-y", "-e", "trace=fdatasync,fsync,pwrite64,write,sendto,writev,recvfrom,read", "-s", "80"]
        tracer = subprocess.Popen([*words, "-o", str(log), "-p", str(server.popen.pid)], stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        time.sleep(0.2)
        for number in range(REGISTRATIONS):
            register(server.url, number)
        tracer.terminate()
        tracer.wait(timeout=60)
        tracer.stderr.close()
    events = read_events(log.read_text(encoding="utf-8", errors="replace"))
    assert events.count("answer") == REGISTRATIONS
    assert events.count("sync") >= REGISTRATIONS
    for before, answer in itertools.pairwise(events):
        if answer == "answer":
            assert before == "sync", f"an answer without a sync right before it: {events}"


def read_events(trace: str) -> list[str]:
    """Writes into the write-ahead log, syncs of it that returned 0, and 200 answers, in order; repeats of a write are one."""
    events: list[str] = []
    for line in trace.splitlines():
        if re.search(r"pwrite64\(.*-wal>", line):
            if not events or events[-1] != "wal":
                events.append("wal")
        elif re.search(r"(fdatasync|fsync)(\(.*-wal>.*\)| resumed>.*) += 0", line):
            if events and events[-1] == "wal":
                events.append("sync")
        elif re.search(r"(write|sendto|writev)\(.*HTTP/1.1 200", line):
            events.append("answer")
    return events

"""The systemd unit forbids what a server does not need. A call too many would fail in production and nowhere else: they are counted."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from callboard.client import CheckRequest, Client, ClientSettings, Registration
from callboard.testing.etcd import Etcd
from tests.deploy.tools import DEPLOY, judged
from tests.interop.environments import need
from tests.support import poll_until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]  # strace, systemd-analyze

UNIT = (DEPLOY / "systemd" / "callboard.service").read_text("utf-8")
OF_ROOT = {"fchown"}
"""SQLite gives its files to whoever owns the database, when it is root; the unit's user is not."""
_CALL = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)


def calls_of(group: str) -> set[str]:
    """The system calls of a group, with the groups in it."""
    listed = judged(need("systemd-analyze"), "syscall-filter", group)
    assert listed.returncode == 0, listed.stderr
    words = [line.strip() for line in listed.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    plain = {word for word in words if not word.startswith("@")}
    return plain.union(*(calls_of(word) for word in words if word.startswith("@")))


def allowed() -> set[str]:
    """What the unit's filter leaves; `@default` is always there."""
    out = calls_of("@default")
    for inverted, groups in re.findall(r"^SystemCallFilter=(~?)(.+)$", UNIT, re.MULTILINE):
        for group in groups.split():
            out = out - calls_of(group) if inverted else out | calls_of(group)
    return out


@contextlib.contextmanager
def traced(log: Path, *words: str) -> Iterator[str]:
    """A server whose system calls are written down. Its URL."""
    serve = [sys.executable, "-m", "callboard", "serve", "--log-level", "warning", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", *words]
    with subprocess.Popen([need("strace"), "-f", "-qq", "-o", str(log), *serve], stdout=subprocess.PIPE, text=True) as tracer:
        assert tracer.stdout is not None
        ready = json.loads(tracer.stdout.readline())
        try:
            yield ready["http"][0]
        finally:
            os.kill(ready["pid"], signal.SIGTERM)
            tracer.wait(timeout=60)


@pytest.mark.parametrize("store", ["sqlite", "etcd"])
def test_a_server_needs_nothing_that_the_unit_forbids(store: str, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    with contextlib.ExitStack() as stack:
        words = ["--data", str(tmp_path / "data")]
        if store == "etcd":
            words += ["--store", stack.enter_context(Etcd.running(tmp_path / "etcd")).url()]
        with traced(log, *words) as url, Client(ClientSettings(urls=(url,), timeout_ms=60_000)) as client:
            probe = CheckRequest(http="http://127.0.0.1:1/", interval_ms=1_000, timeout_ms=500)
            client.put(Registration(service="web", port=80, checks=(probe, CheckRequest(ttl_ms=60_000))))
            client.heartbeat("web")
            poll_until(lambda: "refused" in "".join(check.output for check in client.instance("web").checks))
            poll_until(lambda: judged(sys.executable, "-m", "callboard", "doctor", "--url", url).returncode == 0)
    text = log.read_text("utf-8", "replace")
    used = set(_CALL.findall(text))
    assert len(used) > 30, "it was traced"
    assert used - allowed() <= OF_ROOT
    assert "PROT_WRITE|PROT_EXEC" not in text, "MemoryDenyWriteExecute"
    families = re.search(r"^RestrictAddressFamilies=(.+)$", UNIT, re.MULTILINE)
    assert families is not None
    assert set(re.findall(r"socket\((AF_\w+)", text)) <= set(families[1].split())

"""Runs `tests/client/worker.py`, and hears what it says."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from callboard.client import Client, ClientSettings
from callboard.model.instance import Phase
from callboard.wire.native import InstanceState
from tests.support import poll_until

SCRIPT: Final = Path(__file__).parent / "worker.py"
QUICK: Final[Mapping[str, object]] = {"lease_ms": 1_500, "takeover_ms": 50, "drain_notice_ms": 200, "drain_finish_ms": 2_000}


class WorkerProcess:
    """One process, and everything it said so far."""

    def __init__(self, host: "Host", *arguments: str) -> None:
        words = [sys.executable, str(SCRIPT), host.url, host.space, "orders", "--settings", json.dumps(dict(host.settings)), *arguments]
        self.popen = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=host.environment)
        self.said: list[dict[str, Any]] = []
        self._hearing = threading.Thread(target=self._hear, daemon=True)
        self._hearing.start()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def states(self) -> list[str]:
        return [one["state"] for one in list(self.said) if "state" in one]

    @property
    def state(self) -> str:
        """The last one that lasts: after a stop of the machine, it is registered and renewed."""
        return next((state for state in reversed(self.states) if state != "renewed"), "")

    def value(self, name: str) -> Any:
        """What it said under this name, once it has."""
        return poll_until(lambda: next(([one[name]] for one in list(self.said) if name in one), None))[0]

    def moment(self, name: str, value: object) -> float:
        """When it first said this, on the clock that all processes of a host share."""
        return poll_until(lambda: next((float(one["at"]) for one in list(self.said) if one.get(name) == value), None))

    def do(self, line: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(f"{line}\n")
        self.popen.stdin.flush()

    def send(self, number: int) -> None:
        self.popen.send_signal(number)

    def end(self) -> int:
        """Close its stdin: it leaves its `with` block. Answers the exit code."""
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()
        return self.wait()

    def wait(self) -> int:
        code = self.popen.wait(60)
        self._hearing.join(60)
        return code

    def kill(self) -> None:
        self.popen.kill()
        self.wait()

    def _hear(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout:
            for line in self.popen.stdout:
                self.said.append(json.loads(line))


class Host:
    """Processes that share a folder for locks, and a registry to look at."""

    def __init__(self, url: str, space: str, folder: Path, settings: Mapping[str, object] = QUICK) -> None:
        self.url = url
        self.space = space
        self.settings = settings
        own = {"XDG_RUNTIME_DIR": str(folder), "PYTHONPATH": str(SCRIPT.parents[2]), "PYTHONWARNINGS": "ignore::DeprecationWarning"}
        self.environment = {**{name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")}, **own}
        self.client = Client(ClientSettings(urls=(url,)))
        self.workers: list[WorkerProcess] = []

    def start(self, *arguments: str) -> WorkerProcess:
        worker = WorkerProcess(self, *arguments)
        self.workers.append(worker)
        return worker

    def start_all(self, count: int, *arguments: str) -> list[WorkerProcess]:
        """So many, when each has found its place."""
        workers = [self.start(*arguments) for _ in range(count)]
        poll_until(lambda: all(worker.state in {"registered", "waiting"} for worker in workers))
        return workers

    def instances(self) -> tuple[InstanceState, ...]:
        return self.client.instances("orders", namespace=self.space).instances

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[Phase | None]]:
        """The phases that the registry shows of the instance, in order, from now on; None when it is signed out. None is missed."""
        phases: list[Phase | None] = []
        with self.client.watch("orders", namespace=self.space) as watch:

            def read() -> None:
                shown = (change for change in watch if change.instance is not None)
                phases.extend(change.instance.phase if change.instance and change.kind != "removed" else None for change in shown)

            reading = threading.Thread(target=read, daemon=True)
            reading.start()
            poll_until(lambda: phases)
            yield phases
            watch.close()
            reading.join(60)

    def owner(self) -> WorkerProcess:
        """The one that keeps the instance."""
        (owner,) = [worker for worker in self.workers if worker.popen.poll() is None and worker.state in {"registered", "draining"}]
        return owner


@contextlib.contextmanager
def host(url: str, space: str, folder: Path, settings: Mapping[str, object] = QUICK) -> Iterator[Host]:
    """Its processes are ended at the end, whatever happens."""
    there = Host(url, space, folder, settings)
    try:
        yield there
    finally:
        for worker in there.workers:
            if worker.popen.poll() is None:
                worker.popen.kill()
        for worker in there.workers:
            worker.wait()
            if worker.popen.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    worker.popen.stdin.close()
        there.client.close()

"""Servers with several processes behind one port: one instance, kept while any of them serves, and gone when none does.

What two combinations of the ordinary run show, `interop` shows for every kind of worker, with and without preloading.
"""

import contextlib
import os
import signal
import time
from http.client import HTTPConnection
from typing import NamedTuple

import pytest

from tests.integrations.processes.programs import SOON_S, Program, Stage, Watcher, again_after_a_standstill, get
from tests.support import PATIENCE_S, Stopwatch, poll_until

LEASE_MS = 5_000
TAKEOVER_MAX_S = 2.0
ANNOUNCED_MAX_S = 1.0
CONF = """
from callboard.integrations.gunicorn import hooks
post_worker_init, worker_exit, on_reload, child_exit = hooks("orders", lease_ms={lease_ms})
"""


class Kind(NamedTuple):
    """A way to serve with several processes."""

    name: str
    words: tuple[str, ...]
    module: str = "gunicorn"

    @property
    def workers(self) -> int:
        return 4 if self.module == "uvicorn" else 3

    def start(self, stage: Stage) -> Program:
        if self.module == "uvicorn":
            return stage.run("uvicorn", "fastapi_app:app", "--port", str(stage.port), "--workers", "4")
        conf = stage.folder / "gunicorn.conf.py"
        conf.write_text(CONF.format(lease_ms=LEASE_MS))
        bind = f"127.0.0.1:{stage.port}"
        return stage.run("gunicorn", "--config", str(conf), "--bind", bind, "--workers", "3", "--timeout", "30", *self.words)


def gunicorn(name: str, *words: str) -> list[Kind]:
    return [Kind(name, words), Kind(f"{name}-preload", (*words, "--preload"))]


SYNC, SYNC_PRELOAD = gunicorn("sync", "wsgi_app:app")
GTHREAD, GTHREAD_PRELOAD = gunicorn("gthread", "--worker-class", "gthread", "--threads", "4", "wsgi_app:app")
UVICORN, UVICORN_PRELOAD = gunicorn("uvicorn-worker", "--worker-class", "uvicorn_worker.UvicornWorker", "asgi_app:app")
ASGI, ASGI_PRELOAD = gunicorn("asgi", "--worker-class", "asgi", "asgi_app:app")
WORKERS = Kind("uvicorn-workers", (), "uvicorn")
ORDINARY = (SYNC_PRELOAD, WORKERS)
OTHERS = (SYNC, GTHREAD, GTHREAD_PRELOAD, UVICORN, UVICORN_PRELOAD, ASGI, ASGI_PRELOAD)
kinds = pytest.mark.parametrize(
    "kind", [*ORDINARY, *(pytest.param(kind, marks=pytest.mark.interop) for kind in OTHERS)], ids=lambda kind: kind.name
)


def all_up(program: Program, stage: Stage, kind: Kind) -> bool:
    """Every worker serves, and one of them keeps the instance. While one only starts, uvicorn's first process may hear no signal:
    it asks each worker whether it is alive, and waits up to 5 s for the answer."""
    seated = stage.seated(program.members())
    return len(seated) == kind.workers and stage.owner() in seated


@kinds
@again_after_a_standstill
def test_one_instance_is_kept_over_the_death_of_its_keeper_and_leaves_with_the_last(kind: Kind, stage: Stage) -> None:
    with stage.watch() as watcher, kind.start(stage) as program:
        instance = watcher.until_serving()
        assert (instance.address, instance.port) == ("127.0.0.1", stage.port)
        poll_until(lambda: all_up(program, stage, kind))

        owner = stage.owner()
        assert owner is not None
        assert owner != program.pid
        began = time.monotonic()
        with Stopwatch() as watch:
            os.kill(owner, signal.SIGKILL)
            poll_until(lambda: stage.owner() not in {owner, None})
        assert watch.seconds < TAKEOVER_MAX_S
        poll_until(lambda: time.monotonic() - began > LEASE_MS / 1000 + 0.5)
        for seen in watcher.since(began):
            assert [(one.id, one.phase, one.status) for one in seen.places] == [(instance.id, "serving", "passing")]
        poll_until(lambda: all_up(program, stage, kind))

        leaves_with_its_work_done(program, stage, watcher)
    for seen in watcher.seen:
        assert len(seen.places) <= 1


def leaves_with_its_work_done(program: Program, stage: Stage, watcher: Watcher) -> None:
    """SIGTERM to the first process: hidden soon, still answering then, gone when it ends; nobody's work is cut."""
    with contextlib.closing(HTTPConnection("127.0.0.1", stage.port, timeout=PATIENCE_S)) as slow:
        slow.request("GET", "/slow?seconds=5")
        time.sleep(1)  # it is under way
        told = time.monotonic()
        with Stopwatch() as watch:
            program.popen.send_signal(signal.SIGTERM)
            poll_until(lambda: watcher.first(told, "draining"))
        assert watch.seconds < ANNOUNCED_MAX_S
        assert get(stage.port, "/")[0] == 200
        assert slow.getresponse().status == 200
    assert program.popen.wait(60) == 0
    watcher.until_gone(SOON_S)
    assert "Traceback" not in program.text()

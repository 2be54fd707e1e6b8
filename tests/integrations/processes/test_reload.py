"""Reloading is not leaving: the workers are replaced, the instance stays, and callers never find it hidden."""

import os
import signal
import time

import pytest

from tests.integrations.processes.programs import Stage
from tests.integrations.processes.test_matrix import GTHREAD, SYNC_PRELOAD, UVICORN, WORKERS, Kind, all_up
from tests.support import poll_until

others = [pytest.param(kind, marks=pytest.mark.interop) for kind in (SYNC_PRELOAD, UVICORN, WORKERS)]


@pytest.mark.parametrize("kind", [GTHREAD, *others], ids=lambda kind: kind.name)
def test_a_reload_does_not_hide_the_instance(kind: Kind, stage: Stage) -> None:
    with stage.watch() as watcher, kind.start(stage) as program:
        instance = watcher.until_serving()
        poll_until(lambda: all_up(program, stage, kind))
        before = program.servers()
        began = time.monotonic()
        os.kill(program.pid, signal.SIGHUP)
        poll_until(lambda: not before & program.servers(), 30)
        poll_until(lambda: stage.owner() in program.servers())
        time.sleep(1)
        for seen in watcher.since(began):
            assert [(one.id, one.phase, one.status) for one in seen.places] == [(instance.id, "serving", "passing")], seen.at - began


@pytest.mark.interop
def test_workers_that_are_replaced_after_so_many_requests_do_not_take_it_with_them(stage: Stage) -> None:
    kind = Kind("max-requests", ("--max-requests", "20", "--max-requests-jitter", "20", "wsgi_app:app"))
    with stage.watch() as watcher, kind.start(stage) as program:
        instance = watcher.until_serving()
        poll_until(lambda: all_up(program, stage, kind))
        before = program.servers()
        began = time.monotonic()
        poll_until(lambda: stage.answers() and not before & program.servers(), 60)
        for seen in watcher.since(began):
            assert [(one.id, one.phase, one.status) for one in seen.places] == [(instance.id, "serving", "passing")], seen.at - began

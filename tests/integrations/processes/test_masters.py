"""What becomes of an instance whose processes lose their first one to SIGKILL."""

import os
import signal
import time

import pytest

from tests.integrations.processes.programs import SOON_S, Stage, again_after_a_standstill
from tests.integrations.processes.test_matrix import ASGI, GTHREAD, LEASE_MS, SYNC, UVICORN, WORKERS, Kind, all_up
from tests.support import poll_until

interop = pytest.mark.interop


@pytest.mark.parametrize(
    "kind", [GTHREAD, pytest.param(SYNC, marks=interop), pytest.param(ASGI, marks=interop)], ids=lambda kind: kind.name
)
@again_after_a_standstill
def test_workers_that_notice_it_sign_the_instance_out(kind: Kind, stage: Stage) -> None:
    with stage.watch() as watcher, kind.start(stage) as program:
        watcher.until_serving()
        poll_until(lambda: all_up(program, stage, kind))
        program.popen.kill()
        program.popen.wait(60)
        poll_until(lambda: not program.members())
        watcher.until_gone(SOON_S)


@interop
@again_after_a_standstill
def test_workers_that_serve_on_keep_it_and_their_death_is_seen_by_the_lease(stage: Stage) -> None:
    with stage.watch() as watcher, UVICORN.start(stage) as program:
        instance = watcher.until_serving()
        poll_until(lambda: all_up(program, stage, UVICORN))
        program.popen.kill()
        program.popen.wait(60)
        time.sleep(LEASE_MS / 1000 + 0.5)
        assert watcher.now == (instance,)
        assert stage.answers()
        for pid in program.members():
            os.kill(pid, signal.SIGKILL)
        poll_until(lambda: {one.status for one in watcher.now} == {"critical"})


@interop
@again_after_a_standstill
def test_orphans_of_uvicorn_sign_it_out_when_they_end(stage: Stage) -> None:
    with stage.watch() as watcher, WORKERS.start(stage) as program:
        watcher.until_serving()
        poll_until(lambda: all_up(program, stage, WORKERS))
        program.popen.kill()
        program.popen.wait(60)
        assert stage.answers()
        for pid in program.members():
            os.kill(pid, signal.SIGTERM)
        watcher.until_gone(SOON_S)

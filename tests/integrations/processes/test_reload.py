"""Reloading is not leaving: the workers are replaced, the instance stays, and callers never find it hidden."""

import os
import signal
import time

import pytest

from tests.integrations.processes.programs import Program, Stage, again_after_a_standstill
from tests.integrations.processes.test_matrix import GTHREAD, SYNC_PRELOAD, UVICORN, WORKERS, Kind, all_up
from tests.support import PATIENCE_S, poll_until

others = [pytest.param(kind, marks=pytest.mark.interop) for kind in (SYNC_PRELOAD, UVICORN, WORKERS)]


def reload(program: Program) -> None:
    """SIGHUP, until nobody of before serves; once more whenever uvicorn gives it up because a new process took it too long to start."""
    before, told = program.servers(), 0

    def replaced() -> bool:
        nonlocal told
        if program.text().count("aborting the restart") >= told:
            told += 1
            os.kill(program.pid, signal.SIGHUP)
        return not before & program.servers()

    poll_until(replaced, 2 * PATIENCE_S)


@pytest.mark.parametrize("kind", [GTHREAD, *others], ids=lambda kind: kind.name)
@again_after_a_standstill
def test_a_reload_does_not_hide_the_instance(kind: Kind, stage: Stage) -> None:
    with stage.watch() as watcher, kind.start(stage) as program:
        instance = watcher.until_serving()
        poll_until(lambda: all_up(program, stage, kind))
        began = time.monotonic()
        reload(program)
        poll_until(lambda: stage.owner() in program.servers())
        time.sleep(1)
        for seen in watcher.since(began):
            assert [(one.id, one.phase, one.status) for one in seen.places] == [(instance.id, "serving", "passing")], seen.at - began


@pytest.mark.interop
@again_after_a_standstill
def test_workers_that_are_replaced_after_so_many_requests_do_not_take_it_with_them(stage: Stage) -> None:
    kind = Kind("max-requests", ("--max-requests", "20", "--max-requests-jitter", "60", "wsgi_app:app"))
    with stage.watch() as watcher, kind.start(stage) as program:
        instance = watcher.until_serving()
        poll_until(lambda: all_up(program, stage, kind))
        before = program.servers()
        began = time.monotonic()
        # Nobody is asked while one starts: all three at once would leave nobody, and then it is right that the instance goes.
        poll_until(lambda: all_up(program, stage, kind) and stage.answers() and not before & program.servers(), 2 * PATIENCE_S)
        for seen in watcher.since(began):
            assert [(one.id, one.phase, one.status) for one in seen.places] == [(instance.id, "serving", "passing")], seen.at - began

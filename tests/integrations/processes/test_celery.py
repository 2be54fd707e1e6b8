"""Celery: the worker is one instance, whatever its pool; it is seen with its queues, and drains while it finishes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from callboard.client import Client, ClientSettings
from tests.integrations.processes.programs import EXAMPLES, SOON_S, Program, Stage, again_after_a_standstill
from tests.support import poll_until


def start(stage: Stage, *words: str) -> Program:
    """A worker in the folder of the test."""
    return stage.run("celery", "--app", "celery_app", "worker", "--loglevel", "info", *words, where=stage.folder, PYTHONPATH=str(EXAMPLES))


def send(stage: Stage, seconds: float) -> None:
    """A task from outside."""
    text = f"import celery_app; celery_app.pack.delay({seconds})"
    subprocess.run([sys.executable, "-c", text], cwd=stage.folder, env=stage.environment(PYTHONPATH=str(EXAMPLES)), check=True, timeout=60)


@again_after_a_standstill
def test_a_prefork_worker_is_one_instance_with_its_queues_and_leaves_when_its_tasks_are_done(stage: Stage) -> None:
    with stage.watch("shop-worker") as watcher, start(stage, "--concurrency", "3", "--hostname", "one@here") as worker:
        instance = watcher.until_serving()
        assert (instance.id, instance.port) == ("shop-worker-one@here", 0)
        with Client(ClientSettings(urls=(stage.server.url,))) as client:
            [told] = client.instances("shop-worker", namespace=stage.namespace).instances
        assert told.tags == ("celery",)
        assert (told.meta["queues"], told.meta["version"]) == ("celery", "1.4.0")

        send(stage, 4)
        poll_until(lambda: "received" in worker.text())
        told_at = time.monotonic()
        worker.popen.send_signal(signal.SIGTERM)
        poll_until(lambda: watcher.first(told_at, "draining"), SOON_S)
        assert worker.popen.wait(60) == 0
        watcher.until_gone(SOON_S)
        assert "packed by" in worker.text()
    assert max(len(seen.places) for seen in watcher.seen) == 1


@pytest.mark.interop
@again_after_a_standstill
def test_the_death_of_a_pool_process_changes_nothing(stage: Stage) -> None:
    with stage.watch("shop-worker") as watcher, start(stage, "--concurrency", "3") as worker:
        instance = watcher.until_serving()
        began = time.monotonic()
        pool = worker.servers()
        assert len(pool) == 3
        os.kill(min(pool), signal.SIGKILL)
        poll_until(lambda: len(worker.servers() - pool) == 1)
        time.sleep(1)
        assert {one.places for one in watcher.since(began)} == {(instance,)}


@pytest.mark.interop
@pytest.mark.parametrize("pool", ["solo", "threads"])
@again_after_a_standstill
def test_other_pools_are_the_same(pool: str, stage: Stage) -> None:
    with stage.watch("shop-worker") as watcher, start(stage, "--pool", pool, "--concurrency", "2") as worker:
        watcher.until_serving()
        assert worker.term() == 0
        watcher.until_gone(SOON_S)

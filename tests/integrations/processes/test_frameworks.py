"""Each framework's example, run as its users run it: found once it serves, finds others, and is gone when it ends."""

import json
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.integrations.processes.programs import EXAMPLES, SOON_S, Program, Stage, again_after_a_standstill, get
from tests.support import poll_until

interop = pytest.mark.interop
ROOT = EXAMPLES.parent
SITE = EXAMPLES / "django_site"


class Example(NamedTuple):
    """A program with what is started: `{port}` is its port."""

    name: str
    module: str
    words: tuple[str, ...]
    where: Path = EXAMPLES
    probes: bool = True

    def start(self, stage: Stage, **more: str) -> Program:
        return stage.run(self.module, *(word.format(port=stage.port) for word in self.words), where=self.where, **more)


def asgi(app: str, where: Path = EXAMPLES, *, probes: bool = True) -> Example:
    return Example(app.partition(":")[0], "uvicorn", (app, "--port", "{port}"), where, probes)


FASTAPI = asgi("fastapi_app:app")
STARLETTE = asgi("starlette_app:app")
LITESTAR = asgi("litestar_app:app", probes=False)
FLASK = Example("flask", "flask", ("--app", "flask_app", "run", "--port", "{port}"))
FLASK_DEBUG = Example("flask-debug", "flask", ("--app", "flask_app", "run", "--debug", "--port", "{port}"))
DJANGO = Example("django-runserver", "manage", ("runserver", "{port}"), SITE)
DJANGO_ASGI = asgi("shop.asgi:application", SITE)
BIND = ("--bind", "127.0.0.1:{port}", "--config", str(EXAMPLES / "gunicorn.conf.py"))
FLASK_GUNICORN = Example("flask-gunicorn", "gunicorn", ("flask_app:app", *BIND))
# From elsewhere: gunicorn reads a gunicorn.conf.py that it finds beside it, and the application is to sign in by its lifespan alone.
UVICORN_WORKERS = ("--pythonpath", str(EXAMPLES), "--worker-class", "uvicorn_worker.UvicornWorker", "--workers", "2")
FASTAPI_GUNICORN = Example("fastapi-gunicorn", "gunicorn", ("fastapi_app:app", "--bind", "127.0.0.1:{port}", *UVICORN_WORKERS), ROOT)
DJANGO_GUNICORN = Example("django-gunicorn", "gunicorn", ("shop.wsgi:application", *BIND), SITE)


def others(*examples: Example) -> list[object]:
    return [pytest.param(example, marks=interop) for example in examples]


def by_name(example: Example) -> str:
    return example.name


@pytest.mark.parametrize(
    "example",
    [FLASK, DJANGO_ASGI, *others(LITESTAR, FASTAPI, STARLETTE, FLASK_DEBUG, DJANGO, FLASK_GUNICORN, DJANGO_GUNICORN, FASTAPI_GUNICORN)],
    ids=by_name,
)
def test_it_is_found_while_it_serves_and_finds_others(example: Example, stage: Stage) -> None:
    with stage.watch() as watcher, example.start(stage) as program:
        instance = watcher.until_serving()
        assert (instance.address, instance.port) == ("127.0.0.1", stage.port)
        assert json.loads(get(stage.port, "/next")[1]) == {"call": f"http://127.0.0.1:{stage.port}"}
        if example.probes:
            assert get(stage.port, "/health")[0] == get(stage.port, "/ready")[0] == 200
        status, body = get(stage.port, "/", {"X-Deadline-Ms": "0"})
        assert (status, json.loads(body)["code"]) == (504, "expired")
        assert get(stage.port, "/", {"X-Deadline-Ms": "5000"})[0] == 200
        leave(program, stage, graceful=example.module in {"uvicorn", "gunicorn"})
        watcher.until_gone()
    assert max(len(seen.places) for seen in watcher.seen) == 1
    assert "Traceback" not in program.text()


@pytest.mark.parametrize("example", [FLASK_GUNICORN, *others(DJANGO_GUNICORN)], ids=by_name)
def test_with_gunicorns_hooks_nobody_else_must_say_the_port(example: Example, stage: Stage) -> None:
    with stage.watch() as watcher, example.start(stage, PORT="") as program:
        assert watcher.until_serving().port == stage.port
        assert json.loads(get(stage.port, "/next")[1]) == {"call": f"http://127.0.0.1:{stage.port}"}
        assert "say port=" not in program.text()


def leave(program: Program, stage: Stage, *, graceful: bool) -> None:
    """As users stop it: servers by SIGTERM, development servers by Ctrl-C, which a terminal sends to every process."""
    if graceful:
        program.term()
    else:
        os.killpg(program.pid, signal.SIGINT)
        program.popen.wait(60)


@pytest.mark.parametrize("example", [FLASK_DEBUG, *others(DJANGO)], ids=by_name)
def test_a_reloaders_parent_registers_nothing(example: Example, stage: Stage) -> None:
    with stage.watch() as watcher, example.start(stage) as program:
        watcher.until_serving()
        assert stage.owner() in program.servers()
        assert stage.owner() != program.pid


def test_a_command_registers_nothing_and_leaves_at_once(stage: Stage) -> None:
    began = time.monotonic()
    with stage.watch() as watcher, stage.run("flask", "--app", "flask_app", "routes") as program:
        assert program.popen.wait(60) == 0
        with stage.run("manage", "check", where=SITE) as check:
            assert check.popen.wait(60) == 0
            assert "no issues" in check.text()
        poll_until(lambda: watcher.since(began))
        assert not any(seen.places for seen in watcher.seen)


@pytest.mark.parametrize("example", [FASTAPI, *others(DJANGO_ASGI, FASTAPI_GUNICORN)], ids=by_name)
@again_after_a_standstill
def test_at_sigterm_callers_know_before_the_port_closes(example: Example, stage: Stage) -> None:
    with stage.watch() as watcher, example.start(stage) as program:
        watcher.until_serving()
        told = time.monotonic()
        program.popen.send_signal(signal.SIGTERM)
        poll_until(lambda: watcher.first(told, "draining"), SOON_S)
        status, body = get(stage.port, "/ready")
        # Where several workers share the instance, one that only waited to take it over has ended at once.
        assert (status, json.loads(body)["status"] in {"draining", "ended"}) == (503, True)
        assert get(stage.port, "/")[0] == 200, "late callers are still served"
        assert program.popen.wait(60) in {0, -signal.SIGTERM}
        watcher.until_gone(SOON_S)
        assert program.text().count("database opened") == program.text().count("database closed")

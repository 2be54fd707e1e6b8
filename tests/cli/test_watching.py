import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from callboard.client import Client, Registration
from tests.servers import ServerProcess, free_port, running_server
from tests.support import poll_until


@contextmanager
def watching(server: ServerProcess, space: str, tmp_path: Path, *arguments: str) -> Iterator[Path]:
    """`callboard watch` with its output in a file. At the end Ctrl-C must end it with exit code 0."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "callboard", "watch", "--namespace", space, "--url", server.url, *arguments]
    with out.open("w") as output, (tmp_path / "err").open("w") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        try:
            poll_until(lambda: "ready at revision" in (tmp_path / "err").read_text() or '"ready"' in out.read_text())
            yield out
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
    assert code == 0, (tmp_path / "err").read_text()


def put(client: Client, space: str, name: str, port: int) -> None:
    client.put(Registration(service="web", id=name, namespace=space, address="10.0.0.1", port=port))


def lines(out: Path, count: int) -> list[str]:
    return poll_until(lambda: found if len(found := out.read_text().splitlines()) >= count else None)


def test_a_table_grows_by_a_line_for_each_change(server: ServerProcess, client: Client, space: str, tmp_path: Path) -> None:
    put(client, space, "a", 1)
    with watching(server, space, tmp_path, "web") as out:
        client.drain("a", namespace=space)
        client.deregister("a", namespace=space)
        shown = [line.split() for line in lines(out, 4)]
    assert shown == [
        ["EVENT", "SERVICE", "ID", "ADDRESS", "HEALTH"],
        ["added", "web", "a", "10.0.0.1:1", "passing"],
        ["changed", "web", "a", "10.0.0.1:1", "passing", "->", "draining"],
        ["removed", "web", "a", "10.0.0.1:1", "draining"],
    ]


def test_json_lines_carry_the_state_before(server: ServerProcess, client: Client, space: str, tmp_path: Path) -> None:
    put(client, space, "a", 1)
    with watching(server, space, tmp_path, "-o", "jsonl") as out:
        put(client, space, "a", 2)
        told = [json.loads(line) for line in lines(out, 3)]
    assert [change["kind"] for change in told] == ["added", "ready", "changed"]
    assert (told[2]["before"]["port"], told[2]["instance"]["port"]) == (1, 2)


@pytest.mark.parametrize(("form", "first"), [("name", "added web/a"), ("wide", "EVENT"), ("json", "{")])
def test_the_other_forms(server: ServerProcess, client: Client, space: str, tmp_path: Path, form: str, first: str) -> None:
    put(client, space, "a", 1)
    with watching(server, space, tmp_path, "-o", form) as out:
        assert lines(out, 1)[0].startswith(first)


def test_an_outage_is_said_once_and_its_end_once(space: str, tmp_path: Path) -> None:
    place = f"127.0.0.1:{free_port()}"
    data = ("--data", str(tmp_path / "data"), "--http", place)
    errors = tmp_path / "err"

    def said(text: str, count: int) -> bool:
        return errors.read_text().count(text) == count

    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(*data))
        stack.enter_context(watching(server, space, tmp_path, "-o", "jsonl"))
        for outage in (1, 2):
            server.kill()
            poll_until(partial(said, "no server answers", outage))
            time.sleep(2.5)  # several tries
            assert said("no server answers", outage)
            server = stack.enter_context(running_server(*data))
            poll_until(partial(said, "callboard: the server answers again", outage))
    assert len(errors.read_text().splitlines()) <= 2 * 4, errors.read_text()

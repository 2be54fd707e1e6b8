"""`callboard call` against real services, through the SDK."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from callboard.cli.main import main
from callboard.client import Client, Registration
from tests.cli.conftest import Run
from tests.servers import ServerProcess, free_port
from tests.support import poll_until

PROGRAM = str(Path(__file__).parent / "programs" / "orders.py")


@contextmanager
def service(folder: Path, name: str) -> Iterator[int]:
    """A process that answers with its name; its port."""
    from tests.cli.test_running import Running

    port = free_port()
    environment = {**os.environ, "PORT": str(port), "NAME": name}
    with subprocess.Popen([sys.executable, PROGRAM, str(folder)], env=environment) as popen:
        try:
            poll_until(lambda: Running(popen, folder, port).ask("/"))
            yield port
        finally:
            popen.kill()


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Two of them, for all tests."""
    with ExitStack() as stack:
        yield [stack.enter_context(service(tmp_path_factory.mktemp(name), name)) for name in ("one", "two")]


def sign_in(client: Client, space: str, name: str, port: int, **meta: str) -> None:
    """An instance of `orders`, on a node of its own name."""
    client.put(Registration(service="orders", id=name, namespace=space, node=f"n-{name}", address="127.0.0.1", port=port, meta=meta))


def test_one_call_prints_the_body_and_on_stderr_who_answered(run: Run, client: Client, space: str, ports: list[int]) -> None:
    sign_in(client, space, "one", ports[0])
    shown = run("call", "orders", "GET", "/health")
    assert (shown.exit_code, shown.stdout) == (0, "one")
    assert shown.stderr.startswith(f"HTTP 200 OK from n-one/one (127.0.0.1:{ports[0]}) in ")


def test_method_headers_and_body_are_what_was_said(run: Run, client: Client, space: str, ports: list[int]) -> None:
    sign_in(client, space, "one", ports[0])
    assert run("call", "orders", "post", "/echo", "--header", "x-said: hello", "--data", "body").stdout == "POST hello body"


def test_several_calls_are_told_by_instance(run: Run, client: Client, space: str, ports: list[int]) -> None:
    for name, port in zip(("one", "two"), ports, strict=True):
        sign_in(client, space, name, port)
    shown = run("call", "orders", "GET", "/", "-n", "40", "-c", "4", "--policy", "smooth_wrr")
    assert (shown.exit_code, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0] == ["INSTANCE", "ADDRESS", "CALLS", "FAILED", "P50_MS", "P99_MS", "MAX_MS"]
    assert [line[:4] for line in lines[1:3]] == [
        ["n-one/one", f"127.0.0.1:{ports[0]}", "20", "0"],
        ["n-two/two", f"127.0.0.1:{ports[1]}", "20", "0"],
    ]
    assert lines[3][:4] == ["total", "-", "40", "0"]
    assert run("call", "orders", "GET", "/", "-n", "10", "-o", "name").stdout.split() == ["n-one/one", "n-two/two"]


def test_figures_as_json(run: Run, client: Client, space: str, ports: list[int]) -> None:
    sign_in(client, space, "one", ports[0])
    told = json.loads(run("call", "orders", "GET", "/", "-n", "5", "-o", "json").stdout)
    assert (told["service"], told["total"]["calls"], told["retried"], told["reasons"]) == ("orders", 5, 0, {})
    assert told["instances"][0]["calls"] == 5
    assert 0 < told["total"]["p50_ms"] <= told["total"]["max_ms"]
    assert json.loads(run("call", "orders", "GET", "/", "-o", "jsonl").stdout)["instance"] == "n-one/one"


def test_a_version_is_called_when_it_is_asked_for(run: Run, client: Client, space: str, ports: list[int]) -> None:
    sign_in(client, space, "one", ports[0], version="1.4.0")
    sign_in(client, space, "two", ports[1], version="2.0.0")
    assert run("call", "orders", "GET", "/", "--version", "^1").stdout == "one"
    assert run("call", "orders", "GET", "/", "--prefer", "latest").stdout == "two"
    assert run("call", "orders", "GET", "/", "--label", "version=1.4.0").stdout == "one"
    nobody = run("call", "orders", "GET", "/", "--version", "^3")
    assert (nobody.exit_code, nobody.stdout) == (4, "")
    assert "version 1.4.0 is not ^3" in nobody.stderr
    assert "look at --version" in nobody.stderr
    assert "checks" not in nobody.stderr


def test_a_call_that_cannot_connect_is_tried_at_another_instance(run: Run, client: Client, space: str, ports: list[int]) -> None:
    sign_in(client, space, "dead", free_port())
    sign_in(client, space, "one", ports[0])
    shown = run("call", "orders", "GET", "/", "-n", "20", "-c", "2", "--policy", "smooth_wrr", "-o", "json")
    told = json.loads(shown.stdout)
    assert (shown.exit_code, told["total"]["failed"], told["retried"] > 0) == (0, 0, True)
    assert "were tried more than once" in shown.stderr


@pytest.mark.parametrize(("path", "words"), [("/boom", "status 500"), ("/slow", "no answer in time")])
def test_exit_code_4_when_a_call_failed(run: Run, client: Client, space: str, ports: list[int], path: str, words: str) -> None:
    sign_in(client, space, "one", ports[0])
    options = ("--timeout", "3s") if path == "/slow" else ()  # so long may the registry take, too
    several = run("call", "orders", "GET", path, "-n", "3", "-c", "3", *options)
    assert several.exit_code == 4
    assert words in several.stderr
    assert run("call", "orders", "GET", path, *options).exit_code == 4


def test_exit_code_3_when_nobody_has_signed_in_and_5_without_a_registry(run: Run) -> None:
    assert run("call", "orders", "GET", "/").exit_code == 3
    away = CliRunner().invoke(main, ["call", "orders", "GET", "/", "--url", f"http://127.0.0.1:{free_port()}", "--timeout", "300ms"])
    assert (away.exit_code, away.stdout) == (5, "")
    assert "CALLBOARD_URL" in away.stderr
    assert len(away.stderr.splitlines()) == 1


def test_exit_code_4_when_nobody_is_fit_to_be_called(run: Run, client: Client, space: str, ports: list[int]) -> None:
    sign_in(client, space, "one", ports[0])
    client.drain("one", node="n-one", namespace=space)
    shown = run("call", "orders", "GET", "/")
    assert (shown.exit_code, shown.stdout) == (4, "")
    assert "left out: one on n-one: draining" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("GET", "health"), "PATH"),
        (("GET", "/a b"), "PATH"),
        (("G T", "/"), "METHOD"),
        (("GET", "/", "--header", "nothing"), "NAME:VALUE"),
        (("GET", "/", "--policy", "best"), "peak_ewma"),
        (("GET", "/", "--version", "banana"), "version"),
        (("GET", "/", "-n", "0"), "--count"),
    ],
)
def test_wrong_usage_is_named(run: Run, arguments: tuple[str, ...], words: str) -> None:
    shown = run("call", "orders", *arguments)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert words in shown.stderr


def test_progress_is_for_terminals(server: ServerProcess, client: Client, space: str, ports: list[int]) -> None:
    sign_in(client, space, "one", ports[0])
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "callboard", "call", "orders", "GET", "/", "-n", "30", "--namespace", space, "--url", server.url]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=True, text=True)
    os.close(theirs)
    told = os.read(ours, 65536).decode()
    os.close(ours)
    assert "30/30 calls" in told
    assert "total" in done.stdout


def test_ctrl_c_prints_what_was_done_so_far_and_exits_with_130(server: ServerProcess, client: Client, space: str, ports: list[int]) -> None:
    sign_in(client, space, "one", ports[0])
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "callboard", "call", "orders", "GET", "/", "-n", "1000000", "--namespace", space, "--url", server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as calling:
        os.close(theirs)
        told = ""
        while not re.search(r"[1-9]\d*/1000000 calls", told):
            told += os.read(ours, 65536).decode()
        calling.send_signal(signal.SIGINT)
        out, _ = calling.communicate(timeout=60)
    with contextlib.suppress(OSError):  # what a terminal says at its end
        while more := os.read(ours, 65536).decode():
            told += more
    os.close(ours)
    total = next(line.split() for line in out.splitlines() if line.startswith("total"))
    assert (calling.returncode, total[3]) == (130, "0")
    assert int(total[2]) > 0
    assert told.replace("\r\n", "\n").endswith(f"\r\x1b[Kinterrupted: {total[2]} of 1000000 calls had ended\n")


@pytest.mark.parametrize("count", ["1", "2"])
def test_ctrl_c_does_not_wait_for_calls_under_way(count: str, server: ServerProcess, client: Client, space: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        sign_in(client, space, "one", hanging.getsockname()[1])
        command = ["call", "orders", "GET", "/", "-n", count, "--timeout", "60s", "--namespace", space, "--url", server.url]
        with subprocess.Popen([sys.executable, "-m", "callboard", *command], stderr=subprocess.PIPE, text=True) as calling:
            accepted, _ = hanging.accept()
            with accepted:  # and answers nothing
                calling.send_signal(signal.SIGINT)
                _, told = calling.communicate(timeout=60)
    assert calling.returncode == 130
    assert "Traceback" not in told

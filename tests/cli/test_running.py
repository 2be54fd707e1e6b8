"""`callboard run` with a real server and a real process: signed in when it is ready, checked, drained, signed out."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner

from callboard.cli.main import main
from callboard.client import Client, ClientSettings
from callboard.model.check import Status
from callboard.wire.native import InstanceState
from tests.client.broken import answer, broken_server, problem
from tests.servers import ServerProcess, free_port, running_server
from tests.support import poll_until

PROGRAM = str(Path(__file__).parent / "programs" / "orders.py")
RUN = ("run", "--service", "orders")
FAST = ("--drain", "300ms", "--ttl", "60s")


@dataclass
class Running:
    """A `callboard run` under way."""

    popen: subprocess.Popen[bytes]
    folder: Path
    port: int

    def ask(self, path: str) -> str:
        """What the process answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except OSError:
            return ""
        finally:
            connection.close()

    def send(self, number: int) -> None:
        """A signal to the supervisor."""
        self.popen.send_signal(number)

    def code(self) -> int:
        """Waits for the end."""
        return self.popen.wait(60)

    def said(self) -> str:
        """What it has written on stderr until now."""
        return (self.folder / "stderr").read_text()

    def signals(self) -> list[str]:
        """What signals the process was sent."""
        file = self.folder / "signals"
        return file.read_text().split() if file.exists() else []


@dataclass
class Stage:
    """A server, a name space of it, and a folder."""

    url: str
    client: Client
    space: str
    folder: Path

    @contextmanager
    def running(self, *options: str, program: tuple[str, ...] = ()) -> Iterator[Running]:
        """`callboard run ... -- python orders.py FOLDER ...` on a free port."""
        port = free_port()
        command = [
            sys.executable, "-m", "callboard", *RUN, "--port", str(port), "--url", self.url, "--namespace", self.space, *FAST, *options,
            "--", sys.executable, PROGRAM, str(self.folder), *program,
        ]  # fmt: skip
        with (self.folder / "stderr").open("wb") as errors, subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors) as popen:
            try:
                yield Running(popen, self.folder, port)
            finally:
                popen.terminate()
                popen.wait(60)

    def entry(self) -> InstanceState | None:
        """The instance in the registry."""
        return next(iter(self.client.instances("orders", namespace=self.space).instances), None)

    def signed_in(self, status: Status = Status.PASSING) -> InstanceState:
        """The same, once it is there in this status."""
        return poll_until(lambda: found if (found := self.entry()) is not None and found.status is status else None)


@pytest.fixture
def stage(server: ServerProcess, client: Client, space: str, tmp_path: Path) -> Stage:
    return Stage(server.url, client, space, tmp_path)


def test_a_process_is_signed_in_as_it_was_said_and_knows_who_it_is(stage: Stage) -> None:
    said = (
        "--address", "127.0.0.1", "--id", "orders-1", "--version", "2.3.1", "--tag", "v2", "--tag", "blue", "--meta", "team=a",
        "--zone", "eu-1", "--weight", "7", "--http", "/health", "--tcp", "--interval", "1s",
    )  # fmt: skip
    with stage.running(*said) as run:
        found = stage.signed_in()
        assert (found.id, found.address, found.port, set(found.tags)) == ("orders-1", "127.0.0.1", run.port, {"v2", "blue"})
        assert (found.meta, found.weights.passing) == ({"team": "a", "version": "2.3.1", "zone": "eu-1"}, 7)
        assert {check.kind for check in found.checks} >= {"http", "tcp", "ttl"}
        assert found.status is Status.PASSING
        assert run.ask("/env") == f"{run.port},orders,orders-1"


def test_at_sigterm_it_is_hidden_first_then_ends_then_is_gone(stage: Stage) -> None:
    with stage.running("--drain", "60s", program=("9", "0.2")) as run:
        stage.signed_in()
        with stage.client.watch("orders", namespace=stage.space) as watch:
            changes = iter(watch)
            assert next(changes).kind == "added"
            run.send(signal.SIGTERM)
            seen = []
            for change in changes:
                if change.instance is not None:
                    seen.append((change.kind, change.instance.phase.value, tuple(run.signals())))
                    if len(seen) == 1:
                        run.send(signal.SIGTERM)  # the drain is over
                if change.kind == "removed":
                    break
        assert seen[0] == ("changed", "draining", ())
        assert seen[-1] == ("removed", "draining", ("SIGTERM",))
        assert run.code() == 9
    assert stage.entry() is None


def test_it_is_not_signed_in_before_its_port_accepts_and_its_path_passes(stage: Stage) -> None:
    (stage.folder / "deaf").touch()
    with stage.running("--http", "/ready") as run:
        poll_until(lambda: run.popen.poll() is None)
        (stage.folder / "deaf").unlink()
        poll_until(lambda: run.ask("/") == "orders")
        assert stage.entry() is None
        (stage.folder / "ready").touch()
        assert stage.signed_in().status is Status.PASSING


def test_a_port_that_does_not_open_is_said_while_it_is_waited_for(stage: Stage) -> None:
    (stage.folder / "deaf").touch()
    with stage.running() as run:
        poll_until(lambda: f"is still not signed in after 3 s: port {run.port} does not accept" in run.said())
        (stage.folder / "deaf").unlink()
        stage.signed_in()


def test_a_process_that_listens_no_more_is_critical_with_the_reason_until_it_listens_again(stage: Stage) -> None:
    with stage.running() as run:
        stage.signed_in()
        (stage.folder / "deaf").touch()
        found = stage.signed_in(Status.CRITICAL)
        assert f"port {run.port} does not accept connections" in next(check.output for check in found.checks if check.kind == "ttl")
        (stage.folder / "deaf").unlink()
        stage.signed_in()
        assert "is critical" in run.said()


def test_a_process_that_dies_is_signed_out_at_once_with_its_code(stage: Stage) -> None:
    with stage.running("--ttl", "1m", "--drain", "1m", program=("3",)) as run:
        stage.signed_in()
        os.kill(int(run.ask("/pid")), signal.SIGKILL)
        assert run.code() == 128 + signal.SIGKILL
        assert stage.entry() is None


def test_without_a_registry_it_runs_and_is_signed_in_when_there_is_one(space: str, tmp_path: Path) -> None:
    place = f"127.0.0.1:{free_port()}"
    with Client(ClientSettings(urls=(f"http://{place}",))) as client:
        stage = Stage(f"http://{place}", client, space, tmp_path)
        with stage.running("--address", "127.0.0.1") as run:
            poll_until(lambda: run.ask("/") == "orders")
            poll_until(lambda: "callboard: " in run.said())
            with running_server("--dev", "--http", place):
                stage.signed_in()
                run.send(signal.SIGTERM)
                assert run.code() == 0
                assert stage.entry() is None
            assert run.said().count("signed in") == run.said().count("cannot be signed in yet") + 1
            assert run.said().count(f"is signed in, port {run.port}") == run.said().count("is signed out") == 1


def test_who_looks_on_hears_once_that_it_is_signed_in_and_once_that_it_is_signed_out(stage: Stage) -> None:
    with stage.running("--id", "orders-1", program=("0",)) as run:
        stage.signed_in()
        run.send(signal.SIGTERM)
        assert run.code() == 0
        said = [line for line in run.said().splitlines() if line.startswith("callboard: ")]
        assert said == [f"callboard: orders-1 is signed in, port {run.port}", "callboard: orders-1 is signed out"]


def test_nobody_is_told_that_it_is_signed_out_when_it_is_not(space: str, tmp_path: Path) -> None:
    with running_server("--dev") as server, Client(ClientSettings(urls=(server.url,))) as client:
        stage = Stage(server.url, client, space, tmp_path)
        with stage.running("--address", "127.0.0.1", "--timeout", "500ms") as run:
            stage.signed_in()
            server.kill()
            run.send(signal.SIGTERM)
            assert run.code() == 0
            assert "could not be signed out" in run.said()
            assert "is signed out" not in run.said()


def test_what_the_registry_refuses_stops_the_process_and_names_the_field(stage: Stage) -> None:
    with stage.running("--tcp", "--interval", "500ms") as run:
        assert run.code() == 1
        assert "interval_ms" in run.said()
        assert run.signals() == ["SIGTERM"]
    assert stage.entry() is None


def test_a_registry_that_changes_its_mind_stops_nothing(client: Client, space: str, tmp_path: Path) -> None:
    taken = answer("200 OK", b'{"id":"orders-1","node":"n","namespace":"public","service":"orders","revision":1,"changed":true}')
    with broken_server(taken, problem("403 No", "denied")) as server, (
        Stage(server.url, client, space, tmp_path).running("--address", "127.0.0.1", "--ttl", "300ms")
    ) as run:  # fmt: skip
        poll_until(lambda: "is refused now: it is so; the command runs on" in run.said())
        assert run.ask("/") == "orders"
        run.send(signal.SIGTERM)
        assert run.code() == 0


def test_what_nobody_would_take_is_refused_before_the_process_starts() -> None:
    shown = CliRunner().invoke(main, ["run", "--service", "orders", "--port", "80", "--meta", "ä=1", "--", "/bin/false"])
    assert (shown.exit_code, "meta" in shown.stderr) == (2, True)


def test_signals_that_do_not_end_it_are_passed_on(stage: Stage) -> None:
    with stage.running() as run:
        stage.signed_in()
        run.send(signal.SIGHUP)
        poll_until(lambda: run.signals() == ["SIGHUP"])
        run.send(signal.SIGINT)
        assert run.code() == 0
        assert run.signals() == ["SIGHUP", "SIGINT"]


AT_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "callboard", *sys.argv[1:]])
"""


def test_what_is_typed_at_the_terminal_reaches_the_process_once(stage: Stage) -> None:
    ours, theirs = pty.openpty()
    command = [
        sys.executable, "-c", AT_A_TERMINAL, *RUN, "--port", "0", "--url", stage.url, "--namespace", stage.space, *FAST,
        "--", sys.executable, PROGRAM, str(stage.folder), "0", "1",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as popen:
        os.close(theirs)
        try:
            stage.signed_in()
            os.write(ours, b"\x03")
            assert popen.wait(60) == 0
        finally:
            popen.kill()
            os.close(ours)
    assert (stage.folder / "signals").read_text().split() == ["SIGINT"]
    assert stage.entry() is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--service", "orders", "--port", "80"), 2, "say what to run after `--`"),
        (("--service", "orders", "--port", "80", "python", "app.py"), 2, "say what to run after `--`"),
        (("--service", "orders", "--port", "80", "--"), 2, "say what to run after `--`"),
        (("--port", "80", "--", "true"), 2, "--service"),
        (("--service", "orders", "--port", "80", "--drain", "soon", "--", "true"), 2, "duration"),
        (("--service", "orders", "--port", "80", "--ttl", "1ms", "--", "/no/such/command"), 2, "--ttl: must be at least 250ms"),
        (("--service", "orders", "--port", "80", "--http", "ready", "--", "/no/such/command"), 2, "--http: 'ready' must be a path"),
        (("--service", "orders", "--port", "0", "--", "/no/such/command"), 127, "no such command"),
        (("--service", "orders", "--port", "0", "--", "/"), 126, "permission denied"),
    ],
)
def test_what_cannot_be_run_is_said_clearly(arguments: tuple[str, ...], code: int, words: str) -> None:
    shown = CliRunner().invoke(main, ["run", *arguments])
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert words in shown.stderr


def test_a_free_port_is_found_and_told(stage: Stage) -> None:
    with stage.running("--port", "0") as run:
        found = stage.signed_in()
        assert found.port not in {0, run.port}
        run.port = found.port
        assert run.ask("/env") == f"{found.port},orders,{found.id}"
        assert found.id.endswith(f"-{found.port}")

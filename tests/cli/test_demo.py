"""The demo proves failover with real processes, and leaves nothing behind, whichever way it ends."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import poll_until

SUMMARY = re.compile(
    r"demo ok: web-2 killed, gone after (\d+\.\d\d) s, back (\d+\.\d\d) s after its restart; "
    r"(\d+) calls made, 0 failed, \d+ went to another instance\n"
)
SERVER = re.compile(r"a server is ready at http://127\.0\.0\.1:(\d+), DNS at \S+, its data in (\S+)")
PIDS = re.compile(r"\(pid (\d+)\)")


class Demo:
    """A running demo, its output in files."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self._out, self._err = directory / "out", directory / "err"
        with self._out.open("w") as output, self._err.open("w") as errors:
            command = [sys.executable, "-m", "callboard", "demo", *arguments]
            self.process = subprocess.Popen(command, stdout=output, stderr=errors, start_new_session=True)

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def wait_for(self, text: str) -> None:
        """Until the story has come so far."""
        poll_until(lambda: text in self.err or self.process.poll() is not None, 90)
        assert text in self.err, self.err

    def assert_nothing_is_left(self) -> None:
        """No process, no port, no data."""
        server = SERVER.search(self.err)
        assert server is not None, self.err
        assert [pid for pid in PIDS.findall(self.err) if alive(int(pid))] == []
        assert not listens(int(server[1]))
        assert not Path(server[2]).exists()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def demo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Demo]:
    running = Demo(tmp_path, *request.param)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
        running.process.wait(60)


@pytest.mark.parametrize("demo", [("--once",)], indirect=True)
def test_once_proves_failover_and_prints_one_line(demo: Demo) -> None:
    assert demo.process.wait(60) == 0, demo.err
    summary = SUMMARY.fullmatch(demo.out)
    assert summary is not None, demo.out
    assert int(summary[3]) > 30
    assert demo.err.count("\n  callboard ") == 3
    demo.assert_nothing_is_left()


@pytest.mark.parametrize("demo", [("--once",)], indirect=True)
def test_once_fails_with_the_reason_when_a_service_dies_by_itself(demo: Demo) -> None:
    demo.wait_for("signed in as 'web'")
    os.kill(int(PIDS.findall(demo.err)[0]), signal.SIGKILL)
    assert demo.process.wait(60) == 1
    assert "demo failed: web-1 ended with exit code -9" in demo.err
    assert demo.out == ""
    demo.assert_nothing_is_left()


@pytest.mark.parametrize("demo", [()], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_a_signal_and_clears_everything_away(demo: Demo, number: signal.Signals) -> None:
    demo.wait_for("is killed with SIGKILL" if number is signal.SIGTERM else "Ctrl-C ends everything")
    demo.process.send_signal(number)
    assert demo.process.wait(60) == 0, demo.err
    demo.assert_nothing_is_left()


@pytest.mark.parametrize("demo", [("--once",)], indirect=True)
def test_interrupted_before_it_proved_anything_is_a_failure(demo: Demo) -> None:
    demo.wait_for("a server is ready")
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 1
    assert "interrupted" in demo.err
    demo.assert_nothing_is_left()


@pytest.mark.parametrize("demo", [("--once",)], indirect=True)
def test_every_process_leaves_when_the_demo_is_killed(demo: Demo) -> None:
    demo.wait_for("signed in as 'web'")
    demo.process.kill()
    demo.process.wait(60)
    server = SERVER.search(demo.err)
    assert server is not None
    poll_until(lambda: not any(alive(int(pid)) for pid in PIDS.findall(demo.err)))
    poll_until(lambda: not listens(int(server[1])))
    shutil.rmtree(server[2])

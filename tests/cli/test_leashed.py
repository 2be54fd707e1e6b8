import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

SERVE = [sys.executable, "-m", "callboard.cli.leashed", "--dev", "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0", "--log-level", "error"]


@pytest.fixture
def server() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"]
        yield process
        process.kill()


def test_it_leaves_when_whoever_started_it_is_gone(server: "subprocess.Popen[bytes]") -> None:
    assert server.communicate(timeout=60) == (b"", b"")
    assert server.returncode == 0


def test_it_leaves_at_a_signal_while_its_input_is_open(server: "subprocess.Popen[bytes]") -> None:
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=60) == 0
    assert server.stderr is not None
    assert server.stderr.read() == b""

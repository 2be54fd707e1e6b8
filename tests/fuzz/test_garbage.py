"""64 KiB of garbage on every port of a real server: it says nothing on stderr, changes nothing, and serves on."""

import contextlib
import random
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from json import loads
from pathlib import Path

import pytest

from tests.servers import ServerProcess, split_address

SIZE_BYTES = 65_536
SEEDS = range(12)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, Path]]:
    folder = tmp_path_factory.mktemp("garbage")
    log = folder / "stderr"
    words = [sys.executable, "-m", "callboard", "serve", "--data", str(folder / "data"), "--http", "127.0.0.1:0", "--dns", "127.0.0.1:0"]
    words += ["--log-level", "warning"]
    with log.open("wb") as stderr, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=stderr, text=True) as popen:
        assert popen.stdout is not None
        started = ServerProcess(popen, loads(popen.stdout.readline()))
        yield started, log
        assert started.stop() == 0


def revision(server: ServerProcess) -> int:
    with urllib.request.urlopen(f"{server.url}/api/v1/status", timeout=60) as response:
        return int(loads(response.read())["revision"])


def noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(SIZE_BYTES)


def like_http(seed: int) -> bytes:
    """Garbage that begins like a request, so that it gets further in."""
    starts = [
        b"PUT /v1/agent/service/register HTTP/1.1\r\nhost: x\r\ncontent-length: 65000\r\n\r\n",
        b"GET /",
        b"GET / HTTP/1.1\r\n",
        b"\r\n" * 40,
    ]
    return random.Random(seed).choice(starts) + noise(seed)


def like_dns(seed: int) -> bytes:
    """Messages with plausible headers and lengths over TCP, garbage inside."""
    chance = random.Random(seed)
    out = b""
    while len(out) < SIZE_BYTES:
        message = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + chance.randbytes(chance.randrange(1, 400))
        out += len(message).to_bytes(2, "big") + message
    return out


def throw_stream(address: tuple[str, int], data: bytes) -> None:
    with socket.create_connection(address, timeout=60) as sock, contextlib.suppress(OSError):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65_536):
            pass


def throw_datagrams(address: tuple[str, int], data: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for start in range(0, len(data), 512):
            sock.sendto(data[start : start + 512], address)
        sock.sendto(data[:65_000], address)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [noise, like_http, like_dns])
def test_garbage_changes_nothing_and_is_no_news(server: tuple[ServerProcess, Path], make: Callable[[int], bytes], seed: int) -> None:
    running, log = server
    before = revision(running)
    data = make(seed)
    throw_stream(running.http, data)
    throw_stream(running.dns, data)
    throw_datagrams(split_address(running.ready["dns"]), data)
    assert revision(running) == before
    assert log.read_text(encoding="utf-8") == ""

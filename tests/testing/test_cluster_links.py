"""The network of the fault suite does to links what it says, and to nothing else."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from callboard.testing.cluster_network import Network
from tests.support import poll_until
from tests.testing.echoing import echoing

ME = "me"


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says back what it hears."""
    with echoing() as port:
        yield port


@pytest.fixture
def network() -> Iterator[Network]:
    made = Network()
    made.know(ME, os.getpid())
    yield made
    made.close()


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def said_back(sock: socket.socket, said: bytes) -> bytes:
    sock.sendall(said)
    return heard(sock, len(said))


def heard(sock: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count and (piece := sock.recv(count - len(got))):
        got += piece
    return got


def silent(sock: socket.socket) -> bool:
    sock.settimeout(0.2)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(60)
    return False


def test_bytes_pass_whole_also_more_than_any_buffer_holds(network: Network, echo: int) -> None:
    said = bytes(range(256)) * 20_000
    with dial(network.listen("b", echo, source="a")) as sock:
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(heard(sock, len(said))))
        reader.start()
        sock.sendall(said)
        reader.join()
    assert got == [said]


def test_who_dials_is_found_out_by_its_process(network: Network, echo: int) -> None:
    with dial(network.listen("b", echo)) as sock:
        assert said_back(sock, b"one") == b"one"
        network.cut(["somebody else"], ["b"])
        assert said_back(sock, b"two") == b"two"
        network.cut([ME], ["b"])
        sock.sendall(b"six")
        assert silent(sock)
        network.heal()
        assert heard(sock, 3) == b"six"


def test_a_link_is_cut_in_one_direction_alone(network: Network, echo: int) -> None:
    port = network.listen("b", echo, source="a")
    with dial(port) as sock:
        assert said_back(sock, b"one") == b"one"
        network.cut_one_way("b", "a")
        sock.sendall(b"two")  # this way is open: the server has it, and its answer waits
        assert silent(sock)
        network.heal()
        assert heard(sock, 3) == b"two"


def test_new_connections_over_a_cut_link_are_silence_too(network: Network, echo: int) -> None:
    port = network.listen("b", echo, source="a")
    network.cut(["a"], ["b"])
    with dial(port) as sock:
        sock.sendall(b"one")
        assert silent(sock)
        network.heal()
        assert heard(sock, 3) == b"one"


def test_an_end_is_not_told_over_a_link_that_is_cut(network: Network, echo: int) -> None:
    port = network.listen("b", echo, source="a")
    with dial(port) as sock:
        assert said_back(sock, b"one") == b"one"
        network.cut(["a"], ["b"])
        sock.shutdown(socket.SHUT_WR)
        assert silent(sock)
        network.heal()
        assert sock.recv(1) == b""


def test_connections_that_ended_are_let_go_of(network: Network, echo: int) -> None:
    port = network.listen("b", echo, source="a")
    for _ in range(20):
        with dial(port) as sock:
            assert said_back(sock, b"one") == b"one"
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
    poll_until(lambda: network.freeze("a", "b") == 0)
    assert network.open_files() < 30


def test_a_slow_link_delays_each_way(network: Network, echo: int) -> None:
    with dial(network.listen("b", echo, source="a")) as sock:
        network.rule("a", "b", delay_ms=100)
        begin = time.monotonic()
        assert said_back(sock, b"one") == b"one"
        assert time.monotonic() - begin >= 0.19  # loops round to milliseconds


def test_a_frozen_connection_stays_silent_and_new_ones_work(network: Network, echo: int) -> None:
    port = network.listen("b", echo, source="a")
    with dial(port) as old:
        assert said_back(old, b"one") == b"one"
        assert network.freeze("a", "b") == 1
        old.sendall(b"two")
        assert silent(old)
        with dial(port) as new:
            assert said_back(new, b"six") == b"six"
        network.heal()
        assert heard(old, 3) == b"two"


def test_a_server_that_is_gone_hangs_up(network: Network) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with dial(network.listen("b", nobody.getsockname()[1], source="a")) as sock:
            assert sock.recv(1) == b""


def test_what_it_minds_is_ended_with_it() -> None:
    network = Network()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        network.mind(sleeper.pid)
    finally:
        network.close()
    try:
        assert poll_until(sleeper.poll) == -9
    finally:
        sleeper.kill()
        sleeper.wait()

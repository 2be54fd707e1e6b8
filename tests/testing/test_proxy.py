import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from callboard.testing.proxy import Proxy
from tests.support import poll_until
from tests.testing.echoing import echoing


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says back what it hears, and `bye` at the end."""
    with echoing(goodbye=b"bye") as port:
        yield port


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    proxy = Proxy()
    proxy.lead_to("127.0.0.1", echo)
    proxy.set_mode("open")
    yield proxy
    proxy.close()


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=60)


def read_to_end(sock: socket.socket) -> bytes:
    heard = b""
    while piece := sock.recv(65_536):
        heard += piece
    return heard


def test_bytes_pass_whole_in_both_directions_also_more_than_any_buffer_holds(proxy: Proxy) -> None:
    said = bytes(range(256)) * 40_000
    with dial(proxy) as sock:

        def write() -> None:
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=write)
        writer.start()
        heard = read_to_end(sock)
        writer.join()
    assert heard == said + b"bye"


def test_cut_is_silence_on_old_and_new_connections_and_nothing_is_lost_after_it(proxy: Proxy) -> None:
    with dial(proxy) as old:
        old.sendall(b"one")
        assert old.recv(16) == b"one"
        proxy.set_mode("cut")
        with dial(proxy) as new:
            for sock in (old, new):
                sock.sendall(b"two")
                sock.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    sock.recv(16)
                sock.settimeout(60)
            proxy.set_mode("open")
            assert old.recv(16) == b"two"
            assert new.recv(16) == b"two"


def test_refuse_ends_old_connections_and_refuses_new_ones_at_the_same_port_until_it_opens(proxy: Proxy) -> None:
    with dial(proxy) as old:
        old.sendall(b"one")
        assert old.recv(16) == b"one"
        proxy.set_mode("refuse")
        assert old.recv(16) == b""
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    proxy.set_mode("open")
    with dial(proxy) as new:
        new.sendall(b"two")
        assert new.recv(16) == b"two"


def test_a_caller_whose_server_is_gone_is_hung_up_on(proxy: Proxy) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        proxy.lead_to(*nobody.getsockname())
        with dial(proxy) as sock:
            assert sock.recv(16) == b""


def test_close_leaves_no_thread_and_no_port(proxy: Proxy) -> None:
    with dial(proxy) as sock:
        other = Proxy()
        other.close()
        poll_until(lambda: [thread.name for thread in threading.enumerate()].count("callboard-proxy") == 1)
        sock.sendall(b"still")
        assert sock.recv(16) == b"still"
    poll_until(lambda: _free(other.port))


def _free(port: int) -> bool:
    with socket.socket() as sock, contextlib.suppress(OSError):
        sock.bind(("127.0.0.1", port))
        return True
    return False

"""The load counts whole answers, in whatever packets and with whatever form of length; questions are what resolvers send."""

import contextlib
import math
import socket
import threading
from collections.abc import Iterator, Sequence

import dns.edns
import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import engine_zookeeper as zookeeper
from bench.dns import SRV, question
from bench.load import CHUNKED, HttpLoad, body_length, repeat, request
from bench.peer import peer_of, pid_at
from bench.requests import body_of, exchange, field_of

SIZED = b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 12\r\n\r\nhello\r\n\r\nyou"
IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nhello\r\n\r\n5\r\n\r\nyou\r\n0\r\n\r\n"


@contextlib.contextmanager
def server(packets: Sequence[bytes]) -> Iterator[tuple[str, int]]:
    """Every request on each of its connections is answered with these packets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, contextlib.suppress(OSError):
            while connection.recv(65_536):
                for packet in packets:
                    connection.sendall(packet)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=answer, args=(connection,)))
                threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        threads[0].join()
        listener.close()
        for thread in threads[1:]:
            thread.join()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[place : place + size] for place in range(0, len(data), size)]


@pytest.mark.parametrize("answer", [SIZED, IN_CHUNKS], ids=["sized", "chunked"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_answers_are_counted_whole(answer: bytes, size: int) -> None:
    with server(cut(answer, size)) as address, contextlib.closing(HttpLoad(address, 2)) as load:
        for _ in range(2):
            counted = load.run(repeat(request("GET", "/")), count=5)
            assert (counted.answers, counted.statuses) == (5, {b"200": 5})
        assert sum(load.answers().values()) == 10


@pytest.mark.parametrize("answer", [SIZED, IN_CHUNKS], ids=["sized", "chunked"])
def test_one_answer_is_read_whole(answer: bytes) -> None:
    with server(cut(answer, 3)) as address, socket.create_connection(address) as sock:
        for _ in range(2):
            assert exchange(sock, request("GET", "/")) == answer


def test_a_connection_that_ends_is_an_error() -> None:
    with server([b""]) as address, socket.create_connection(address) as sock:
        sock.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError):
            exchange(sock, b"")


def test_body_and_head() -> None:
    assert body_of(SIZED) == body_of(IN_CHUNKS) == b"hello\r\n\r\nyou"
    assert body_length(SIZED.partition(b"\r\n\r\n")[0]) == 12
    assert body_length(IN_CHUNKS.partition(b"\r\n\r\n")[0]) == CHUNKED
    assert field_of(SIZED, b"x-consul-index") == b"7"


@given(st.binary(min_size=8, max_size=8), st.booleans())
def test_questions_are_what_resolvers_send(cookie: bytes, tcp: bool) -> None:
    made = question(SRV, cookie=cookie, tcp=tcp)
    if tcp:
        assert int.from_bytes(made[:2]) == len(made) - 2
        made = made[2:]
    read = dns.message.from_wire(made)
    assert (str(read.question[0].name), read.question[0].rdtype) == ("web.service.consul.", dns.rdatatype.SRV)
    assert [option.otype for option in read.options] == [dns.edns.OptionType.COOKIE]


def test_a_peer_of_this_machine_is_found_by_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        peer = peer_of({"PEER": f"http://127.0.0.1:{port}", "PEER_DNS": "127.0.0.1:8600"})
        assert peer is not None
        assert pid_at(port) == peer.pid > 0
        assert peer.cpu_s() > 0
        assert peer.dns == ("127.0.0.1", 8600)
    assert peer_of({}) is None


def test_a_peer_elsewhere_has_no_cpu() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        peer = peer_of({"PEER": f"http://127.0.0.1:{nobody.getsockname()[1]}"})
    assert peer is not None
    assert math.isnan(peer.cpu_s())


@pytest.mark.parametrize("url", ["127.0.0.1:8500", "https://127.0.0.1:8500"])
def test_a_peer_must_be_a_url(url: str) -> None:
    with pytest.raises(SystemExit, match="http://HOST:PORT"):
        peer_of({"PEER": url})


def test_zookeeper_messages() -> None:
    asked = zookeeper.get_children(5, "/web", watch=True)
    assert asked == b"\0\0\0\x11" + b"\0\0\0\x05" + b"\0\0\0\x08" + b"\0\0\0\x04/web" + b"\x01"
    reply = b"\0\0\0\x05" + bytes(8) + bytes(4) + b"\0\0\0\x02" + zookeeper.text("a") + zookeeper.text("bcd")
    assert zookeeper.names_in(reply) == ["a", "bcd"]

import asyncio
import contextlib
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from callboard.net.datagram import DatagramListener
from callboard.net.messages import DatagramSettings, DatagramStats, Later
from tests.servers import split_address
from tests.support import repeated_if_stopped

Work = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    made: Callable[[], asyncio.AbstractEventLoop] = request.param
    return made


@pytest.fixture
def run(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Callable[[Work], None]:
    def running(work: Work) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            repeated_if_stopped(lambda: runner.run(asyncio.wait_for(work(), 60)))

    return running


class Echo:
    """Answers in capitals; silent to what starts with a dash."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.count = 0
        self.hosts: set[str] = set()

    def over_udp(self, message: bytes, host: str) -> bytes | Later | None:
        self.hosts.add(host)
        return self.over_tcp(message)

    def over_tcp(self, message: bytes) -> bytes | Later | None:
        self.count += 1
        return None if message.startswith(b"-") else message.upper() * self.times


class Slow(Echo):
    """Answers later what starts with "later": when it is told to, in the order of `order`."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[bytes, Later] = {}

    def over_tcp(self, message: bytes) -> bytes | Later | None:
        if not message.startswith(b"later"):
            return super().over_tcp(message)
        later = self.waiting[message] = Later()
        return later

    def settle(self, *messages: bytes) -> None:
        for message in messages:
            self.waiting.pop(message).settle(message.upper())


class Listening:
    def __init__(self, address: str, stats: DatagramStats) -> None:
        self.host, self.port = split_address(address)
        self.host = self.host.strip("[]")
        self.stats = stats

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)

    async def over_udp(self, message: bytes) -> bytes:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect((self.host, self.port))
            sock.send(message)
            return await asyncio.get_running_loop().sock_recv(sock, 65536)


@contextlib.asynccontextmanager
async def listening(handler: Echo, host: str = "127.0.0.1", port: int = 0, **settings: int) -> AsyncIterator[Listening]:
    stats = DatagramStats()
    listener = DatagramListener(host, port, handler, DatagramSettings(**settings), stats)
    (address,) = await listener.start()
    try:
        yield Listening(address, stats)
    finally:
        await listener.stop()


def framed(*messages: bytes) -> bytes:
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


async def read_framed(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


async def at_end(reader: asyncio.StreamReader) -> bool:
    """Whether the peer has closed, in whatever way."""
    try:
        return not await reader.read(1)
    except ConnectionError:
        return True


async def until(condition: Callable[[], bool]) -> None:
    """Let others have turns of the loop until it is so."""
    for _ in range(100_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("not so after 100,000 turns of the loop")


def test_one_port_answers_udp_and_tcp(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        handler = Echo()
        async with listening(handler) as there:
            assert await there.over_udp(b"one") == b"ONE"
            reader, writer = await there.connect()
            writer.write(framed(b"two"))
            assert await read_framed(reader) == b"TWO"
            writer.close()
            assert handler.hosts == {"127.0.0.1"}
            assert (there.stats.received, there.stats.connections_made) == (2, 1)

    run(work)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_answer_that_comes_later_holds_up_no_other(run: Callable[[Work], None], host: str) -> None:
    async def work() -> None:
        handler = Slow()
        async with listening(handler, host) as there:
            there.host = "127.0.0.1"
            waiting = asyncio.ensure_future(there.over_udp(b"later 1"))
            reader, writer = await there.connect()
            writer.write(framed(b"later 2", b"now", b"later 3"))
            assert await read_framed(reader) == b"NOW"
            await until(lambda: len(handler.waiting) == 3)
            handler.settle(b"later 3", b"later 2", b"later 1")
            assert [await read_framed(reader), await read_framed(reader)] == [b"LATER 3", b"LATER 2"]
            assert await waiting == b"LATER 1"
            writer.close()

    run(work)


def test_who_asks_no_more_still_gets_what_comes_later(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        handler = Slow()
        async with listening(handler) as there:
            reader, writer = await there.connect()
            writer.write(framed(b"later 1", b"later 2"))
            writer.write_eof()
            await until(lambda: len(handler.waiting) == 2)
            for _ in range(20):
                await asyncio.sleep(0)
            handler.settle(b"later 1", b"later 2")
            assert await reader.read() == framed(b"LATER 1", b"LATER 2")
            writer.close()
            await until(lambda: there.stats.connections_now == 0)

    run(work)


def test_what_comes_too_late_is_dropped(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        handler = Slow()
        async with listening(handler) as there:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"later 1", (there.host, there.port))
            _, writer = await there.connect()
            writer.write(framed(b"later 2"))
            await until(lambda: len(handler.waiting) == 2)
            writer.transport.abort()
        assert there.stats.connections_now == 0
        handler.settle(b"later 1", b"later 2")
        assert there.stats.unsent == 1
        early = Later()
        early.settle(b"x")
        early.then(taken.append)

    taken: list[bytes] = []
    run(work)
    assert taken == [b"x"]


def test_ipv6(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with listening(Echo(), "::1") as there:
            assert there.host == "::1"
            assert await there.over_udp(b"one") == b"ONE"

    run(work)


@pytest.mark.parametrize(("host", "asked"), [("0.0.0.0", "127.0.0.2"), ("::", "127.0.0.2"), ("::", "::1")])
def test_an_answer_comes_from_the_address_that_was_asked(run: Callable[[Work], None], host: str, asked: str) -> None:
    async def work() -> None:
        async with listening(Echo(), host) as there:
            there.host = asked if sys.platform == "linux" or asked == "::1" else "127.0.0.1"
            for _ in range(3):
                assert await there.over_udp(b"one") == b"ONE"  # the socket is connected and takes nothing from elsewhere

    run(work)


def test_more_datagrams_than_a_turn_takes_are_all_answered(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with listening(Echo(), datagrams_per_wake_max_count=2) as there:
            answers = await asyncio.gather(*(there.over_udp(b"n%d" % number) for number in range(20)))
            assert answers == [b"N%d" % number for number in range(20)]

    run(work)


def test_questions_of_a_connection_are_answered_in_order_however_they_are_cut(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with listening(Echo()) as there:
            questions = [b"question %d" % number for number in range(200)]
            stream = framed(*questions)
            for size in (1, 7, len(stream)):
                reader, writer = await there.connect()
                for start in range(0, len(stream), size):
                    writer.write(stream[start : start + size])
                    await asyncio.sleep(0)
                assert [await read_framed(reader) for _ in questions] == [question.upper() for question in questions]
                writer.close()

    run(work)


def test_a_peer_that_asks_no_more_still_gets_its_answers(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with listening(Echo(1000)) as there:
            reader, writer = await there.connect()
            writer.write(framed(*[b"x"] * 5000))
            writer.write_eof()
            data = await reader.read()
            assert data == framed(b"X" * 1000) * 5000
            writer.close()
            await until(lambda: there.stats.connections_now == 0)

    run(work)


def test_a_peer_that_does_not_read_is_not_answered_further(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        handler = Echo(4000)
        async with listening(handler) as there:
            reader, writer = await there.connect()
            writer.write(framed(*[b"slow"] * 5000))
            await until(lambda: handler.count > 0)
            assert await there.over_udp(b"other") == b"OTHER" * 4000
            assert handler.count < 2500  # 80 MB would be due, of which the kernel takes some
            for _ in range(5000):
                assert await read_framed(reader) == b"SLOW" * 4000
            writer.close()

    run(work)


def test_a_peer_that_does_not_read_is_not_read_further(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with listening(Echo(1000)) as there:
            with socket.create_connection((there.host, there.port)) as sock:
                sock.setblocking(False)
                taken = refused = 0
                while refused < 1000 and taken < 64_000_000:
                    try:
                        taken += sock.send(framed(b"slow") * 10_000)
                        refused = 0
                    except BlockingIOError:
                        refused += 1
                        await asyncio.sleep(0)
            assert taken < 64_000_000

    run(work)


@pytest.mark.parametrize("stream", [framed(b"-no"), framed(b"x" * 513), b"\xff\xff", framed(b"fine", b"-no", b"fine")])
def test_who_does_not_speak_the_protocol_is_cut_off(run: Callable[[Work], None], stream: bytes) -> None:
    async def work() -> None:
        async with listening(Echo(), message_max_bytes=512) as there:
            reader, writer = await there.connect()
            writer.write(stream)
            with contextlib.suppress(ConnectionError):
                assert framed(b"FINE").startswith(await reader.read())
            assert there.stats.connections_ended == 1
            writer.close()
            assert await there.over_udp(b"next") == b"NEXT"

    run(work)


def test_silence_ends_a_connection(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with listening(Echo(), tcp_idle_time_max_ms=30) as there:
            reader, writer = await there.connect()
            writer.write(framed(b"one") + b"\0")  # a beginning is no question
            assert await read_framed(reader) == b"ONE"
            assert await at_end(reader)
            assert (there.stats.connections_now, there.stats.connections_ended) == (0, 1)
            writer.close()

    run(work)


def test_who_keeps_asking_keeps_the_connection(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        async with listening(Echo(), tcp_idle_time_max_ms=150) as there:
            reader, writer = await there.connect()
            end = loop.time() + 0.4
            while loop.time() < end:
                writer.write(framed(b"again"))
                assert await read_framed(reader) == b"AGAIN"
            writer.close()

    run(work)


def test_the_longest_silent_makes_room(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        async with listening(Echo(), tcp_connections_max_count=2) as there:
            first, second = await there.connect(), await there.connect()
            await until(lambda: there.stats.connections_now == 2)
            first[1].write(framed(b"here"))
            assert await read_framed(first[0]) == b"HERE"
            third = await there.connect()
            assert await at_end(second[0])
            for reader, writer in (first, third):
                writer.write(framed(b"still"))
                assert await read_framed(reader) == b"STILL"
            for _, writer in (first, second, third):
                writer.close()

    run(work)


def test_garbage_harms_nobody(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        chance = random.Random(7)
        async with listening(Echo()) as there:
            for _ in range(3):
                reader, writer = await there.connect()
                writer.write(chance.randbytes(65_536))
                await at_end(reader)
                writer.close()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for size in (0, 1, 4096, 65_507):
                    sock.sendto(chance.randbytes(size), (there.host, there.port))
            assert await there.over_udp(b"next") == b"NEXT"
            assert there.stats.received >= 5

    run(work)


def test_stopping_frees_the_port_and_ends_connections(run: Callable[[Work], None]) -> None:
    async def work() -> None:
        with socket.socket() as sock:
            port = bind_below_the_ephemeral(sock)
        async with listening(Echo(), port=port) as there:
            reader, writer = await there.connect()
            await until(lambda: there.stats.connections_now == 1)
        assert await at_end(reader)
        writer.close()
        again = DatagramListener(there.host, there.port, Echo(), DatagramSettings(), DatagramStats())
        assert await again.start() == [f"127.0.0.1:{there.port}"]
        await again.stop()

    run(work)


def bind_below_the_ephemeral(sock: socket.socket) -> int:
    """Bind to a port that no client of another test gets by chance."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port is taken")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_taken_port_is_an_error_and_leaves_nothing_open(run: Callable[[Work], None], kind: socket.SocketKind) -> None:
    async def work() -> None:
        with socket.socket(socket.AF_INET, kind) as taken:
            port = bind_below_the_ephemeral(taken)
            if kind is socket.SOCK_STREAM:
                taken.listen()
            listener = DatagramListener("127.0.0.1", port, Echo(), DatagramSettings(), DatagramStats())
            with pytest.raises(OSError, match="in use"):
                await listener.start()
            await listener.stop()
        assert await listener.start() == [f"127.0.0.1:{port}"]
        await listener.stop()

    run(work)

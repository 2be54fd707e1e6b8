"""Every limit of HTTP's holds on both doors, is told, and harms nobody else."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest
from uvicorn.config import Config

from callboard.net.http import behind
from tests.net.http import wires
from tests.net.http.fake import World, connected, request, run, serving, until
from tests.net.http.wires import Ours, responses
from tests.support import Stopwatch, repeated_if_stopped

LONG = "x: " + "y" * 20_000


@pytest.mark.parametrize(
    "data",
    [
        request("GET /read/a", LONG),
        request("PATCH /read/a", LONG),
        request("GET /read/a?" + "y" * 20_000),
        request("GET /read/a", LONG)[:-2],
        request("PATCH /read/a", LONG)[:-2],
        request("GET /slow/read/a") + request("GET /read/a", LONG),
        request("PUT /slow/echo/a", "transfer-encoding: chunked") + b"0\r\n\r\n" + request("PATCH /read/a", *[LONG[:1000]] * 40)[:-2],
    ],
)
@pytest.mark.parametrize("step", [100_000, 1000])
def test_a_head_that_is_too_long_is_refused(data: bytes, step: int) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, head_max_bytes=16_384) as port, connected(port) as client:
            for at in range(0, len(data), step):
                client.send(data[at : at + step])
                await asyncio.sleep(0)
            answers = await client.ended()
            assert answers.count(b"HTTP/1.1 431 ") == 1 or answers.startswith(b"HTTP/1.1 200 ")
            assert b"HTTP/1.1 200 " not in answers.partition(b"HTTP/1.1 431 ")[2]
            assert world.stats.refused == 1 or answers.startswith(b"HTTP/1.1 200 ")
            assert world.calls == data.count(b"/slow/")

    run(scenario())


def test_an_endless_head_on_the_long_way_stops_being_read() -> None:
    async def scenario() -> None:
        async with serving(World(), head_max_bytes=16_384) as port, connected(port) as client:
            client.send(b"PATCH / HTTP/1.1\r\nx: ")
            sent = 0
            while not client.reader.at_eof() and sent < 64_000_000:
                client.send(b"y" * 65_536)
                sent += 65_536
                await asyncio.sleep(0)
                if b"431" in client.reader._buffer:  # type: ignore[attr-defined]  # noqa: SLF001  # what has arrived, without waiting for more
                    break
            assert sent < 4_000_000

    run(scenario())


@pytest.mark.parametrize("path", ["/echo/a", "/slow/echo/a"])
def test_a_body_that_is_too_large_is_refused_in_the_form_of_its_site(path: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, body_max_bytes=200_000) as port:
            async with connected(port) as client:
                for size in (1, 65_536, 65_537, 200_000):
                    client.ask("PUT " + path, body=b"x" * size)
                    assert len((await client.response()).body) > size
                client.ask("PUT " + path, body=b"x" * 200_001)
                response = await client.response()
                assert (response.status, response.headers["connection"]) == (413, "close")
                assert response.body == b"the body must have at most 200000 bytes"
                assert await client.ended() == b""
            async with connected(port) as client:
                client.ask("PUT " + path, "transfer-encoding: chunked")
                for _ in range(30):
                    client.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
                assert (await client.response()).status == 413
            async with connected(port) as client:
                client.ask("PUT " + path, "expect: 100-continue", "content-length: 999999999")
                assert (await client.response()).status == 413
            assert world.stats.refused == 3

    run(scenario())


@pytest.mark.parametrize(
    "data", [b"G", b"GET /read/a HTTP/1.1\r\nhost: x\r\n", b"PATCH /x HTTP/1.1\r\n", request("GET /slow/read/a") + b"GET /rea"]
)
def test_a_head_that_does_not_come_in_time_is_answered_with_408(data: bytes) -> None:
    async def scenario() -> None:
        async with serving(World(), head_time_max_ms=50) as port, connected(port) as client:
            client.send(data)
            assert b"HTTP/1.1 408 " in await client.ended()

    run(scenario())


def test_a_head_that_trickles_gains_no_time() -> None:
    async def scenario() -> None:
        async with serving(World(), head_time_max_ms=100) as port:
            for line in (b"GET /", b"PATCH /"):
                async with connected(port) as client:
                    client.send(line)
                    with Stopwatch() as watch:
                        while not client.reader.at_eof() and not client.reader._buffer:  # type: ignore[attr-defined]  # noqa: SLF001  # has anything arrived
                            client.send(b"x")
                            await asyncio.sleep(0.005)
                    assert watch.seconds < 5
                    assert (await client.response()).status == 408

    run(scenario())


@pytest.mark.parametrize("path", ["/echo/a", "/slow/echo/a"])
def test_a_body_that_does_not_come_in_time_is_answered_with_408(path: str) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, body_time_max_ms=50) as port:
            async with connected(port) as client:
                client.send(request("PUT " + path, "content-length: 10") + b"half")
                assert (await client.response()).status == 408
                assert await client.ended() == b""
            assert world.calls == 0
            await until(lambda: world.stats.connections_now == 0)

    run(scenario())


def test_time_for_a_head_begins_anew_with_each_request_and_waits_are_not_counted() -> None:
    async def scenario() -> None:
        ours = Ours(World(), head_time_max_ms=200)
        wire = ours.connect()
        for path in ("/read/a", "/slow/read/a") * 4:
            for piece in (b"GET ", path.encode() + b" HTTP/1.1\r\nhost", b": x\r\n\r\n"):
                wire.feed(piece)
                await asyncio.sleep(0.09)
        assert [response.status for response in responses(wire.written, [])] == [200] * 8
        assert not wire.closing
        await ours.close()

    wires.run(scenario())


def test_an_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    async def scenario() -> None:
        ours = Ours(World(), idle_time_max_ms=100)
        idle, busy, blank = ours.connect(), ours.connect(), ours.connect()
        idle.feed(request("GET /slow/read/a"))
        blank.feed(b"\r\n")
        for _ in range(60):
            busy.feed(request("GET /read/a"))
            await asyncio.sleep(0.09)
        assert (idle.closing, blank.closing, busy.closing) == (True, True, False)
        assert ([answer.status for answer in responses(idle.written, [])], blank.written) == ([200], b"")
        assert [answer.status for answer in responses(busy.written, [])] == [200] * 60
        await ours.close()

    wires.run(scenario())


def test_after_a_slow_request_hot_ones_keep_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvicorn's own timer, armed by the slow request, would close it: after 5 s, here at once."""
    monkeypatch.setattr(behind, "Config", partial(Config, timeout_keep_alive=0))

    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            assert (await client.get("/slow/read/a")).status == 200
            for _ in range(10):
                await asyncio.sleep(0.01)
                assert (await client.get("/read/a")).status == 200

    run(scenario())


def test_connections_above_the_limit_are_refused() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, connections_max_count=2) as port, connected(port) as one, connected(port) as two:
            assert (await one.get("/read/a")).status == (await two.get("/read/a")).status == 200
            async with connected(port) as three:
                assert (await three.ended()).startswith(b"HTTP/1.1 503 ")
            assert (await one.get("/read/a")).status == 200
            assert (world.stats.connections_now, world.stats.connections_refused) == (2, 1)
            two.close()
            await until(lambda: world.stats.connections_now == 1)
            async with connected(port) as three:
                assert (await three.get("/read/a")).status == 200

    run(scenario())


def test_blocked_queries_above_the_limit_are_refused_with_a_hint() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, parked_max_count=1) as port, connected(port) as one, connected(port) as two:
            one.ask("GET /read/a?index=1")
            await until(lambda: world.stats.parked_now == 1)
            for path in ("/read/a", "/slow/read/a"):
                response = await two.get(path + "?index=1")
                assert (response.status, response.headers["retry-after"]) == (429, "1")
            world.put("a", "text")
            assert (await one.response()).body == b"text"

    run(scenario())


@pytest.mark.parametrize("path", ["/later/", "/slow/later/"])
def test_an_outcome_that_takes_too_long_is_unknown(path: str) -> None:
    async def scenario() -> None:
        async with serving(World(), later_time_max_ms=50) as port, connected(port) as client:
            client.ask(f"PUT {path}a", body=b"x")
            response = await client.response()
            assert response.status == 503
            assert b"outcome unknown" in response.body
            assert "retry-after" not in response.headers

    run(scenario())


@asynccontextmanager
async def greedy(port: int) -> AsyncIterator[socket.socket]:
    """A client with small buffers, that reads nothing by itself."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        yield sock


async def standstill(count: Callable[[], int]) -> int:
    """The number at which it stands still."""
    before = -1
    while before != (before := count()):  # noqa: ASYNC110  # that nothing happens has no event
        await asyncio.sleep(0.05)
    return before


async def all_answers(sock: socket.socket, count: int) -> None:
    """Read until so many have come."""
    tail = b""
    while count > 0:
        tail = tail[-14:] + await asyncio.get_running_loop().sock_recv(sock, 1 << 20)
        count -= tail.count(b"HTTP/1.1 200 OK")


def test_a_slow_reader_is_no_longer_read_from_others_are_served_and_it_gets_all_later() -> None:
    async def scenario() -> None:
        world = World()
        world.touch("a", "0123456789abcdef" * 10_000)
        async with serving(world) as port, connected(port) as other, greedy(port) as sock:
            data = request("GET /read/a") * 400 + request("GET /slow/big/1600") * 5 + request("GET /big/16000") * 1000
            sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(sock, data))
            assert await standstill(lambda: world.stats.hits) < 100, "nothing more is answered"
            assert (await other.get("/echo/x")).status == 200
            await all_answers(sock, 1405)
            await sending

    run(scenario())


def test_who_has_not_read_a_slow_answer_gets_no_hot_one() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as other, greedy(port) as sock:
            for _ in range(3):
                await other.get("/read/a")
            await asyncio.get_running_loop().sock_sendall(sock, request("GET /slow/big/16000000"))
            await until(lambda: world.stats.slow == 1)
            await asyncio.sleep(0.05)
            hits = world.stats.hits
            await asyncio.get_running_loop().sock_sendall(sock, request("GET /read/a") * 10)
            assert await standstill(lambda: world.stats.hits) == hits
            assert (await other.get("/echo/x")).status == 200
            await all_answers(sock, 11)

    run(scenario())


def test_a_client_that_reads_nothing_is_cut_off() -> None:
    async def scenario() -> None:
        world = World()
        world.touch("a", "0123456789abcdef" * 1_000_000)
        for _ in range(100):
            world.chunks.put_nowait(b"x" * 1_000_000)
        targets = ["/read/a", "/big/16000000", "/slow/big/16000000", "/slow/stream"]
        async with serving(world, stall_time_max_ms=100) as port, AsyncExitStack() as stack:
            for target in targets:
                for field in ("connection: close", "x: y"):
                    sock = await stack.enter_async_context(greedy(port))
                    await asyncio.get_running_loop().sock_sendall(sock, request("GET " + target, field))
            await until(lambda: world.stats.stalled == 8 and world.stats.connections_now == 0)

    run(scenario())


def test_a_slow_download_that_goes_on_is_never_cut_off() -> None:
    async def scenario() -> None:
        world = World()
        world.touch("a", "0123456789abcdef" * 1_000_000)
        async with serving(world, idle_time_max_ms=50, head_time_max_ms=50, body_time_max_ms=50, stall_time_max_ms=60_000) as port:
            for target in ("/read/a", "/slow/read/a"):
                for field in ("connection: close", "x: y"):
                    async with greedy(port) as sock:
                        await asyncio.get_running_loop().sock_sendall(sock, request("GET " + target, field))
                        await asyncio.sleep(0.3)
                        received = 0
                        while received < 16_000_000:
                            piece = await asyncio.get_running_loop().sock_recv(sock, 1 << 20)
                            assert piece, "it was cut off"
                            received += len(piece)

    repeated_if_stopped(lambda: run(scenario()))


def test_pipelined_requests_behind_a_waiting_one_are_bounded() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world, stash_max_bytes=10_000) as port, greedy(port) as sock:
            data = request("PUT /later/a", body=b"x") + request("GET /echo/1") * 200_000
            sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(sock, data))
            await until(lambda: "a" in world.outcomes)
            await asyncio.sleep(0.1)
            assert not sending.done(), "it is no longer read from"
            sending.cancel()

    run(scenario())


def test_a_long_pipeline_lets_others_have_their_turn() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as one, connected(port) as other:
            one.send(request("GET /echo/1") * 4000)
            assert (await other.get("/echo/2")).status == 200
            assert world.stats.quick < 4000
            one.writer.write_eof()
            assert (await one.ended()).count(b"HTTP/1.1 200 OK") == 4000

    run(scenario())

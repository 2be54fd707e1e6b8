"""Both doors over TLS: everything as without it; who has no connection is told why, and named in the log."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from callboard.net.http.message import TEXT, Answer
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from callboard.net.tls import ServerTls, TlsFiles
from tests.certificates import Authority
from tests.net.http.fake import Client, World, connected, request, run, until
from tests.support import Stopwatch, repeated_if_stopped


class Stage(NamedTuple):
    authority: Authority
    world: World
    tls: ServerTls
    port: int


@asynccontextmanager
async def secured(folder: Path, *, client_ca: bool = False, **settings: Any) -> AsyncIterator[Stage]:
    """A server that is reached over TLS only."""
    authority, world = Authority(folder), World()
    tls = ServerTls(TlsFiles(*authority.issue("server"), authority.ca if client_ca else ""))
    world.server = HttpServer((world.site(),), HttpSettings(**settings), lambda: world.revision)
    ((_, port),) = await world.server.start("127.0.0.1", 0, tls=tls)
    try:
        yield Stage(authority, world, tls, port)
    finally:
        await world.server.stop(1.0)
        assert world.stats.connections_now == 0


@asynccontextmanager
async def over_tls(port: int, context: ssl.SSLContext) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=context, limit=2**22))
    try:
        yield client
    finally:
        client.close()


def test_every_kind_of_answer_is_the_same_over_tls(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secured(tmp_path) as (authority, world, tls, port), over_tls(port, authority.client()) as client:
            for _ in range(3):
                for target in ("/read/a", "/slow/read/a"):
                    assert (await client.get(target)).body == b"nothing"
            assert world.stats.hits >= 1
            assert len((await client.get("/big/1000000")).body) == 1_000_000
            assert len((await client.get("/slow/big/1000000")).body) == 1_000_000
            client.ask("PUT /echo/x", body=b"y" * 200_000)
            assert (await client.response()).body.endswith(b"y" * 200_000)
            assert (await client.get("/slow/where")).body == b"127.0.0.1 127.0.0.1"
            client.send(request("GET /read/a") * 20)
            assert [(await client.response()).status for _ in range(20)] == [200] * 20
            client.ask("GET /read/a?index=1")
            await until(lambda: world.stats.parked_now)
            world.put("a", "changed")
            assert (await client.response()).body == b"changed"
            client.ask("GET /slow/stream")
            world.chunks.put_nowait(b"one")
            await client.reader.readuntil(b"one\r\n")
            world.chunks.put_nowait(None)
            assert b"0\r\n\r\n" in await client.reader.readuntil(b"0\r\n\r\n")
            assert tls.stats.handshakes == 1

    run(scenario())


def test_who_leaves_in_the_middle_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with secured(tmp_path) as (authority, world, _, port):
            async with over_tls(port, authority.client()) as client:
                client.ask("PUT /later/a", body=b"x")
                await until(lambda: world.outcomes)
                if client.writer.can_write_eof():
                    client.writer.write_eof()
            world.outcomes["a"].tell(Answer(200, b"written", TEXT))
            await until(lambda: world.stats.connections_now == 0)

    run(scenario())
    assert caplog.records == []


def test_a_client_that_does_not_read_is_not_read_from(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secured(tmp_path) as (authority, world, _, port):
            world.put("a", "x" * 1_000_000)
            line = await asyncio.to_thread(opened, port, authority.client())
            await asyncio.to_thread(line.sendall, request("GET /read/a") * 100)
            async with over_tls(port, authority.client()) as other:
                for _ in range(20):
                    assert (await other.get("/read/b")).status == 200
            answered = world.stats.hits + world.calls
            assert answered < 60, "most of what it asked waits until it reads"
            read = await asyncio.to_thread(drained, line, 100 * 1_000_000)
            assert read >= 100 * 1_000_000, "and then it gets everything"
            line.close()

    run(scenario())


def drained(line: ssl.SSLSocket, count: int) -> int:
    read = 0
    while read < count and (piece := line.recv(1 << 20)):
        read += len(piece)
    return read


def test_stopping_waits_for_what_is_under_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secured(tmp_path) as (authority, world, _, port), over_tls(port, authority.client()) as client:
            silent = socket.create_connection(("127.0.0.1", port))
            client.ask("PUT /later/a", body=b"x")
            await until(lambda: world.outcomes)
            stopping = asyncio.ensure_future(world.http.stop(5.0))
            await asyncio.sleep(0)
            world.outcomes["a"].tell(Answer(200, b"written", TEXT))
            assert (await client.response()).body == b"written"
            assert await client.ended() == b""
            await stopping
            silent.close()
            with pytest.raises(OSError, match=r"."):
                socket.create_connection(("127.0.0.1", port)).close()

    run(scenario())


async def asked(port: int, context: ssl.SSLContext) -> None:
    async with over_tls(port, context) as client:
        client.ask("GET /read/a")
        await client.response()


async def refused(port: int, context: ssl.SSLContext) -> str:
    """How a client without a connection sees it: at the handshake, or at its first request (TLS 1.3)."""
    with pytest.raises((ssl.SSLError, ConnectionError)) as caught:
        await asked(port, context)
    return str(caught.value)


def test_stopping_does_not_wait_for_clients_that_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secured(tmp_path) as (authority, world, _, port):
            context = authority.client()
            resting = [await asyncio.to_thread(opened, port, context) for _ in range(3)]
            await until(lambda: world.stats.connections_now == 3)
            with Stopwatch() as watch:
                await world.http.stop(15.0)
            assert watch.seconds < 10
            for line in resting:
                assert await asyncio.to_thread(line.recv, 1) == b"", "it ended in good order"
                line.close()

    run(scenario())


def opened(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection of a client that does nothing with it: it does not even answer that the server closes."""
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60), server_hostname="localhost")


def blocking(port: int, context: ssl.SSLContext) -> None:
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname="localhost"):
        pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_without_a_certificate_of_ours_sees_why_and_is_named(
    version: ssl.TLSVersion, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with secured(tmp_path, client_ca=True) as (authority, _, tls, port):
            stranger = Authority(tmp_path, "stranger")
            missing = "certificate required" if version is ssl.TLSVersion.TLSv1_3 else "handshake failure"
            late = authority.issue("late", "me", ends=timedelta(days=-1))
            cases = [
                (authority.client(), missing, "shows no certificate"),
                (authority.client(stranger.issue("theirs", "me")), "unknown ca", "unable to get local issuer certificate"),
                (authority.client(late), "expired", "certificate has expired"),
            ]
            for context, seen, logged in cases:
                context.minimum_version = context.maximum_version = version
                caplog.clear()
                assert seen in await refused(port, context)
                await until(lambda: caplog.messages)
                assert f"127.0.0.1 has no TLS connection to 127.0.0.1:{port}" in caplog.messages[0]
                assert logged in caplog.messages[0]
            assert tls.stats.handshakes_failed == len(cases)
            async with over_tls(port, authority.client(authority.issue("ours", "me"))) as client:
                assert (await client.get("/read/a")).status == 200

    run(scenario())


def test_a_client_that_does_not_trust_us_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with secured(tmp_path) as (_, _, _, port):
            with pytest.raises(ssl.SSLCertVerificationError):  # a client of asyncio would keep its alert to itself
                await asyncio.to_thread(blocking, port, Authority(tmp_path, "other").client())
            await until(lambda: caplog.messages)
            assert "does not trust the CA of our certificate" in caplog.messages[0]

    run(scenario())


def test_clear_text_is_answered_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with secured(tmp_path) as (_, _, tls, port):
            async with connected(port) as client:
                answer = await client.get("/read/a")
                assert (answer.status, answer.body) == (400, b"this port speaks TLS: ask it for https://, not http://\n")
                assert await client.ended() == b""
            assert tls.stats.clear_text == 1
            assert "spoke without TLS" in caplog.messages[0]

    run(scenario())


def test_tls_where_there_is_none_is_named_and_does_not_hang(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World()
        world.server = HttpServer((world.site(),), HttpSettings(), lambda: world.revision)
        ((_, port),) = await world.server.start("127.0.0.1", 0)
        assert "wrong version number" in (await refused(port, Authority(tmp_path).client())).replace("_", " ").lower()
        assert "speaks TLS to 127.0.0.1" in caplog.messages[0]
        await world.server.stop(1.0)

    run(scenario())


def test_who_only_connects_is_let_go_in_time_and_bounded(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secured(tmp_path, handshake_time_max_ms=1_000, handshakes_max_count=3) as (authority, _, tls, port):
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
            half, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x16\x03\x01")
            for reader, _ in silent:
                assert await reader.read() == b""
            assert await half.read() == b""
            for _, other in [*silent, (half, writer)]:
                other.close()
            assert tls.stats.handshakes_failed >= 3
            async with over_tls(port, authority.client()) as client:
                assert (await client.get("/read/a")).status == 200

    repeated_if_stopped(lambda: run(scenario()))


@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_those_who_dawdle_do_not_keep_others_out(first: bytes, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secured(tmp_path, handshake_time_max_ms=60_000, handshakes_max_count=3) as (authority, _, tls, port):
            dawdling = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            for _, writer in dawdling:
                writer.write(first)
            await asyncio.sleep(1.2)
            async with over_tls(port, authority.client()) as client:
                assert (await client.get("/read/a")).status == 200
            assert await dawdling[0][0].read() == b"", "the one that had the most time has made room"
            assert tls.stats.handshakes_failed == 1
            for _, writer in dawdling:
                writer.close()

    run(scenario())


def test_scraps_instead_of_a_handshake_harm_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secured(tmp_path) as (authority, _, tls, port):
            for scrap in (b"\x16", b"\x16\x03\x01\xff\xff" + b"x" * 70_000, b"\x16\x03\x01\x00\x05hello", b"\x00", b"\xff" * 100_000):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(scrap)
                writer.write_eof()
                await reader.read()
                writer.close()
            async with over_tls(port, authority.client()) as client:
                assert (await client.get("/read/a")).status == 200
            assert tls.stats.handshakes == 1

    run(scenario())


def test_a_new_certificate_holds_for_new_connections_and_open_ones_stay(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with secured(tmp_path) as (authority, world, tls, port), over_tls(port, authority.client()) as old:
            old.ask("GET /read/a?index=1")
            await until(lambda: world.stats.parked_now)
            before = old.writer.get_extra_info("peercert")["serialNumber"]
            authority.issue("server")
            tls.reload()
            async with over_tls(port, authority.client()) as new:
                assert new.writer.get_extra_info("peercert")["serialNumber"] != before
                assert (await new.get("/read/b")).status == 200
            world.put("a", "changed")
            assert (await old.response()).body == b"changed"
            assert (await old.get("/read/b")).status == 200

    run(scenario())

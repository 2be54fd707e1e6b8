"""Starting, listening, stopping."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from callboard.net.http.message import TEXT, Answer
from callboard.net.http.server import HttpServer, ListenError
from callboard.net.http.settings import HttpSettings
from tests.net.http.fake import World, connected, request, run, serving, until
from tests.servers import free_port
from tests.support import Stopwatch


def server(world: World) -> HttpServer:
    world.server = HttpServer((world.site(),), HttpSettings(), lambda: world.revision)
    return world.server


def test_one_server_listens_at_several_addresses() -> None:
    async def scenario() -> None:
        http = server(World())
        addresses = [address for host in ("127.0.0.1", "::1", "localhost", "") for address in await http.start(host, 0)]
        assert len(addresses) >= 4
        assert len({port for _, port in addresses}) == 4, "all sockets of one address have one port"
        for host, port in addresses:
            async with connected(port, {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)) as client:
                assert (await client.get("/read/a")).status == 200
        await http.stop(1.0)
        for host, port in addresses:
            with pytest.raises(OSError, match=r"."):
                await asyncio.open_connection(host, port)

    run(scenario())


def test_an_address_that_is_taken_is_named() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port:
            with pytest.raises(ListenError, match=f"cannot listen at 127.0.0.1:{port}: .*in use") as caught:
                await world.http.start("127.0.0.1", port)
            assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
            async with connected(port) as client:
                assert (await client.get("/read/a")).status == 200

    run(scenario())


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_here_is_named(host: str) -> None:
    async def scenario() -> None:
        http = server(World())
        with pytest.raises(ListenError, match=host):
            await http.start(host, 0)
        await http.stop(1.0)

    run(scenario())


def test_the_same_port_can_be_used_again_at_once() -> None:
    async def scenario() -> None:
        port = free_port()
        for _ in range(3):
            http = server(World())
            ((_, port),) = await http.start("127.0.0.1", port)
            async with connected(port) as client:
                assert (await client.get("/slow/read/a")).status == 200
                await http.stop(1.0)
                assert await client.ended() == b""

    run(scenario())


def test_stopping_answers_what_is_under_way_and_closes_the_rest() -> None:
    async def scenario() -> None:
        world = World()
        http = server(world)
        ((_, port),) = await http.start("127.0.0.1", 0)
        async with AsyncExitStack() as stack:
            idle, parked, slow, late, stream, slow_late, half = [await stack.enter_async_context(connected(port)) for _ in range(7)]
            assert (await idle.get("/slow/read/a")).status == 200
            parked.ask("GET /read/a?index=1")
            slow.ask("GET /slow/read/a?index=1")
            late.ask("PUT /later/a", body=b"x")
            slow_late.ask("PUT /slow/later/b", body=b"x")
            stream.ask("GET /slow/stream")
            half.send(b"GET /re")
            world.chunks.put_nowait(b"one")
            await stream.reader.readuntil(b"one\r\n")
            await until(lambda: world.stats.parked_now == 2 and len(world.outcomes) == 2)
            stopping = asyncio.ensure_future(http.stop(5.0))
            for client in (parked, slow):
                assert (await client.response()).body == b"nothing"
                assert await client.ended() == b""
            assert await stream.ended() == b"0\r\n\r\n"
            assert await idle.ended() == await half.ended() == b""
            assert not stopping.done(), "writes under way are waited for"
            for name, client in (("a", late), ("b", slow_late)):
                world.outcomes[name].tell(Answer(200, b"written", TEXT))
                assert (await client.response()).body == b"written"
                assert await client.ended() == b""
            await stopping
        assert (world.stats.connections_now, world.stats.parked_now) == (0, 0)

    run(scenario())


def test_stopping_is_bounded() -> None:
    async def scenario() -> None:
        world = World()
        http = server(world)
        ((_, port),) = await http.start("127.0.0.1", 0)
        async with connected(port) as one, connected(port) as two:
            one.ask("PUT /later/a", body=b"x")
            two.send(request("PUT /slow/later/b", body=b"x"))
            await until(lambda: len(world.outcomes) == 2)
            with Stopwatch() as watch:
                await http.stop(0.1)
            assert watch.seconds < 2
            assert world.stats.connections_now == 0

    run(scenario())


def test_the_date_moves_on() -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            for path in ("/read/a", "/slow/read/a"):
                first = (await client.get(path)).headers["date"]
                while (await client.get(path)).headers["date"] == first:  # noqa: ASYNC110  # what is waited for is the wall clock
                    await asyncio.sleep(0.05)

    run(scenario())


def test_it_runs_on_the_standard_loop_too() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            for path in ("/read/a", "/slow/read/a", "/read/a?index=1&wait=20", "/slow/read/a?index=1&wait=20"):
                assert (await client.get(path)).body == b"nothing"
            client.ask("PUT /echo/a", body=b"x" * 2_000_000)
            assert (await client.response()).status == 413

    asyncio.run(scenario())

"""The log as somebody reads it: levels, forms, compression, and readers that are too slow."""

import asyncio
import json
import logging
import zlib
from collections.abc import AsyncGenerator

import pytest

from callboard.frontend.consul.settings import ConsulSettings
from callboard.net.http.message import Answer, Stream
from tests.frontend.consul.harness import Consul, consul
from tests.frontend.consul.operations import Server, operated
from tests.support import run


def chunks(door: Consul, query: str = "", **headers: str) -> AsyncGenerator[bytes, None]:
    reply = door.reply("GET", f"/v1/agent/monitor?{query}", headers=headers)
    assert isinstance(reply, Stream), reply
    assert isinstance(reply.chunks, AsyncGenerator)
    return reply.chunks


async def after_log(server: Server, stream: AsyncGenerator[bytes, None], *messages: str, level: int = logging.INFO) -> bytes:
    """The next part, when these were logged while it was waited for."""
    part = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    assert server.readers
    for message in messages:
        server.log(message, level)
    return await asyncio.wait_for(part, 60)


def test_lines_are_text_with_their_level_from_the_one_that_was_asked_for() -> None:
    async def scenario() -> None:
        async with consul() as door:
            server = operated(door)
            stream = chunks(door, "loglevel=warn")
            server.log("nobody reads yet", logging.ERROR)
            part = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            server.log("too small", logging.INFO)
            server.log("it burns", logging.ERROR)
            assert await part == b"2023-11-14T22:13:20.123Z [ERROR] callboard.test: it burns\n"
            assert await after_log(server, stream, "smoke", level=logging.WARNING) == (
                b"2023-11-14T22:13:20.123Z [WARN]  callboard.test: smoke\n"
            )
            await stream.aclose()
            assert server.readers == {}

    run(scenario())


def test_lines_may_be_json() -> None:
    async def scenario() -> None:
        async with consul() as door:
            server = operated(door)
            stream = chunks(door, "logjson&loglevel=trace")
            part = await after_log(server, stream, 'say "hello"\nand more', level=logging.DEBUG)
            assert json.loads(part) == {
                "@level": "debug", "@message": 'say "hello"\nand more', "@module": "callboard.test",
                "@timestamp": "2023-11-14T22:13:20.123Z",
            }  # fmt: skip
            await stream.aclose()

    run(scenario())


def test_a_compressed_stream_can_be_read_as_it_comes() -> None:
    async def scenario() -> None:
        async with consul() as door:
            server = operated(door)
            stream = chunks(door, **{"accept-encoding": "gzip"})
            unpacker = zlib.decompressobj(31)
            assert unpacker.decompress(await anext(stream)) == b""
            for message in ("one", "two"):
                assert unpacker.decompress(await after_log(server, stream, message)).endswith(f"callboard.test: {message}\n".encode())
            await stream.aclose()
            assert server.readers == {}

    run(scenario())


def test_a_slow_reader_loses_lines_and_is_told_how_many() -> None:
    async def scenario() -> None:
        async with consul(ConsulSettings(monitor_lines_max_count=3)) as door:
            server = operated(door)
            stream = chunks(door)
            lines = (await after_log(server, stream, *"abcdefg")).decode().splitlines()
            assert [line[-1] for line in lines[:3]] == ["a", "b", "c"]
            assert "4 lines were lost" in lines[3]
            assert len(lines) == 4
            assert (await after_log(server, stream, "later")).endswith(b"later\n")
            await stream.aclose()

    run(scenario())


@pytest.mark.parametrize("level", ["loud", "0", "warning"])
def test_an_unknown_level_is_refused(level: str) -> None:
    async def scenario() -> None:
        async with consul() as door:
            operated(door)
            got = await door.ask("GET", f"/v1/agent/monitor?loglevel={level}")
            assert (got.status, got.text) == (400, f"Unknown log level: {level}")

    run(scenario())


def test_there_are_only_so_many_readers() -> None:
    async def scenario() -> None:
        async with consul(ConsulSettings(monitors_max_count=1)) as door:
            server = operated(door)
            stream = chunks(door)
            await after_log(server, stream, "x")
            second = door.reply("GET", "/v1/agent/monitor")
            assert isinstance(second, Answer)
            assert second.status == 429
            await stream.aclose()
            await chunks(door).aclose()

    run(scenario())

"""A relay between a foreign client and the server: it changes nothing of what passes, and notes each request with its answer's status.

It lives as long as the `with` around it. What it noted is counted by method, path (decoded, without its query) and status; a request
whose connection was closed before it was answered, as watchers do when they stop, is not counted.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote

import httptools

from callboard.net import threads

CHUNK_BYTES = 65_536
STARTING_TIMEOUT_S = 60
Parser: TypeAlias = "httptools.HttpRequestParser | httptools.HttpResponseParser"


class Noted(NamedTuple):
    """What was asked, and how it was answered."""

    method: str
    path: str
    status: int


class _Requests:
    """What llhttp finds in the bytes of a client."""

    def __init__(self, waiting: deque[tuple[str, str]]) -> None:
        self.waiting = waiting
        self.url = b""
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self.url = b""

    def on_url(self, part: bytes) -> None:
        self.url += part

    def on_headers_complete(self) -> None:
        self.waiting.append((self.parser.get_method().decode(), unquote(self.url.partition(b"?")[0].decode())))


class _Answers:
    """The same in the bytes of the server. An answer belongs to the oldest request that waits for one."""

    def __init__(self, waiting: deque[tuple[str, str]], noted: Counter[Noted]) -> None:
        self.waiting, self.noted = waiting, noted
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= 200:
            self.noted[Noted(*self.waiting.popleft(), status)] += 1


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, parser: Parser) -> None:
    """Pass bytes on until one side has no more."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(CHUNK_BYTES):
            parser.feed_data(data)
            writer.write(data)
            await writer.drain()
    writer.close()


class Recorder:
    """An address that leads to the server, and what went there."""

    def __init__(self, host: str, port: int) -> None:
        self.server = (host, port)
        self.noted: Counter[Noted] = Counter()
        self.failures: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def passed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        waiting: deque[tuple[str, str]] = deque()
        writers = [writer]
        try:
            from_server, to_server = await asyncio.open_connection(*self.server)
            writers.append(to_server)
            pumps = (
                _pumped(reader, to_server, _Requests(waiting).parser),
                _pumped(from_server, writer, _Answers(waiting, self.noted).parser),
            )
            await asyncio.gather(*pumps)
        except OSError:
            pass  # the server is not there any more, which the client is told by the end of its connection
        except (httptools.HttpParserError, IndexError) as error:
            self.failures.append(f"{type(error).__name__}: {error}, {list(waiting)} without an answer")
        finally:
            for one in writers:
                one.close()
            for one in writers:
                with contextlib.suppress(OSError):
                    await one.wait_closed()


@contextlib.contextmanager
def recorded(host: str, port: int) -> Iterator[Recorder]:
    """A relay to this address."""
    recorder = Recorder(host, port)
    loop = asyncio.new_event_loop()

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(recorder.passed, "127.0.0.1", 0)

    async def ended() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threads.start(loop.run_forever, name="recorder")
    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(STARTING_TIMEOUT_S)
    recorder.port = server.sockets[0].getsockname()[1]
    try:
        yield recorder
    finally:
        asyncio.run_coroutine_threadsafe(ended(), loop).result(STARTING_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert not recorder.failures, recorder.failures

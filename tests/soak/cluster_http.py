"""How the clients of the fault suite call: HTTP/1.1 over kept connections; when a call fails they ask another member, as all clients do.

An answer that says 503 is a promise that nothing was done; one that does not come says nothing. The difference goes into the history.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from tests.soak.cluster_history import Verdict

HOST = "127.0.0.1"
IDLE_MAX_COUNT = 32
"""Connections kept per member."""
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.05, 1.0
_REFUSED = frozenset({429, 503, 507})
"""Surely nothing was done; it may be tried again."""
_OPEN = frozenset({500, 502, 504})


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def verdict(self) -> Verdict:
        """What the client may conclude."""
        if self.status in _REFUSED:
            return "refused"
        if self.status in _OPEN:
            return "unknown"
        return "done" if self.status < 400 else "failed"


class CallError(Exception):
    """No answer. `sent`: the request may have arrived."""

    def __init__(self, what: str, *, sent: bool) -> None:
        super().__init__(what)
        self.sent = sent

    @property
    def verdict(self) -> Verdict:
        """What the client may conclude."""
        return "unknown" if self.sent else "refused"


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Http:
    """Connections to every member, shared by all clients of a load."""

    def __init__(self) -> None:
        self._idle: dict[int, list[_Connection]] = defaultdict(list)

    async def call(self, port: int, method: str, target: str, body: bytes = b"", *, timeout_s: float) -> Answer:
        """One request. Raises `CallError`."""
        sent = False
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._connection(port)
                sent = True
                connection.writer.write(_request(method, target, body))
                answer = await _answer(connection.reader)
        except (OSError, EOFError, ValueError, asyncio.IncompleteReadError) as error:
            if connection is not None:
                connection.writer.transport.abort()
            raise CallError(f"{type(error).__name__}: {error}", sent=sent) from None
        except asyncio.CancelledError:
            if connection is not None:
                connection.writer.transport.abort()
            raise
        if len(self._idle[port]) < IDLE_MAX_COUNT:
            self._idle[port].append(connection)
        else:
            connection.writer.close()
        return answer

    async def _connection(self, port: int) -> _Connection:
        idle = self._idle[port]
        while idle:
            kept = idle.pop()
            if not kept.reader.at_eof() and not kept.writer.is_closing():
                return kept
            kept.writer.close()
        return _Connection(*await asyncio.open_connection(HOST, port))

    @contextlib.asynccontextmanager
    async def stream(self, port: int, target: str, headers: Sequence[str], *, timeout_s: float) -> AsyncIterator[asyncio.StreamReader]:
        """The body of an answer that does not end, after its head; it is told line by line. Raises `CallError`."""
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(HOST, port, limit=1 << 22)
                head = "".join(f"{line}\r\n" for line in headers)
                writer.write(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/event-stream\r\n{head}\r\n".encode())
                status, told = await _head(reader)
            if status != 200:
                raise CallError(f"answered {status}", sent=True)
            yield Chunked(reader) if told.get("transfer-encoding") == "chunked" else reader
        except (OSError, EOFError, ValueError) as error:
            raise CallError(f"{type(error).__name__}: {error}", sent=True) from None
        finally:
            if writer is not None:
                writer.transport.abort()

    def close(self) -> None:
        """Let go of all."""
        for idle in self._idle.values():
            for connection in idle:
                connection.writer.close()
        self._idle.clear()


class Chunked(asyncio.StreamReader):
    """Lines of a body in chunks."""

    def __init__(self, source: asyncio.StreamReader) -> None:
        super().__init__()
        self._source = source
        self._rest = b""

    async def readline(self) -> bytes:
        while b"\n" not in self._rest:
            size = int((await self._source.readline()).strip() or b"0", 16)
            if not size:
                raise EOFError("the stream ended")
            self._rest += await self._source.readexactly(size)
            await self._source.readexactly(2)
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"


def _request(method: str, target: str, body: bytes) -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
    return f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: soak\r\nAccept: */*\r\n{length}\r\n".encode() + body


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in head[1:] if line)
    return int(head[0].split(" ", 2)[1]), {name.lower(): value.strip() for name, _, value in fields}


async def _answer(reader: asyncio.StreamReader) -> Answer:
    status, headers = await _head(reader)
    return Answer(status, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


class Choice:
    """Which member a client calls: the one that answered last, else another; with a growing, random wait when none does."""

    def __init__(self, ports: Sequence[int], chance: random.Random) -> None:
        self._ports = ports
        self._chance = chance
        self._at = chance.randrange(len(ports))
        self._failures = 0

    @property
    def port(self) -> int:
        """Whom to call now."""
        return self._ports[self._at]

    @property
    def place(self) -> int:
        """The number of that member, from 0."""
        return self._at

    def answered(self) -> None:
        """It answered."""
        self._failures = 0

    async def another(self) -> None:
        """It did not, or refused: turn to another, after a while when all have failed."""
        self._failures += 1
        self._at = (self._at + 1) % len(self._ports)
        if self._failures % len(self._ports) == 0:
            rounds = self._failures // len(self._ports)
            longest = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**rounds)
            await asyncio.sleep(self._chance.uniform(longest / 2, longest))

"""`agent/monitor`: the log of this server as it is written, for as long as somebody reads it.

A reader lives as long as its stream. What it has not been sent yet waits in a queue of its own, bounded by count; what finds no room there
is lost, and the reader is told how much that was.
"""

import asyncio
import logging
import zlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Final

import msgspec

from callboard.frontend.base import LogEntry, Operations
from callboard.frontend.consul.agent_admin import operations_of
from callboard.frontend.consul.blocking import check_agent
from callboard.frontend.consul.door import Door
from callboard.frontend.consul.enterprise import check_headers
from callboard.frontend.consul.errors import POLICY, ConsulError, bad_request
from callboard.frontend.consul.translate_servers import utc
from callboard.net.http.coding import accepts_gzip
from callboard.net.http.message import TEXT, Fields, Reply, Request, Route, Stream

_LEVELS: Final = {
    "TRACE": logging.DEBUG, "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERR": logging.ERROR,
    "ERROR": logging.ERROR,
}  # fmt: skip
_WORDS: Final = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn", logging.ERROR: "error", logging.CRITICAL: "error"}
_BATCH_COUNT: Final = 64
_GZIP: Final = 31
Form = Callable[[LogEntry], bytes]


class Reader:
    """One stream's queue."""

    def __init__(self, lines_max_count: int) -> None:
        self._queue: deque[LogEntry] = deque()
        self._max_count = lines_max_count
        self._news = asyncio.Event()
        self._lost = 0

    def take(self, entry: LogEntry) -> None:
        """Queue it, if there is room."""
        if len(self._queue) < self._max_count:
            self._queue.append(entry)
        else:
            self._lost += 1
        self._news.set()

    async def entries(self, now_ms: Callable[[], int]) -> list[LogEntry]:
        """What there is, when there is something; how many were lost comes where they would have been."""
        await self._news.wait()
        out = [self._queue.popleft() for _ in range(min(_BATCH_COUNT, len(self._queue)))]
        if not self._queue:
            if self._lost:
                lost, self._lost = self._lost, 0
                message = f"{lost} lines were lost: this reader is too slow, and {self._max_count} lines wait for it at most"
                out.append(LogEntry(now_ms(), logging.WARNING, "callboard.monitor", message))
            self._news.clear()
        return out


class AgentMonitor:
    """Its handler, and everybody who reads."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._now_count = 0

    def routes(self) -> tuple[Route, ...]:
        """Its line of the table."""
        return (Route("GET", "/v1/agent/monitor", self.monitor, quick=False),)

    def monitor(self, request: Request) -> Reply:
        """The log from now on, from a level on, as text or as JSON lines."""
        query = request.query
        check_agent(query)
        check_headers(request.headers)
        named = query.get("loglevel") or "INFO"
        level = _LEVELS.get(named.upper())
        if level is None:
            raise bad_request(f"Unknown log level: {named}")
        operations = operations_of(self._door)
        limit = self._door.settings.monitors_max_count
        if self._now_count >= limit:
            raise ConsulError(429, f"{limit} readers of the log are there already (monitors_max_count); try again later")
        gzip = accepts_gzip(request.headers.get("accept-encoding", ""))
        headers: Fields = (*POLICY, (b"cache-control", b"no-store"), *(((b"content-encoding", b"gzip"),) if gzip else ()))
        lines = self._lines(operations, level, _as_json if "logjson" in query else _as_text)
        return Stream(_packed(lines) if gzip else lines, TEXT, headers)

    async def _lines(self, operations: Operations, level: int, form: Form) -> AsyncGenerator[bytes, None]:
        reader = Reader(self._door.settings.monitor_lines_max_count)
        self._now_count += 1
        end = operations.read_log(level, reader)
        try:
            while True:
                entries = await reader.entries(self._door.registry.clock.wall)
                yield b"".join(map(form, entries))
        finally:
            end()
            self._now_count -= 1


async def _packed(lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Compressed, so that each part can be read when it has come; the head of it comes at once."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    yield packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH)
    try:
        async for part in lines:
            yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    finally:
        await lines.aclose()


def _time(entry: LogEntry) -> str:
    return f"{utc(entry.time_ms):%Y-%m-%dT%H:%M:%S}.{entry.time_ms % 1_000:03d}Z"


def _as_text(entry: LogEntry) -> bytes:
    word = f"[{_WORDS.get(entry.level, 'info').upper()}]"
    return f"{_time(entry)} {word:<7} {entry.logger}: {entry.message}\n".encode("utf-8", "replace")


def _as_json(entry: LogEntry) -> bytes:
    told = {
        "@level": _WORDS.get(entry.level, "info"), "@message": entry.message, "@module": entry.logger, "@timestamp": _time(entry),
    }  # fmt: skip
    return msgspec.json.encode(told) + b"\n"

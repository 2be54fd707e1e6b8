"""A small site with real handlers, a server with it on a free port, and a client that shows exactly what arrives."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import uvloop

from callboard.model.errors import InvalidError
from callboard.model.rows import Revision
from callboard.model.time import MILLISECOND, Duration
from callboard.model.topics import Topic
from callboard.net.http.message import (
    TEXT,
    After,
    Answer,
    Brief,
    Content,
    Fields,
    Handler,
    Later,
    Read,
    Reply,
    Request,
    Route,
    Site,
    Stream,
    after,
)
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings, HttpStats

T = TypeVar("T")
DEADLINE_S = 60.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """On the loop that the server runs on in earnest. No test waits longer than the deadline."""

    async def bounded() -> T:
        async with asyncio.timeout(DEADLINE_S):
            return await work

    return uvloop.run(bounded())


class Outcome:
    """Something that will be known."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.callback: Callable[[Answer], None] | None = None

    def then(self, callback: Callable[[Answer], None]) -> None:
        self.callback = callback
        if self.answer is not None:
            callback(self.answer)

    def tell(self, answer: Answer) -> None:
        self.answer = answer
        if self.callback is not None:
            self.callback(answer)


class Known:
    """Something that a test makes known, once."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self.callbacks: list[Callable[[Any], None]] = []

    def then(self, callback: Callable[[Any], None]) -> None:
        self.callbacks.append(callback)
        for value in self.values:
            callback(value)

    def tell(self, value: object) -> None:
        self.values.append(value)
        for callback in self.callbacks:
            callback(value)


class FakeErrors:
    def unknown_path(self, request: Request) -> Answer:
        return Answer(404, b"no " + request.path.encode(), TEXT)

    def wrong_method(self, request: Request, allowed: tuple[str, ...]) -> Answer:
        return Answer(405, b"not " + request.method.encode(), TEXT, ((b"allow", ",".join(allowed).encode()),))

    def failure(self, error: Exception) -> Answer:
        return Answer(400, str(error).encode(), TEXT) if isinstance(error, InvalidError) else Answer(500, b"ours", TEXT)

    def refused(self, status: int, detail: str) -> Answer:
        return Answer(status, detail.encode(), TEXT)


class World:
    """What the handlers answer from: named texts with a revision each, and outcomes that the test makes known."""

    def __init__(self) -> None:
        self.revision = 5
        self.texts: dict[str, tuple[str, int]] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.known: dict[str, Known] = {}
        self.standing: Fields = ((b"x-standing", b"well"),)
        self.calls = 0
        self.renders = 0
        self.closed_streams = 0
        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.broken = False
        self.lasts = True
        self.server: HttpServer | None = None

    @property
    def http(self) -> HttpServer:
        assert self.server is not None
        return self.server

    @property
    def stats(self) -> HttpStats:
        return self.http.stats

    def put(self, name: str, text: str) -> None:
        """A durable change."""
        self.touch(name, text)
        self.http.changed([topic(name)])

    def tick(self) -> None:
        """The server notices that a second has passed."""
        self.http._hub.tick(0.0)  # noqa: SLF001  # else a test would wait for it, a second each

    def touch(self, name: str, text: str) -> None:
        self.revision += 1
        self.texts[name] = text, self.revision

    def render(self, name: str) -> Content:
        self.renders += 1
        if self.broken:
            raise RuntimeError("the secret reason")
        text, revision = self.texts.get(name, ("nothing", 1))
        return Content(Answer(200, text.encode(), TEXT), Revision(revision))

    # -- handlers

    def read(self, request: Request) -> Read:
        self.calls += 1
        name = request.rest
        index = request.query.get("index")
        wait = int(request.query.get("wait") or 60_000)
        key = f"/read/{name}"
        if "who" in request.query:
            key += "?who=" + request.headers.get("x-who", "")
            return Read(key, (topic(name),), lambda: Content(Answer(200, key.encode(), TEXT), Revision(1)), b"x-index")
        return Read(key, (topic(name),), lambda: self.render(name), b"x-index", int(index) if index else None, Duration(wait * MILLISECOND))

    def echo(self, request: Request) -> Answer:
        self.calls += 1
        head = f"{request.method} {request.path} {request.rest} {request.query.pairs} who={request.headers.get('x-who')}\n"
        return Answer(200, head.encode() + request.body, TEXT)

    def later(self, request: Request) -> Later:
        return Later(self.outcomes.setdefault(request.rest, Outcome()))

    def after(self, request: Request) -> Reply:
        """First what the test says: a read, an answer, another wait, or an error; then that."""

        def then(value: object) -> Reply:
            match value:
                case "read":
                    return self.read(request)
                case "boom":
                    raise RuntimeError("the secret reason")
                case "again":
                    return After(self.known.setdefault("again", Known()), then)
                case _:
                    return Answer(200, f"{value}".encode(), TEXT)

        return after(self.known.setdefault(request.rest, Known()), then)

    def standing_read(self, request: Request) -> Read:
        """A read that tells how the server stands."""
        self.calls += 1
        read = self.read(request)
        return Read("standing " + read.key, read.topics, read.render, b"x-index", read.after, read.wait, standing=lambda: self.standing)

    def asked_read(self, request: Request) -> Read:
        """A read whose line alone does not lead to it."""
        read = self.read(request)
        return Read(read.key, read.topics, read.render, by_line=False)

    def lasting_read(self, request: Request) -> Read:
        """A read that its line means as long as the test says so, be it one that waits or not."""
        read = self.read(request)
        by_line = "anew" not in request.query
        return Read(
            read.key, read.topics, read.render, read.index_field, read.after, read.wait, lasting=lambda: self.lasts, by_line=by_line
        )

    def done(self, request: Request) -> Later:
        outcome = Outcome()
        outcome.tell(Answer(200, b"done " + request.body, TEXT))
        return Later(outcome)

    def big(self, request: Request) -> Answer:
        return Answer(200, b"0123456789abcdef" * (int(request.rest) // 16), TEXT)

    def beat(self, request: Request) -> Answer:
        """What its short way answers too, unless there is more to it."""
        return self.heard(self.beating(request), request.rest, request.body) or Answer(200, b"more to it", TEXT)

    def beating(self, request: Request) -> str | None:
        """Who is heard by the short way; nobody with parameters that say more."""
        if "boom" in request.query:
            raise InvalidError("boom", "must not be so")
        return None if "more" in request.query else f"{request.headers.get('x-who')} {request.query.pairs}"

    def heard(self, who: str | None, name: str, body: bytes) -> Answer | None:
        """Nothing of names that begin with more."""
        return None if who is None or name.startswith("more") else Answer(200, f"beat {who} {name} ".encode() + body, TEXT)

    def where(self, request: Request) -> Answer:
        return Answer(200, f"{request.peer} {request.local}".encode(), TEXT)

    def boom(self, request: Request) -> Answer:
        raise RuntimeError("the secret reason")

    def invalid(self, request: Request) -> Answer:
        raise InvalidError("name", "must not be so")

    def split(self, request: Request) -> Answer:
        return Answer(200, b"", TEXT, ((b"x-evil", b"a\r\nset-cookie: b"),))

    def stream(self, request: Request) -> Stream:
        return Stream(self._chunks(), b"text/event-stream")

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            while (chunk := await self.chunks.get()) is not None:
                yield chunk
        finally:
            self.closed_streams += 1

    def site(self) -> Site:
        quick: list[tuple[str, str, Handler]] = [
            ("GET", "/read/", self.read), ("GET", "/echo/", self.echo), ("PUT", "/echo/", self.echo), ("POST", "/echo/", self.echo),
            ("DELETE", "/echo/", self.echo), ("PUT", "/later/", self.later), ("PUT", "/done", self.done), ("GET", "/big/", self.big),
            ("GET", "/where", self.where), ("GET", "/boom", self.boom), ("GET", "/invalid", self.invalid), ("GET", "/split", self.split),
            ("GET", "/misplaced", self.stream), ("GET", "/after/", self.after), ("GET", "/standing/", self.standing_read),
            ("GET", "/asked/", self.asked_read), ("GET", "/lasting/", self.lasting_read),
        ]  # fmt: skip
        slow: list[tuple[str, str, Handler]] = [
            ("GET", "/slow/read/", self.read), ("GET", "/slow/echo/", self.echo), ("PUT", "/slow/echo/", self.echo),
            ("PUT", "/slow/later/", self.later), ("GET", "/slow/where", self.where), ("GET", "/slow/big/", self.big),
            ("GET", "/slow/boom", self.boom), ("GET", "/slow/split", self.split), ("GET", "/slow/stream", self.stream),
            ("HEAD", "/echo/", self.echo), ("GET", "/slow/after/", self.after), ("GET", "/slow/standing/", self.standing_read),
        ]  # fmt: skip
        routes = [Route(method, path, handler) for method, path, handler in quick]
        routes += [Route(method, path, handler, quick=False) for method, path, handler in slow]
        routes += [
            Route("PUT", "/beat/", self.beat, brief=Brief(self.beating, self.heard)),
            Route("PUT", "/slow/beat/", self.beat, quick=False),
        ]
        routes += [Route("POST", "/larger", self.echo, body_max_bytes=3_000), Route("POST", "/smaller", self.echo, body_max_bytes=50)]
        return Site("/", tuple(routes), FakeErrors())


def topic(name: str) -> Topic:
    return Topic("x/" + name)


@asynccontextmanager
async def serving(world: World, host: str = "127.0.0.1", **settings: Any) -> AsyncIterator[int]:
    """A server with the world's site; answers its port."""
    server = world.server = HttpServer((world.site(),), HttpSettings(**settings), lambda: world.revision)
    ((_, port),) = await server.start(host, 0)
    try:
        yield port
    finally:
        await server.stop(1.0)
        assert server.stats.connections_now == 0
        assert server.stats.parked_now == 0


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A connection on which bytes are sent and responses read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def ask(self, line: str, *fields: str, body: bytes = b"") -> None:
        """Send a request; `line` is method and target."""
        self.send(request(line, *fields, body=body))

    async def response(self, *, head: bool = False) -> Response:
        """The next response."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        status_line, *lines = raw[:-4].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name not in headers, f"{name} twice"
            headers[name] = value
        status = int(status_line.split(" ")[1])
        if head or status in {100, 204, 304}:
            return Response(status, headers, b"")
        if "chunked" in headers.get("transfer-encoding", ""):
            return Response(status, headers, b"".join([chunk async for chunk in self.chunks()]))
        return Response(status, headers, await self.reader.readexactly(int(headers["content-length"])))

    async def chunks(self) -> AsyncIterator[bytes]:
        """Chunks of a body, to its end."""
        while length := int((await self.reader.readline()).strip(), 16):
            yield (await self.reader.readexactly(length + 2))[:-2]
        await self.reader.readline()

    async def get(self, target: str, *fields: str) -> Response:
        """Ask and read."""
        self.ask("GET " + target, *fields)
        return await self.response()

    async def ended(self) -> bytes:
        """What comes until the server closes."""
        return await self.reader.read()

    def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def connected(port: int, host: str = "127.0.0.1") -> AsyncIterator[Client]:
    """A client connection."""
    client = Client(*await asyncio.open_connection(host, port, limit=2**22))
    try:
        yield client
    finally:
        client.close()


def request(line: str, *fields: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [line + " HTTP/1.1", "host: x", *fields]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until it is so; the deadline of `run` bounds it."""
    while not condition():  # noqa: ASYNC110  # what is waited for has no event: counters of a server
        await asyncio.sleep(0.001)

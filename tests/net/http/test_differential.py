"""Random requests in random pieces: the door with everything behind it answers like plain uvicorn with the same application."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from callboard.net.http.app import LongWay
from callboard.net.http.behind import Uvicorn
from callboard.net.http.hub import Hub
from callboard.net.http.routing import Router
from callboard.net.http.settings import HttpSettings
from tests.net.http.fake import Client, Response, World, connected, run, serving

STREAMS = 60
TARGETS = [
    "/read/a", "/read/a", "/read/long", "/read/%61", "/read/a?x=1", "/read/a?index=1&wait=1", "/read/a?index=9999&wait=1", "/read/a?who",
    "/lasting/a?index=1&wait=1", "/lasting/a?index=1&wait=1", "/lasting/a", "/lasting/long?index=1&wait=1",
    "/echo/x", "/echo/%2F?y=%20&y", "/echo/?" + "z" * 300, "/done", "/big/3200", "/boom", "/invalid", "/split", "/nowhere", "/read",
    "/slow/echo/x", "/slow/read/long", "/slow/big/320", "/read/%ff", "/echo/a%0Ab", "http://x/echo/y", "/echo/#fragment", "/echo/x;y=z",
    "//", "/", "/beat/x", "/beat/x", "/beat/%61%2Fb?y=1", "/beat/more", "/beat/x?more", "/beat/x?boom", "/beat/x?a=b/c", "/beat/a/b",
    "/beat/",
    "/beat/x#y", "/beat/%ff", "/beat/x?", "/beat/x?y=%zz",
]  # fmt: skip
FIELDS = [
    "accept-encoding: gzip", "Accept-Encoding: gzip;q=0, br", "X-Who: me", "x-who:  you \t", "Connection: keep-alive", "accept: */*",
    "traceparent: 00-1234-01", "X-Request-Id: 7", "user-agent: test/1.0", "cookie: a=b", "x-long: " + "v" * 1200,
    "Upgrade-Insecure-Requests: 1", "empty:",
]  # fmt: skip
GARBAGE = [
    b"\x00", b"GARBAGE\r\n\r\n", b"GET / HTTP/3.7\r\n\r\n", b"GET /read/a HTTP/1.1\r\nx y: z\r\nhost: x\r\n\r\n",
    b"PUT /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n", b"GET /read/\xff\x80 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"PUT /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    b"PUT /echo/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n",
]  # fmt: skip


@asynccontextmanager
async def plain() -> AsyncIterator[int]:
    """uvicorn without a door."""
    world = prepared()
    loop = asyncio.get_running_loop()
    hub = Hub(Router((world.site(),)), HttpSettings(), lambda: world.revision, loop, 0.0)
    uvicorn = Uvicorn()
    uvicorn.load(LongWay(hub).application())
    uvicorn.state.default_headers = hub.dates.fields()
    server = await loop.create_server(lambda: HttpToolsProtocol(uvicorn.config, uvicorn.state, {}, loop), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        hub.timers.close()


def prepared() -> World:
    world = World()
    world.touch("long", "0123456789" * 500)
    return world


class Stream:
    """A random pipeline."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.methods: list[str] = []
        count = self.chance.randint(1, 8)
        self.data = b"".join(self.request() for _ in range(count))
        self.marker = self.request(["connection: close"])
        self.garbage = self.chance.choice(GARBAGE)

    def request(self, fields: list[str] | None = None) -> bytes:
        chance = self.chance
        method = chance.choice(["GET"] * 6 + ["PUT"] * 3 + ["POST", "DELETE", "HEAD", "OPTIONS", "PATCH"])
        self.methods.append(method)
        target = chance.choice(TARGETS)
        lines = [*(fields or []), *chance.sample(FIELDS, chance.randint(0, 3)), chance.choice(["host: x", "Host: other"])]
        chance.shuffle(lines)
        body = chance.choice([b"", b"", b"x", b"GET /echo/evil HTTP/1.1\r\nhost: x\r\n\r\n", b"0\r\n\r\n" * 50, bytes(range(256)) * 4])
        if method in {"PUT", "POST", "PATCH"} or (body and chance.random() < 0.2):
            if chance.random() < 0.5:
                lines.append(f"content-length: {len(body)}")
            else:
                lines.append("Transfer-Encoding: chunked")
                body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in self.cut(body, 3)) + b"0\r\n\r\n"
        else:
            body = b""
        return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode() + body

    def cut(self, data: bytes, most: int) -> list[bytes]:
        places = sorted(self.chance.randint(0, len(data)) for _ in range(self.chance.randint(0, most)))
        pieces = [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
        return [piece for piece in pieces if piece]

    async def answers(self, port: int, *, garbage: bool) -> list[Response]:
        """Send it in pieces and read every answer."""
        async with connected(port) as client:
            for piece in self.cut(self.data + (self.garbage if garbage else self.marker), self.chance.choice([0, 3, 30])):
                client.send(piece)
                for _ in range(self.chance.choice([0, 0, 1, 5])):
                    await asyncio.sleep(0)
            return [await self.response(client, method) for method in (self.methods[:-1] if garbage else self.methods)] + [
                Response(int(rest.split(b" ", 2)[1]), {}, b"") for rest in [await client.ended()] if rest
            ]

    async def response(self, client: Client, method: str) -> Response:
        response = await client.response(head=method == "HEAD")
        response.headers["date"] = ""
        return response


@pytest.mark.parametrize("seed", range(6))
def test_random_streams_are_answered_as_by_plain_uvicorn(seed: int) -> None:
    async def scenario() -> None:
        async with serving(prepared()) as ours, plain() as theirs:
            for number in range(seed * STREAMS, (seed + 1) * STREAMS):
                stream = Stream(number)
                expected = await stream.answers(theirs, garbage=False)
                assert await stream.answers(ours, garbage=False) == expected, f"stream {number}"
                assert await stream.answers(ours, garbage=False) == expected, f"stream {number} in other pieces"
                spoilt = await stream.answers(ours, garbage=True)
                for response in spoilt:
                    response.headers.pop("connection", None)  # the last one may say that no other follows
                assert spoilt[: len(expected) - 1] == expected[:-1], f"stream {number}: garbage costs nobody an answer"
                assert [response.status for response in spoilt[len(expected) - 1 :]] in ([], [400]), f"stream {number}"

    run(scenario())

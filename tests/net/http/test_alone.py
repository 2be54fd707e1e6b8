"""A packet that is one known request is answered by fewer steps than others, and never otherwise than those would."""

import pytest

from callboard.net.http.message import TEXT, Answer, Brief, Reply, Request, Route, Site
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from tests.net.http.fake import Client, FakeErrors, World, connected, request, run, serving

KNOWN = b"host: x\r\n\r\n"
"""The fields of `request(line)` without any: what the door learns first here."""


async def learn(client: Client, line: str = "GET /read/a") -> None:
    for _ in range(3):
        assert (await client.get(line.partition(" ")[2])).status == 200


@pytest.mark.parametrize(
    ("data", "statuses"),
    [
        (b"GET /read/a HTTP/1.0\r\nx: GET /read/a HTTP/1.1\r\n" + KNOWN, [200]),
        (b"GET /read/a HTTP/1.1\r\n" + KNOWN + b"GET /read/a HTTP/1.1\r\n" + KNOWN, [200, 200]),
        (b"GET /read/a HTTP/1.1\r\nx: y HTTP/1.1\r\n" + KNOWN, [200]),
        (b"GET /echo/a HTTP/1.1 HTTP/1.1\r\n" + KNOWN, [400]),
        (b"GET /read/a\r\n HTTP/1.1\r\n" + KNOWN, [400]),
    ],
)
def test_a_version_that_stands_elsewhere_makes_no_known_request(data: bytes, statuses: list[int]) -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            await learn(client)
            client.send(data)
            assert [(await client.response()).status for _ in statuses] == statuses

    run(scenario())


class Hearing:
    """A route with a short way that tells the names it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def who(self, request: Request) -> str:
        return request.headers.get("x-who", "nobody")

    def hear(self, who: str, name: str, body: bytes) -> Answer | bytes | None:
        self.heard.append(name)
        if name == "boom":
            raise RuntimeError("the secret reason")
        if name == "json":
            return b'{"short":true}'
        return Answer(200, f"short {who} {name} ".encode() + body, TEXT) if name != "more" else None

    def handler(self, request: Request) -> Reply:
        return Answer(200, f"long {request.rest}".encode(), TEXT)

    def site(self) -> Site:
        brief = Brief(self.who, self.hear)
        return Site("/", (Route("PUT", "/beat/", self.handler, brief=brief),), FakeErrors())


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("web-1", "short nobody web-1 "),
        ("service:web~1_a.b", "short nobody service:web~1_a.b "),
        ("a%20b", "short nobody a b "),
        ('a"b', 'short nobody a"b '),
        ("a?x=1", "short nobody a "),
        ("a/b", "long a/b"),
        ("", "long "),
        ("more", "long more"),
        ("boom", "ours"),
        ("json", '{"short":true}'),
    ],
)
def test_who_asks_again_is_heard_as_the_first_time(rest: str, said: str) -> None:
    async def scenario() -> None:
        hearing = Hearing()
        server = HttpServer((hearing.site(),), HttpSettings(), lambda: 1)
        ((_, port),) = await server.start("127.0.0.1", 0)
        try:
            async with connected(port) as client:
                for _ in range(3):
                    client.ask("PUT /beat/known", "content-length: 0")
                    assert (await client.response()).status == 200
                for _ in range(2):
                    client.ask(f"PUT /beat/{rest}", "content-length: 0")
                    response = await client.response()
                    assert response.body.decode() == said
                    assert response.status == (500 if rest == "boom" else 200)
                    assert hearing.heard.count(rest) <= 2, "asked once for each request, also where there is more to it"
                client.ask("PUT /beat/known", "content-length: 0", "x-who: me")
                assert (await client.response()).body == b"short me known "
                client.ask(f"PUT /beat/{rest}", body=b"")
                assert (await client.response()).status in {200, 500}
        finally:
            await server.stop(1.0)

    run(scenario())


@pytest.mark.parametrize(("name", "status"), [("a" * 80, 200), ("a" * 200, 431)])
def test_a_long_line_is_refused_also_where_the_block_is_known(name: str, status: int) -> None:
    async def scenario() -> None:
        hearing = Hearing()
        server = HttpServer((hearing.site(),), HttpSettings(head_max_bytes=200), lambda: 1)
        ((_, port),) = await server.start("127.0.0.1", 0)
        try:
            async with connected(port) as client:
                for _ in range(3):
                    client.ask("PUT /beat/known", "content-length: 0")
                    assert (await client.response()).status == 200
                client.ask(f"PUT /beat/{name}", "content-length: 0")
                assert (await client.response()).status == status
                assert all(len(heard) < 200 for heard in hearing.heard)
        finally:
            await server.stop(1.0)

    run(scenario())


def test_a_known_request_that_closes_ends_its_connection() -> None:
    async def scenario() -> None:
        async with serving(World()) as port:
            for _ in range(4):
                async with connected(port) as client:
                    client.send(request("GET /read/a", "connection: close"))
                    assert (await client.response()).headers["connection"] == "close"
                    assert not await client.ended()

    run(scenario())

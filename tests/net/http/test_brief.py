"""The short way of routes that end in a name: who asks is found out once, and whatever is not plain goes to the handler."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from callboard.model.errors import InvalidError
from callboard.net.http.message import TEXT, Answer, Brief, Reply, Request, Route, Site
from callboard.net.http.routing import Router
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from tests.net.http.fake import Client, FakeErrors, connected, run


class Hearing:
    """A route that says which way a request took."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def who(self, request: Request) -> str | None:
        who = request.headers.get("x-who", "nobody") + (request.query.get("as") or "")
        self.found.append(who)
        if who == "boom":
            raise RuntimeError("the secret reason")
        if who == "wrong":
            raise InvalidError("who", "must not be so")
        return who if "long" not in request.query else None

    def hear(self, who: str, name: str, body: bytes) -> Answer | None:
        return Answer(200, f"short {who} {name} ".encode() + body, TEXT) if name != "unknown" else None

    def handler(self, request: Request) -> Reply:
        return Answer(200, f"long {request.rest}".encode(), TEXT)

    def site(self) -> Site:
        return Site("/", (Route("PUT", "/beat/", self.handler, brief=Brief(self.who, self.hear)),), FakeErrors())


@asynccontextmanager
async def heard(hearing: Hearing) -> AsyncIterator[Client]:
    server = HttpServer((hearing.site(),), HttpSettings(), lambda: 1)
    ((_, port),) = await server.start("127.0.0.1", 0)
    try:
        async with connected(port) as client:
            yield client
    finally:
        await server.stop(1.0)


async def put(client: Client, target: str, *fields: str, body: bytes = b"") -> str:
    client.ask("PUT " + target, *(fields or ("content-length: 0",) if not body else fields), body=body)
    response = await client.response()
    return f"{response.status} {response.body.decode()}"


def test_who_asks_is_found_out_once_per_block_and_parameters() -> None:
    async def scenario() -> None:
        hearing = Hearing()
        async with heard(hearing) as client:
            for name in "abcde":
                assert await put(client, f"/beat/{name}") == f"200 short nobody {name} "
            assert len(hearing.found) <= 2, "until the block is known"
            hearing.found.clear()
            for _ in range(2):
                assert await put(client, "/beat/a?as=1") == "200 short nobody1 a "
                assert await put(client, "/beat/a?as=2") == "200 short nobody2 a "
            assert hearing.found == ["nobody1", "nobody2"] * 2
            for _ in range(4):
                assert await put(client, "/beat/a", "x-who: me", "content-length: 0") == "200 short me a "
                assert await put(client, "/beat/a") == "200 short nobody a "

    run(scenario())


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/beat/service%3Aweb-1", "200 short nobody service:web-1 "),
        ("/beat/a%2Fb", "200 short nobody a/b "),
        ("/beat/unknown", "200 long unknown"),
        ("/beat/a?long", "200 long a"),
        ("/beat/a/b", "200 long a/b"),
        ("/beat/", "200 long "),
        ("/beat/a?x=/", "200 long a"),
        ("/beat/%C3%A9", "200 short nobody é "),
    ],
)
def test_the_short_way_takes_what_the_handler_would_take(target: str, answer: str) -> None:
    async def scenario() -> None:
        async with heard(Hearing()) as client:
            for _ in range(4):
                assert await put(client, target) == answer

    run(scenario())


def test_bodies_are_handed_on_and_mistakes_told_as_the_sites() -> None:
    async def scenario() -> None:
        async with heard(Hearing()) as client:
            for number in range(4):
                assert await put(client, "/beat/a", body=b"%d" % number) == f"200 short nobody a {number}"
                assert await put(client, "/beat/a", "x-who: wrong", "content-length: 0") == f"400 {InvalidError('who', 'must not be so')}"
                assert (await put(client, "/beat/a", "x-who: boom", "content-length: 0")) == "500 ours"

    run(scenario())


def test_what_is_no_name_in_a_path_is_refused_as_ever() -> None:
    async def scenario() -> None:
        for target in ("/beat/a%FF", "/beat/a%00b"):
            async with heard(Hearing()) as client:
                assert (await put(client, target)).startswith("400")

    run(scenario())


@pytest.mark.parametrize("path", ["/beat/own", "/beat/below/"])
def test_no_route_may_hide_below_a_short_way(path: str) -> None:
    hearing = Hearing()
    site = hearing.site()
    with pytest.raises(ValueError, match="short way"):
        Router((Site("/", (*site.routes, Route("PUT", path, hearing.handler)), FakeErrors()),))

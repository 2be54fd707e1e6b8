"""The short way of routes that are exact or end in a name: who asks is found out once, and whatever is not plain goes to the handler."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from callboard.model.errors import InvalidError
from callboard.net.http.message import TEXT, Answer, Brief, Later, Reply, Request, Route, Site
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

    def hear(self, who: str, name: str, body: bytes) -> Answer | bytes | None:
        return Answer(200, f"short {who} {name} ".encode() + body, TEXT) if name != "unknown" else None

    def handler(self, request: Request) -> Reply:
        return Answer(200, f"long {request.rest}".encode(), TEXT)

    def site(self) -> Site:
        return Site("/", (Route("PUT", "/beat/", self.handler, brief=Brief(self.who, self.hear)),), FakeErrors())


@asynccontextmanager
async def heard(hearing: Hearing, **settings: int) -> AsyncIterator[Client]:
    """A connection to a server that has its site."""
    server = HttpServer((hearing.site(),), HttpSettings(**settings), lambda: 1)  # type: ignore[arg-type]  # numbers only
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


class _Soon:
    """Known on the next turn of the loop."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def then(self, callback: Callable[[Answer], None]) -> None:
        asyncio.get_running_loop().call_soon(callback, self._answer)


class Signing(Hearing):
    """The same of an exact route, whose short way answers later."""

    def sign(self, who: str, name: str, body: bytes) -> Answer | Later | None:
        if body == b"boom":
            raise RuntimeError("the secret reason")
        answer = Answer(200, f"short {who} {name or '-'} ".encode() + body, TEXT)
        return None if body == b"long" else answer if body == b"now" else Later(_Soon(answer))

    def site(self) -> Site:
        exact = Route("PUT", "/beat/sign", self.handler, brief=Brief(self.who, self.sign))
        return Site("/", (exact, Route("PUT", "/beat/", self.handler)), FakeErrors())


class Both(Signing):
    """The same beside a route that ends in a name; what is heard by a short way is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    def hear(self, who: str, name: str, body: bytes) -> Answer | bytes | None:
        self.bodies.append(body)
        return super().hear(who, name, body)

    def sign(self, who: str, name: str, body: bytes) -> Answer | Later | None:
        self.bodies.append(body)
        return super().sign(who, name, body)

    def site(self) -> Site:
        named = Route("PUT", "/pass/", self.handler, brief=Brief(self.who, self.hear))
        return Site("/", (*super().site().routes, named), FakeErrors())


def test_an_exact_route_may_answer_later_by_its_short_way() -> None:
    async def scenario() -> None:
        signing = Signing()
        async with heard(signing) as client:
            for number in range(10, 16):
                assert await put(client, "/beat/sign", body=b"%d" % number) == f"200 short nobody - {number}"
                assert await put(client, "/beat/sign", "x-who: me", body=b"me") == "200 short me - me"
            assert len(signing.found) <= 12, "never more often than the caller changes"
            for _ in range(3):
                assert await put(client, "/beat/sign", body=b"now") == "200 short nobody - now"
                assert await put(client, "/beat/sign", body=b"long") == "200 long "
                assert await put(client, "/beat/sign", body=b"boom") == "500 ours"
                assert await put(client, "/beat/sign?a=1", body=b"10") == "200 long "
                assert await put(client, "/beat/signs", body=b"10") == "200 long signs"
                assert await put(client, "/beat/sig%6E", body=b"10") == "200 long "

    run(scenario())


@pytest.mark.parametrize("line", ["\nname", "\n\nname", "\n/beat/sign", "name", "\r\nname"])
@pytest.mark.parametrize("before", ["/beat/sign", "/pass/a?as=1", "/pass/a?long"])
def test_a_line_that_is_none_is_refused_whatever_was_asked_before(line: str, before: str) -> None:
    """Also with a block that is known, so that nobody else looks at the line."""

    async def scenario() -> None:
        signing = Both()
        async with heard(signing) as client:
            for _ in range(3):
                assert (await put(client, before, body=b"10")).startswith("200")
            signing.bodies.clear()
            client.writer.write(f"{line} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n10".encode())
            assert (await client.response()).status == 400
            assert signing.bodies == []

    run(scenario())

"""A packet that is one known request is answered by fewer steps than others, and never otherwise than those would."""

import pytest

from callboard.net.http.message import Answer
from tests.net.http.fake import Client, World, connected, request, run, serving
from tests.net.http.test_brief import Hearing, heard

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


class Noting(Hearing):
    """The same route, noting the names it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def hear(self, who: str, name: str, body: bytes) -> Answer | bytes | None:
        self.heard.append(name)
        if name == "boom":
            raise RuntimeError("the secret reason")
        return b'{"short":true}' if name == "json" else super().hear(who, name, body)


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
        ("unknown", "long unknown"),
        ("boom", "ours"),
        ("json", '{"short":true}'),
    ],
)
def test_who_asks_again_is_heard_as_the_first_time(rest: str, said: str) -> None:
    async def scenario() -> None:
        hearing = Noting()
        async with heard(hearing) as client:
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

    run(scenario())


@pytest.mark.parametrize(("name", "status"), [("a" * 80, 200), ("a" * 200, 431)])
def test_a_long_line_is_refused_also_where_the_block_is_known(name: str, status: int) -> None:
    async def scenario() -> None:
        hearing = Noting()
        async with heard(hearing, head_max_bytes=200) as client:
            for _ in range(3):
                client.ask("PUT /beat/known", "content-length: 0")
                assert (await client.response()).status == 200
            client.ask(f"PUT /beat/{name}", "content-length: 0")
            assert (await client.response()).status == status
            assert all(len(each) < 200 for each in hearing.heard)

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

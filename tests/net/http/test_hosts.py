"""The guard against DNS rebinding: on loopback, both doors serve only what names this machine."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.net.http.hosts import Hosts
from callboard.net.http.server import HttpServer
from callboard.net.http.settings import HttpSettings
from tests.net.http.fake import Client, World, run

OURS = [
    "localhost", "localhost:8500", "LOCALHOST.", "app.localhost:1", "127.0.0.1", "127.0.0.1:8500", "127.9.8.7", "[::1]", "[::1]:8500",
    "::1", "10.1.2.3:8500", "[2001:db8::1]:8500", "", " localhost ", "localhost:", "[::1]:", "[FE80::1%25eth0]:8500",
]  # fmt: skip
FOREIGN = [
    "evil.example", "evil.example:8500", "localhost.evil.example", "127.0.0.1.evil.example", "1270.0.0.1", "localhost:8500:1", "[evil]",
    "127.0.0.1, evil.example", "callboard.evil.example", "xlocalhost", "[::1].evil.example", "[::1]evil.example:80", "[::1", "[::1]:80x",
    "127.0.0.1%evil.example", "127.0.0.1%.evil.example:80", "localhost..", "localhost:80@evil.example", "127.1", "2130706433",
]  # fmt: skip
HOSTS = Hosts(["registry.example.org", ".consul", "Named"])


@pytest.mark.parametrize("field", [*OURS, "registry.example.org:8500", "named", "consul.service.consul:8500"])
def test_our_names_and_addresses_are_served(field: str) -> None:
    assert HOSTS.allows(field)


@pytest.mark.parametrize("field", [*FOREIGN, "x.registry.example.org", "notconsul", "consul"])
def test_others_are_not(field: str) -> None:
    assert not HOSTS.allows(field)


def test_a_star_allows_everybody() -> None:
    assert Hosts(["*"]).allows("evil.example")


@given(st.text(max_size=60))
def test_no_field_is_an_error(field: str) -> None:
    assert HOSTS.allows(field) in {True, False}


@given(st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,3}\.[a-z]{2,8}(:[0-9]{1,5})?", fullmatch=True))
def test_a_name_is_ours_only_if_it_was_said(field: str) -> None:
    host = field.partition(":")[0]
    expected = host == "registry.example.org" or host.endswith((".consul", ".localhost"))
    assert HOSTS.allows(field) is expected


async def connect(port: int) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", port))


def ask(client: Client, line: str, host: str | None, *fields: str) -> None:
    lines = [line, *([f"host: {host}"] if host is not None else []), *fields, "", ""]
    client.send("\r\n".join(lines).encode())


@pytest.mark.parametrize("target", ["/read/a", "/slow/read/a", "/nowhere"])
def test_both_doors_refuse_a_foreign_host_and_say_what_to_do(target: str) -> None:
    async def scenario() -> None:
        world = World()
        world.server = HttpServer((world.site(),), HttpSettings(allowed_hosts=("mine",)), lambda: world.revision)
        ((_, port),) = await world.server.start("127.0.0.1", 0, guarded=True)
        for _ in range(3):  # a block is known from the second sight on
            good, bad = await connect(port), await connect(port)
            for host in ("localhost:8500", "mine:8500"):
                ask(good, f"GET {target} HTTP/1.1", host)
                assert (await good.response()).status in {200, 404}
            ask(bad, f"GET {target} HTTP/1.1", "evil.example")
            refused = await bad.response()
            assert refused.status == 403
            assert b"'evil.example'" in refused.body
            assert b"allowed_hosts" in refused.body
            assert await bad.ended() == b"", "the connection ends"
            good.close()
            bad.close()
        assert world.renders <= 1
        await world.server.stop(1.0)

    run(scenario())


def test_two_hosts_are_refused_when_one_is_foreign_and_a_request_without_one_is_served() -> None:
    async def scenario() -> None:
        world = World()
        world.server = HttpServer((world.site(),), HttpSettings(), lambda: world.revision)
        ((_, port),) = await world.server.start("127.0.0.1", 0, guarded=True)
        for one, other, status in (("localhost", "evil.example", 403), ("evil.example", "localhost", 403)):
            client = await connect(port)
            ask(client, "GET /read/a HTTP/1.1", one, f"host: {other}")
            assert (await client.response()).status == status
            client.close()
        old = await connect(port)
        ask(old, "GET /read/a HTTP/1.0", None)
        assert (await old.response()).status == 200
        old.close()
        await world.server.stop(1.0)

    run(scenario())


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost:8500/read/a", "localhost:8500", 200),
        ("http://evil.example/read/a", "localhost", 403),
        ("HTTPS://evil.example:1?a", "localhost", 403),
        ("http://localhost@evil.example/read/a", "localhost", 403),
        ("http://localhost/read/a", "evil.example", 403),
        ("/read/a?from=http://evil.example/", "localhost", 200),
    ],
)
def test_a_target_that_names_a_host_is_judged_by_it_too(target: str, host: str, status: int) -> None:
    async def scenario() -> None:
        world = World()
        world.server = HttpServer((world.site(),), HttpSettings(), lambda: world.revision)
        ((_, port),) = await world.server.start("127.0.0.1", 0, guarded=True)
        client = await connect(port)
        ask(client, f"GET {target} HTTP/1.1", host)
        assert (await client.response()).status == status
        client.close()
        await world.server.stop(1.0)

    run(scenario())


@pytest.mark.parametrize("slow", [(), (0, 2), (0, 1, 2, 3)])
def test_pipelined_requests_are_judged_one_by_one(slow: tuple[int, ...]) -> None:
    async def scenario() -> None:
        world = World()
        world.server = HttpServer((world.site(),), HttpSettings(), lambda: world.revision)
        ((_, port),) = await world.server.start("127.0.0.1", 0, guarded=True)
        for _ in range(3):
            client = await connect(port)
            for number, host in enumerate(("localhost", "[::1]:8500", "localhost", "evil.example", "localhost")):
                ask(client, f"GET {'/slow' if number in slow else ''}/read/a HTTP/1.1", host)
            assert [(await client.response()).status for _ in range(4)] == [200, 200, 200, 403]
            assert await client.ended() == b"", "nothing after the foreign one is answered"
            client.close()
        await world.server.stop(1.0)

    run(scenario())


def test_elsewhere_than_on_loopback_nobody_is_refused() -> None:
    async def scenario() -> None:
        world = World()
        world.server = HttpServer((world.site(),), HttpSettings(), lambda: world.revision)
        ((_, port),) = await world.server.start("0.0.0.0", 0, guarded=True)
        client = await connect(port)
        ask(client, "GET /read/a HTTP/1.1", "registry.example.org")
        assert (await client.response()).status == 200
        client.close()
        await world.server.stop(1.0)

    run(scenario())

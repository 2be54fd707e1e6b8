"""The quick door: whatever comes, in whatever pieces, is answered in order, and nothing inside a body is taken for a request."""

import asyncio
from functools import partial

import pytest

from callboard.net.http.message import TEXT, Answer
from tests.net.http.fake import World, connected, request, run, serving, until


def stats(world: World) -> tuple[int, int, int]:
    return world.stats.hits, world.stats.quick, world.stats.slow


def has_outcomes(world: World, count: int) -> bool:
    return len(world.outcomes) == count


def test_a_known_line_is_answered_without_its_handler() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            bodies = [(await client.get("/read/a")).body for _ in range(6)]
            assert bodies == [b"nothing"] * 6
            assert world.calls < 6
            assert world.renders == 1
            assert stats(world)[0] >= 3

    run(scenario())


def test_fifty_pipelined_requests_are_answered_in_order() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            client.send(b"".join(request(f"GET /{'slow/' if n % 7 == 3 else ''}echo/{n}") for n in range(50)))
            for n in range(50):
                assert f"echo/{n} {n} ".encode() in (await client.response()).body

    run(scenario())


@pytest.mark.parametrize(
    "line", ["GET /read/a", "PUT /echo/a", "PUT /done", "GET /slow/echo/a", "PATCH /echo/a", "POST /echo/a", "DELETE /echo/a"]
)
def test_a_request_may_come_byte_by_byte(line: str) -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as whole, connected(port) as pieces:
            body = b"" if line.startswith("GET") else b"PUT /echo/evil HTTP/1.1\r\nhost: x\r\n\r\n"
            for _ in range(2):
                whole.ask(line, body=body)
                for byte in request(line, body=body):
                    pieces.send(bytes([byte]))
                    await asyncio.sleep(0)
                assert (await pieces.response())._replace(headers={}) == (await whole.response())._replace(headers={})

    run(scenario())


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_pipeline_may_be_cut_anywhere(cut: int) -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            data = (
                request("PUT /echo/1", body=b"one") + request("GET /slow/echo/2") + request("GET /read/a") + request("PUT /done", body=b"4")
            )
            for at in range(0, len(data), cut):
                client.send(data[at : at + cut])
                await asyncio.sleep(0)
            assert [(await client.response()).body[-4:] for _ in range(4)] == [b"\none", b"one\n", b"hing", b"ne 4"]

    run(scenario())


@pytest.mark.parametrize(
    ("fields", "payload"),
    [
        (["content-length: 41"], b"GET /echo/evil HTTP/1.1\r\nhost: evil\r\n\r\nab"),
        (["transfer-encoding: chunked"], b"27\r\nGET /echo/evil HTTP/1.1\r\nhost: evil\r\n\r\n\r\n0\r\n\r\n"),
        (["transfer-encoding: chunked"], b"3\r\nabc\r\n0\r\ntrailer: GET /echo/evil HTTP/1.1\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("line", ["PUT /echo/x", "PUT /slow/echo/x", "GET /echo/x"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_body_that_looks_like_a_hot_request_is_a_body(line: str, fields: list[str], payload: bytes, whole: bool) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            for _ in range(3):
                await client.get("/echo/evil", "host: evil")
            data = request(line, *fields) + payload
            assert b"content-length: 41" not in data or len(payload) == 41
            if whole:
                client.send(data + request("GET /echo/marker"))
            else:
                for at in range(0, len(data), 5):
                    client.send(data[at : at + 5])
                    await asyncio.sleep(0)
                client.ask("GET /echo/marker")
            first, second = await client.response(), await client.response()
            assert first.body.split(b"\n")[0].startswith(f"{line.split(maxsplit=1)[0]} ".encode())
            assert b"/x x" in first.body
            assert b"marker" in second.body

    run(scenario())


def test_a_known_line_with_a_body_is_still_read_with_its_body() -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            for _ in range(4):
                assert (await client.get("/read/a")).body == b"nothing"
                client.send(request("GET /read/a", "content-length: 41") + b"GET /echo/evil HTTP/1.1\r\nhost: evil\r\n\r\nab")
                assert (await client.response()).body == b"nothing"
                assert b"marker" in (await client.get("/echo/marker")).body

    run(scenario())


def test_connection_close_is_quick_and_closes() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port:
            for _ in range(4):
                async with connected(port) as client:
                    response = await client.get("/read/a", "connection: close")
                    assert response.headers["connection"] == "close"
                    assert await client.ended() == b""
            assert stats(world)[2] == 0

    run(scenario())


@pytest.mark.parametrize(
    ("data", "statuses", "closes"),
    [
        (b"GET /read/a HTTP/1.0\r\n\r\n", [200], True),
        (b"GET /read/a HTTP/1.0\r\nx: HTTP/1.1\r\nhost: x\r\n\r\n", [200], True),
        (b"GET /read/a HTTP/1.1\r\nx: y HTTP/1.1\r\nhost: x\r\n\r\n", [200], False),
        (b"OPTIONS /read/a HTTP/1.1\r\nhost: x\r\n\r\n", [405], False),
        (b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n", [404], False),
        (b"GET http://x/read/a HTTP/1.1\r\nhost: x\r\n\r\n", [200], False),
        (b"GET /read/%FF HTTP/1.1\r\nhost: x\r\n\r\n", [400], False),
        (b"GET /read/a#b HTTP/1.1\r\nhost: x\r\n\r\n", [200], False),
        (b"PUT /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc", [400], True),
        (b"PUT /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", [400], True),
        (b"PUT /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: -3\r\n\r\nabc", [400], True),
        (b"PUT /echo/a HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\nabc", [400], True),
        (b"GET /re ad/a HTTP/1.1\r\nhost: x\r\n\r\n", [400], True),
        (b"GET /read/a HTTP/1.1\nhost: x\n\n", [400], True),
        (b"\x16\x03\x01 hello", [400], True),
        (b"GET /read/a HTTP/1.1\r\nhost: x\r\nx\x00y: z\r\n\r\n", [400], True),
        (b"\r\nGET /read/a HTTP/1.1\r\nhost: x\r\n\r\n", [200], False),
        (b"GET /read/a HTTP/1.1\r\nHOST: x\r\nX-Who:a\r\nx-who: b\r\n\r\n", [200], False),
        (
            (
                b"PUT /echo/a HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 2\r\nHost: x\r\n"
                b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n\r\nhi"
            ),
            [200],
            False,
        ),
    ],
)
def test_what_is_unusual_goes_the_long_way_and_is_answered_rightly(data: bytes, statuses: list[int], closes: bool) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            client.send(data)
            assert [(await client.response()).status for _ in statuses] == statuses
            if closes:
                assert await client.ended() == b""
            else:
                assert (await client.get("/read/a")).body == b"nothing"

    run(scenario())


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("line", [b"GET /re ad/a", b"G\x01T /read/a", b"GET /read/\x00", b"GET /read/\xff", b"GET read/a", b"/read/a"])
def test_a_line_behind_a_known_block_is_judged_all_the_same(line: bytes, known: bool) -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            for _ in range(3 if known else 0):
                assert (await client.get("/read/a")).status == 200
            client.send(line + b" HTTP/1.1\r\nhost: x\r\n\r\n")
            assert (await client.response()).status == 400
            assert await client.ended() == b""

    run(scenario())


def test_header_fields_of_any_order_and_case_reach_the_handler() -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            for path in ("/echo/a", "/slow/echo/a"):
                for fields in (["X-WHO: a", "Accept: b"], ["accept: b", "x-who:a"], ["x-Who: \ta "], ["Y: 1", "x-who: a", "y: 2"]):
                    for _ in range(3):
                        assert b"who=a\n" in (await client.get(path, *fields)).body
                assert b"who=a, b\n" in (await client.get(path, "x-who: a", "X-Who: b")).body

    run(scenario())


def test_head_has_no_body_and_keeps_the_connection() -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            client.ask("HEAD /echo/a")
            assert int((await client.response(head=True)).headers["content-length"]) > 0
            assert (await client.get("/read/a")).body == b"nothing"

    run(scenario())


def test_expect_100_continue_is_told_to_go_on() -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            for _ in range(3):
                client.send(b"PUT /echo/a HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
                assert (await client.response()).status == 100
                client.send(b"hi")
                assert (await client.response()).body.endswith(b"\nhi")

    run(scenario())


def test_slow_and_hot_requests_alternate_on_one_connection() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            for _ in range(4):
                assert (await client.get("/slow/read/a")).body == b"nothing"
                assert (await client.get("/read/a")).body == b"nothing"
            hits, quick, slow = stats(world)
            assert slow == 4
            assert hits + quick == 4

    run(scenario())


def test_both_doors_answer_alike() -> None:
    async def scenario() -> None:
        world = World()
        world.touch("long", "0123456789" * 300)
        async with serving(world) as port, connected(port) as client:
            for target in ("read/a", "read/long", "read/none", "echo/x?y=1&y=2", "big/16000", "where", "boom", "split"):
                for fields in ([], ["accept-encoding: gzip"], ["accept-encoding: gzip;q=0"]):
                    quick, slow = await client.get("/" + target, *fields), await client.get("/slow/" + target, *fields)
                    assert quick.status == slow.status
                    assert quick.body.replace(b" /", b" /slow/") == slow.body.replace(b" /", b" /", 1) or quick.body == slow.body
                    ours, theirs = dict(quick.headers), dict(slow.headers)
                    if target.startswith("echo"):
                        del ours["content-length"], theirs["content-length"]
                    assert list(ours) == list(theirs)
                    assert {**ours, "date": ""} == {**theirs, "date": ""}

    run(scenario())


def test_pipelined_requests_wait_behind_one_that_is_not_answered_yet() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            client.send(request("PUT /later/a", body=b"x") + request("GET /echo/2") + request("PUT /done", body=b"3") + b"GET /ec")
            await until(lambda: "a" in world.outcomes)
            client.send(b"ho/4 HTTP/1.1\r\nhost: x\r\n\r\n")
            await asyncio.sleep(0.01)
            world.outcomes["a"].tell(Answer(200, b"first", TEXT))
            bodies = [(await client.response()).body for _ in range(4)]
            assert bodies[0] == b"first"
            assert b"echo/2" in bodies[1]
            assert bodies[2] == b"done 3"
            assert b"echo/4" in bodies[3]

    run(scenario())


def test_an_outcome_that_comes_after_the_client_left_harms_nobody() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port:
            for path, count in (("/later/a", 1), ("/slow/later/b", 2)):
                async with connected(port) as client:
                    client.ask("PUT " + path, body=b"x")
                    await until(partial(has_outcomes, world, count))
                    client.writer.transport.abort()
                await asyncio.sleep(0.01)
                world.outcomes[path[-1]].tell(Answer(200, b"late", TEXT))
                await until(lambda: world.stats.connections_now == 0)

    run(scenario())


def test_a_half_closed_client_gets_what_it_asked_for() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port:
            async with connected(port) as client:
                client.send(request("GET /echo/1") + request("GET /echo/2"))
                client.writer.write_eof()
                assert (await client.ended()).count(b"HTTP/1.1 200") == 2
            async with connected(port) as client:
                client.ask("PUT /later/a", body=b"x")
                client.writer.write_eof()
                await until(lambda: "a" in world.outcomes)
                await asyncio.sleep(0.01)
                world.outcomes["a"].tell(Answer(200, b"first", TEXT))
                assert (await client.ended()).endswith(b"first")

    run(scenario())


def test_a_line_answer_is_not_shared_by_callers_whom_the_handler_tells_apart() -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as one, connected(port) as two:
            for _ in range(4):
                assert (await one.get("/read/a?who=1", "x-who: one")).body == b"/read/a?who=one"
                assert (await two.get("/read/a?who=1", "x-who: two")).body == b"/read/a?who=two"

    run(scenario())


def test_addresses_are_told_alike_by_both_doors() -> None:
    async def scenario() -> None:
        for host in ("127.0.0.1", "::1"):
            async with serving(World(), host) as port, connected(port, host) as client:
                assert (await client.get("/where")).body == f"{host} {host}".encode()
                assert (await client.get("/slow/where")).body == f"{host} {host}".encode()

    run(scenario())


@pytest.mark.parametrize("prefix", ["", "/slow"])
def test_an_unexpected_error_is_logged_once_and_never_shown(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            response = await client.get(prefix + "/boom")
            assert (response.status, response.body) == (500, b"ours")
            assert (await client.get(prefix + "/split")).status == 500
            world.broken = True
            assert (await client.get(prefix + "/read/z")).status == 500
            world.broken = False
            assert (await client.get(prefix + "/read/z")).status == 200
            assert (await client.get("/misplaced")).status == 500

    run(scenario())
    assert caplog.text.count("\nRuntimeError: the secret reason") == 2
    assert len([record for record in caplog.records if record.exc_info]) == 4


def test_an_error_of_the_model_is_told_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with serving(World()) as port, connected(port) as client:
            response = await client.get("/invalid")
            assert (response.status, response.body) == (400, b"name: must not be so")

    run(scenario())
    assert not caplog.records

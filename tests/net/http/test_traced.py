"""Requests that are traced have other header fields each time; their blocks are known all the same, and nothing else is."""

import pytest

from callboard.net.http.blocks import Blocks
from tests.net.http.fake import World, connected, run, serving

HOST = b" HTTP/1.1\r\nhost: x\r\n"


def judged(blocks: Blocks, *fields: bytes) -> bool:
    """Whether the facts of a block were known from others with the same fields but for those of tracing."""
    facts = blocks.judge(b"GET /", HOST + b"".join(field + b"\r\n" for field in fields) + b"\r\n")
    return facts is not None and facts.lasting


@pytest.mark.parametrize("name", [b"traceparent", b"Traceparent", b"X-Request-ID", b"x-b3-spanid", b"X-B3-TraceId", b"uber-trace-id"])
def test_fields_of_tracing_do_not_make_another_block(name: bytes) -> None:
    blocks = Blocks(10, 1_024)
    for number in range(2):
        judged(blocks, b"accept: */*", name + b": %d" % number, b"accept-encoding: gzip")
    assert len(blocks.known) == 1
    assert judged(blocks, b"accept: */*", name + b": other", b"accept-encoding: gzip")
    assert judged(blocks, b"accept: */*", b"accept-encoding: gzip", name + b":"), "wherever it stands"
    (facts,) = blocks.known.values()
    assert facts.gzip


@pytest.mark.parametrize(
    "fields",
    [
        (b"traceparent: 1", b" content-length: 5"),  # folded
        (b"traceparent: 1\r\n\tfolded",),
        (b"traceparent: \x01",),
        (b"traceparent: a\nb: c",),
        (b"traceparent : 1",),
        (b"traceparent: 1", b"content-length: 1", b"content-length: 2"),
        (b"traceparent: 1", b"transfer-encoding: chunked"),
        (b"traceparent: 1", b"expect: 100-continue"),
    ],
)
def test_what_is_not_plain_is_never_known(fields: tuple[bytes, ...]) -> None:
    blocks = Blocks(10, 1_024)
    plain = [blocks.judge(b"GET /", HOST + b"\r\n") for _ in range(3)]
    assert plain[0] is not None
    for _ in range(3):
        facts = blocks.judge(b"GET /", HOST + b"".join(field + b"\r\n" for field in fields) + b"\r\n")
        assert facts is None


def test_a_body_is_as_long_as_was_said_whatever_traces_there_are() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            for number in range(8):
                client.ask("PUT /echo/a", f"traceparent: 00-{number}", body=b"x" * (number % 3))
                if number % 3:
                    assert (await client.response()).body.endswith(b"\n" + b"x" * (number % 3))
                else:
                    assert (await client.response()).body.endswith(b"\n")
            assert world.stats.slow == 0

    run(scenario())


def test_a_read_that_is_traced_is_answered_without_its_handler() -> None:
    async def scenario() -> None:
        world = World()
        async with serving(world) as port, connected(port) as client:
            for number in range(10):
                assert (await client.get("/read/a", f"traceparent: 00-{number}")).body == b"nothing"
            assert world.calls < 4
            assert world.renders == 1
            world.put("a", "new")
            assert (await client.get("/read/a", "traceparent: 00-again")).body == b"new"

    run(scenario())

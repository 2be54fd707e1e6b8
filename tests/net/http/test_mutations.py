"""Requests that are not quite right: whatever is changed in a request, the door makes of it what plain uvicorn makes of it.

The door knows the header block that the change was made in, so it is tempted to believe that it knows this one too. Each stream is a
request with something wrong in it and an ordinary one behind, in any pieces; what is read as a request, as a body or as the end is the
same on both sides. One difference is meant, and named below.
"""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from tests.net.http.fake import Response, World, request
from tests.net.http.wires import Ours, Plain, Wire, responses, run, settled

BLOCKS = [
    b"host: x\r\n", b"host: x\r\naccept-encoding: gzip\r\n", b"Host: x\r\nConnection: keep-alive\r\n",
    b"host: x\r\nconnection: close\r\n",
    b"host: x\r\nx-who: a\r\nX-Who: b\r\n", b"host: x\r\nx-consul-token: one\r\nX-Consul-Token: two\r\n",
]  # fmt: skip
LINES = [
    b"GET /read/a",
    b"GET /echo/x",
    b"PUT /echo/x",
    b"DELETE /echo/x",
    b"GET /slow/echo/x",
    b"HEAD /echo/x",
    b"PUT /done",
    b"PUT /beat/x",
]
BODIES = [b"", b"x", b"GET /echo/evil HTTP/1.1\r\nhost: x\r\n\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"]
ODD_FIELDS = [
    b"content-length: 0\r\n", b"content-length: 1\r\n", b"Content-Length: 36\r\n", b"content-length: 1\r\ncontent-length: 1\r\n",
    b"content-length: 1, 1\r\n", b"content-length: +1\r\n", b"content-length: 0x1\r\n", b"content-length: 01\r\n", b"content-length:\r\n",
    b"content-length: 1 \r\n", b"content-length : 1\r\n", b" content-length: 1\r\n", b"content-length\r\n", b"content-length: \xb2\r\n",
    b"content-length: 18446744073709551617\r\n", b"transfer-encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
    b"transfer-encoding: chunked, identity\r\n", b"transfer-encoding: identity\r\n", b"transfer-encoding: xchunked\r\n",
    b"transfer-encoding:\x0bchunked\r\n", b"transfer-encoding: chunked\r\ncontent-length: 5\r\n", b"expect: 100-continue\r\n",
    b"expect: nothing\r\n", b"upgrade: h2c\r\nconnection: upgrade\r\n", b"upgrade: websocket\r\n", b"connection: upgrade\r\n",
    b"connection: close, keep-alive\r\n", b"connection: Close\r\n", b"connection: x\r\n", b"x: a\r\n b\r\n", b"x: a\r\n\tb\r\n",
    b"x:\r\n",
    b": x\r\n", b"x: a\nb: c\r\n", b"x: a\rb: c\r\n", b"x: \x00\r\n", b"x\x00: y\r\n", b"x: \x7f\r\n", b"x: \xff\r\n", b"host: y\r\n",
    b"traceparent: 00-1\r\n", b"TraceParent:\r\n", b"traceparent: a\r\n b\r\n", b"traceparent : a\r\n", b"x-request-id: \x00\r\n",
    b"b3: \xff\r\n", b"tracestate: a\rcontent-length: 1\r\n", b"tracestate: a\r\ncontent-length: 5\r\nb3: b\r\n", b"x: HTTP/1.1\r\n",
    b"\r\nhost: x\r\n", b"proxy-connection: close\r\n", b"trailer: x\r\n", b"te: trailers\r\n",
]  # fmt: skip
VERSIONS = [
    b" HTTP/1.1", b" HTTP/1.0", b" HTTP/1.2", b" HTTP/0.9", b" HTTP/2.0", b" http/1.1", b"  HTTP/1.1", b"\tHTTP/1.1", b"", b" HTTP/1.1 ",
    b" HTTP/1.1 HTTP/1.1",
]  # fmt: skip
SPLICES = [b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b"/", b"#", b"%", b"\xff", b"HTTP/1.1", b"GET ", b"0", b"?"]
MARKER = request("GET /echo/marker", "connection: close")


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A request that is changed here and there."""
    line, version = draw(st.sampled_from(LINES)), draw(st.sampled_from([VERSIONS[0], VERSIONS[0], *VERSIONS]))
    parts = [draw(st.sampled_from(BLOCKS)), *draw(st.lists(st.sampled_from(ODD_FIELDS), max_size=2))]
    fields = b"".join(draw(st.permutations(parts)))
    data = line + version + b"\r\n" + fields + b"\r\n" + draw(st.sampled_from(BODIES))
    for _ in range(draw(st.integers(0, 2))):
        at, until = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        until = min(until, at + draw(st.integers(0, 4)))
        data = data[:at] + draw(st.sampled_from(SPLICES)) + data[until:]
    return data


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    cuts = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(cuts) if end > start]


async def exchange(wire: Wire, data: list[bytes], methods: list[str]) -> list[Response]:
    """Send it piece by piece; the answers."""
    for piece in data:
        if wire.reading:
            wire.feed(piece)
        await settled()
    return responses(wire.written, methods)


def told(found: list[Response]) -> list[tuple[int, bytes]]:
    """What matters of answers: a refusal is one, in whatever words."""
    return [(response.status, b"" if response.status == 400 else response.body) for response in found]


@given(data=streams(), places=st.lists(st.integers(0, 400), max_size=4))
@example(data=b"GET /read/a HTTP/1.1\nhost: x\r\n\r\n", places=[])
@example(data=b"PUT /echo/x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n HTTP/1.1\r\nhost: x\r\n\r\n", places=[])
def test_what_is_changed_in_a_request_means_the_same_to_the_door_and_to_uvicorn(data: bytes, places: list[int]) -> None:
    async def scenario() -> None:
        ours, plain = Ours(World()), Plain(World())
        warm = ours.connect()
        for block in BLOCKS * 2:  # every block is known from here on
            warm.feed(b"GET /read/a HTTP/1.1\r\n" + block + b"\r\n")
            if warm.closing:
                warm = ours.connect()
        method = "HEAD" if b"HEAD" in data else "GET"
        # Byte by byte: of requests that come together with garbage, uvicorn answers none.
        expected = await exchange(plain.connect(), [bytes([byte]) for byte in data + MARKER], [method])
        wire = ours.connect()
        found = await exchange(wire, [*pieces(data, places), MARKER], [method])
        verify(told(found), told(expected), waits=not wire.closing)
        await ours.close()
        plain.close()

    run(scenario())


def verify(found: list[tuple[int, bytes]], expected: list[tuple[int, bytes]], *, waits: bool) -> None:
    """As by plain uvicorn, but for one difference that is meant: a head with bare line feeds is waited for, and refused in time."""
    refused = bool(expected) and expected[-1][0] == 400
    assert found == expected or (refused and waits and found == expected[:-1])

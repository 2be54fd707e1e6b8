import gzip as standard
from email.utils import parsedate_to_datetime

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.net.http import coding
from callboard.net.http.blocks import VERSION, Blocks, Sights, joined
from callboard.net.http.coding import Dates
from callboard.net.http.message import JSON, TEXT, Answer


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("", False), ("gzip", True), ("GZIP", True), ("x-gzip", True), ("deflate, gzip;q=0.5, br", True), ("gzip;q=0", False),
        ("gzip; q=0.000", False), ("gzip;Q=0", False), ("*", True), ("*;q=0", False), ("*, gzip;q=0", False), ("*;q=0, gzip", True),
        ("identity", False), ("gzipped", False),
        ("gzip;q=nonsense", False), ("br;q=1.0, gzip;q=0.8, *;q=0.1", True), (",,", False), ("gzip;level=9", True),
    ],
)  # fmt: skip
def test_gzip_is_used_when_its_weight_allows(value: str, accepted: bool) -> None:
    assert coding.accepts_gzip(value) is accepted


@given(st.text(max_size=40))
def test_no_accept_encoding_is_too_strange(value: str) -> None:
    coding.accepts_gzip(value)


class Parsed:
    """A response as llhttp reads it."""

    def __init__(self, wire: bytes) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False
        parser = httptools.HttpResponseParser(self)
        parser.feed_data(wire)
        self.status = parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


@given(st.sampled_from([200, 204, 304, 404, 418, 500, 599]), st.binary(max_size=2000), st.booleans())
def test_a_response_reads_back_as_the_answer(status: int, body: bytes, packed: bool) -> None:
    wire = coding.response(Dates(1.0), Answer(status, body, JSON, ((b"x-a", b"b"),)), 100 if packed else None)
    parsed = Parsed(wire)
    fields = dict(parsed.fields)
    body = b"" if status in coding.NO_BODY else body
    assert parsed.complete
    assert (parsed.status, fields[b"x-a"], fields[b"vary"]) == (status, b"b", b"accept-encoding")
    assert parsedate_to_datetime(fields[b"date"].decode()).timestamp() == 1.0
    assert (fields.get(b"content-encoding") == b"gzip") == (packed and len(body) >= 100)
    assert (standard.decompress(parsed.body) if b"content-encoding" in fields else parsed.body) == body
    closing = Parsed(coding.closing(wire))
    assert closing.fields == [(b"connection", b"close"), *parsed.fields]


def test_equal_bodies_compress_to_equal_bytes_and_coded_ones_are_left_alone() -> None:
    assert coding.gzip(b"x" * 5000) == coding.gzip(memoryview(b"x" * 5000))
    assert not coding.compressible(Answer(headers=((b"Content-Encoding", b"br"),)), 5000, 1400)


@pytest.mark.parametrize("field", [(b"a", b"b\nc"), (b"a", b"b\rc"), (b"a\n", b"b"), (b"a\rb", b"c")])
def test_a_line_break_cannot_be_smuggled_into_a_field(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="line break"):
        coding.response(Dates(0.0), Answer(200, b"", TEXT, (field,)), None)


def test_a_date_is_put_once_a_second_and_known_by_identity() -> None:
    dates = Dates(0.0)
    first, prefix = dates.now, dates.prefix(200)
    assert dates.prefix(200) is prefix
    dates.tick(0.0)
    assert dates.now is not first
    dates.tick(86_400.0)
    assert len(dates.prefix(200)) == len(prefix)
    assert dates.fields()[0] == (b"date", b"Fri, 02 Jan 1970 00:00:00 GMT")


def block(*fields: str) -> bytes:
    return "\r\n".join([" HTTP/1.1", "Host: x", *fields, "", ""]).encode()


def test_a_block_is_remembered_at_its_second_sight() -> None:
    blocks = Blocks(10, 1024)
    good = block("Accept-Encoding: gzip", "Content-Length: 12", "Connection: close")
    assert blocks.judge(b"PUT /x", good) is not None
    assert not blocks.known
    facts = blocks.judge(b"PUT /x", good)
    assert blocks.known == {good.removeprefix(VERSION): facts}
    assert facts is not None
    assert (facts.gzip, facts.length, facts.close) == (True, 12, True)
    assert facts.headers()["accept-encoding"] == "gzip"


def test_unique_blocks_and_long_ones_are_not_stored() -> None:
    blocks = Blocks(10, 1024)
    for number in range(2000):
        assert blocks.judge(b"GET /x", block(f"traceparent: 00-{number:032x}-01")) is not None
    assert len(blocks.known) <= 2
    long = block("x: " + "y" * 2000)
    assert [blocks.judge(b"GET /x", long) is not None for _ in range(3)] == [True] * 3
    assert long.removeprefix(VERSION) not in blocks.known


def test_a_full_table_of_blocks_is_emptied() -> None:
    blocks = Blocks(10, 1024)
    for number in range(100):
        for _ in range(2):
            blocks.judge(b"GET /x", block(f"user-agent: {number}"))
        assert len(blocks.known) <= 10


@pytest.mark.parametrize(
    "bad",
    [
        b" HTTP/1.0\r\nHost: x\r\n\r\n", b" HTTP/1.1\r\n\r\n", block("Expect: 100-continue"), block("Upgrade: h2c", "Connection: upgrade"),
        block("Transfer-Encoding: chunked"), block("Content-Length: 1", "Content-Length: 1"), block("Content-Length: x"),
        block("Content-Length: " + "0" * 5000 + "1"), block("a b: c"), block("x: y\r\n z"), block("x: \x00"), b" HTTP/1.1\r\nHost: x\r\n",
        b" HTTP/1.1\nHost: x\n\r\n\r\n", b" HTTP/2.0\r\nHost: x\r\n\r\n", b"",
    ],
)  # fmt: skip
def test_a_block_that_is_not_plain_goes_the_long_way(bad: bytes) -> None:
    blocks = Blocks(10, 10_000)
    assert [blocks.judge(b"GET /x", bad) for _ in range(3)] == [None] * 3
    assert not blocks.known


def test_repeated_fields_are_joined() -> None:
    assert joined([(b"A", b"1"), (b"b", b"2 "), (b"a", b"\t3")]) == {"a": "1, 3", "b": "2"}


def test_sights_are_told_from_the_second_on() -> None:
    sights = Sights()
    assert [sights.again(b"x"), sights.again(b"x"), sights.again(b"y"), sights.again(b"x")] == [False, True, False, True]

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callboard.client.machine.sse import SseEvent, SseParser, StreamError
from callboard.wire import native_events

PIECES = st.lists(st.integers(1, 40), min_size=1)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """`data` in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


def parse(pieces: list[bytes], limit: int = 1 << 20) -> tuple[list[SseEvent], str, int | None]:
    parser = SseParser(event_max_bytes=limit)
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events, parser.last_id, parser.retry_ms


def test_the_examples_of_the_specification() -> None:
    assert parse([b"data: YHOO\ndata: +2\ndata: 10\n\n"])[0] == [SseEvent("message", "YHOO\n+2\n10", "")]
    stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
    assert parse([stream])[0] == [
        SseEvent("message", "first event", "1"),
        SseEvent("message", "second event", ""),
        SseEvent("message", " third event", ""),
    ]
    assert parse([b"data\n\ndata\ndata\n\ndata:"])[0] == [SseEvent("message", "", ""), SseEvent("message", "\n", "")]
    assert parse([b"data:test\n\ndata: test\n\n"])[0] == [SseEvent("message", "test", ""), SseEvent("message", "test", "")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_may_end_in_three_ways(end: bytes) -> None:
    lines = [b"event: added", b"id: 7", b"data: {}", b"", b"data: x", b"", b": the end"]
    assert parse([end.join(lines)])[0] == [SseEvent("added", "{}", "7"), SseEvent("message", "x", "7")]


def test_a_byte_order_mark_is_skipped_once() -> None:
    assert parse([b"\xef", b"\xbb", b"\xbfdata: x\n\n"])[0] == [SseEvent("message", "x", "")]
    assert parse([b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n"])[0] == []


def test_an_event_that_the_end_cuts_off_is_never_seen() -> None:
    events, last_id, _ = parse([b"id: 1\ndata: a\n\n", b"id: 2\ndata: b\n"])
    assert events == [SseEvent("message", "a", "1")]
    assert last_id == "1"


def test_retry_is_a_number_and_ids_have_no_nul() -> None:
    assert parse([b"retry: 1000\nretry: soon\nid: 5\nid: a\x00b\ndata: x\n\n"]) == ([SseEvent("message", "x", "5")], "5", 1000)


def test_an_event_that_is_too_large_is_refused_and_comments_do_not_add_up() -> None:
    with pytest.raises(StreamError, match="more than 100 bytes"):
        parse([b"data: " + b"x" * 50 + b"\n"] * 2, limit=100)
    with pytest.raises(StreamError, match="more than 100 bytes"):
        parse([b"x" * 30] * 4, limit=100)
    assert parse([b": alive\n"] * 100 + [b"data: x\n\n"], limit=100)[0] == [SseEvent("message", "x", "")]


Frame = tuple[native_events.Kind, str, int | None]
KINDS = st.sampled_from(["added", "changed", "removed", "ready"])
TEXTS = st.text(st.characters(categories=["L", "N", "S"]))
FRAMES = st.lists(st.tuples(KINDS, TEXTS, st.none() | st.integers(0)))


@given(FRAMES, PIECES)
def test_what_the_server_writes_is_read_whatever_the_pieces(frames: list[Frame], sizes: list[int]) -> None:
    stream, expected, last = native_events.retry(1000), [], ""
    for kind, text, revision in frames:
        frame = native_events.event(kind, text.encode())
        stream += native_events.ALIVE + (frame if revision is None else native_events.closing(revision, "h", frame))
        last = last if revision is None else f"{revision}.h"
        expected.append(SseEvent(kind, text, last))
    assert parse(cut(stream, sizes)) == (expected, last, 1000)


@given(st.binary(max_size=200), PIECES)
@example(b"data: x\r\n\r\ndata: y\r\r", [1])
@example(b"\xef\xbb", [1])
def test_garbage_is_read_alike_whole_and_in_pieces(data: bytes, sizes: list[int]) -> None:
    assert parse(cut(data, sizes)) == parse([data])


@given(st.lists(st.sampled_from([b"data", b"id", b"event", b":", b" ", b"\n", b"\r", b"\r\n", b"x", b"\0", b"\xff"])), PIECES)
def test_near_misses_are_read_alike_whole_and_in_pieces(parts: list[bytes], sizes: list[int]) -> None:
    data = b"".join(parts)
    assert parse(cut(data, sizes)) == parse([data])

import json

from hypothesis import given
from hypothesis import strategies as st

from callboard.client.machine.sse import SseEvent, SseParser
from callboard.wire import native, native_events


def mark(reason: str, revision: int = 1) -> bytes:
    return native_events.data(native.MarkEvent(revision, reason))


@given(
    st.lists(st.tuples(st.sampled_from(["ready", "resync"]), st.text(), st.none() | st.integers(1, 2**53)), max_size=5), st.integers(1, 7)
)
def test_what_is_written_is_read_whole_or_in_pieces(told: list[tuple[native_events.Kind, str, int | None]], step: int) -> None:
    stream = native_events.retry(1500)
    expected, last = [], ""
    for kind, reason, revision in told:
        frame = native_events.event(kind, mark(reason))
        stream += native_events.ALIVE + (frame if revision is None else native_events.closing(revision, "h", frame))
        last = last if revision is None else f"{revision}.h"
        expected.append((kind, reason, last))
    parser = SseParser()
    events: list[SseEvent] = []
    for start in range(0, len(stream), step):
        events += parser.feed(stream[start : start + step])
    assert [(event.event, json.loads(event.data).get("reason", ""), event.id) for event in events] == expected
    assert parser.retry_ms == 1500


def test_an_event_looks_as_the_specification_wants_it() -> None:
    frame = native_events.closing(7, "h", native_events.event("ready", mark("")))
    assert frame == b'id: 7.h\nevent: ready\ndata: {"revision":1}\n\n'
    assert native_events.ALIVE == b": alive\n\n"
    assert native_events.retry(1000) == b"retry: 1000\n\n"
